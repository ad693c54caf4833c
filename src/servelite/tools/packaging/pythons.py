"""Finding a Python of a version on this machine: the running one, one on the PATH, pyenv's or uv's."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from servelite.tools.packaging.target import here

PLACES = (".pyenv/versions/{version}.*/bin/python", ".local/share/uv/python/cpython-{version}.*/bin/python")
"""Where they are kept below a home, as pyenv and uv do without being told otherwise."""

STARTS_WITHIN_S = 20


def find_python(version: str, home: Path | None = None) -> str | None:
    """Return a Python of a version (`3.13`) that runs; None where there is none."""
    if version == here().python:
        return sys.executable
    return next((python for python in _candidates(version, home or Path.home()) if _is(python, version)), None)


def _candidates(version: str, home: Path) -> Iterator[str]:
    if on_path := shutil.which(f"python{version}"):
        yield on_path
    for place in PLACES:
        yield from (str(python) for python in sorted(home.glob(place.format(version=version)), reverse=True))


def _is(python: str, version: str) -> bool:
    """Ask it: what pyenv puts on the PATH may be a shim of a version that is not there."""
    code = "import sys; print('%d.%d' % sys.version_info[:2], sys.implementation.name)"
    try:
        done = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, timeout=STARTS_WITHIN_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.split() == [version, "cpython"]
