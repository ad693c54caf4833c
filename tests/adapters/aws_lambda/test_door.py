"""The door is opened when its handler is asked for, and what it loads is not looked through by the garbage collector."""

import json
import os
import subprocess
import sys

from tests.adapters.aws_lambda.lambdas import SHOUT
from tests.conftest import FolderWriter

SCRIPT = """
import gc, json, sys
import servelite.adapters.aws_lambda as door
before = "servelite.adapters.aws_lambda.door" in sys.modules
handler = door.handler
print(json.dumps({"before": before, "kept": handler is door.handler, "collects": gc.isenabled(), "spared": gc.get_freeze_count()}))
"""


def test_what_the_start_loads_is_spared_from_collections(write_function: FolderWriter) -> None:
    functions = write_function("shout", SHOUT).parent
    surroundings = {**os.environ, "SERVELITE_FUNCTIONS": str(functions)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=surroundings, capture_output=True, text=True, check=True)
    said = json.loads(done.stdout)
    assert said.pop("spared") > 10_000
    assert said == {"before": False, "kept": True, "collects": True}
