"""What a process may know of its machine, and of itself."""

import subprocess
import sys

from servelite.runtime.resources import process_age_us

CODE = "import time; from servelite.runtime.resources import process_age_us; now = time.monotonic_ns(); print(process_age_us())"


def test_a_process_knows_how_long_it_has_lived() -> None:
    young = int(subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True).stdout)
    assert 0 < young < 30_000_000
    assert process_age_us() <= process_age_us()
