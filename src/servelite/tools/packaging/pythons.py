"""The target's Python, if this machine has one: finding it, and having it compile a package.

Without bytecode each cold start compiles everything anew, for Lambda's folder is read-only. It is marked as unchecked: Python then
trusts it without a look at the source, whose time a zip does not keep.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from servelite.core.errors import ServiceError
from servelite.tools.packaging.target import TASK_ROOT, Target, here

PLACES = (".pyenv/versions/{version}.*/bin/python", ".local/share/uv/python/cpython-{version}.*/bin/python")
"""Where they are kept below a home, as pyenv and uv do without being told otherwise."""

STARTS_WITHIN_S = 20

SCRIPT = Path(__file__).parent / "template" / "compile.py"

COMPILES_WITHIN_S = 300

FIXED_HASHES = {"PYTHONHASHSEED": "0"}
"""Sets among the constants are written in the order of their hashes, which must be the same each time."""


def find_python(version: str, home: Path | None = None) -> str | None:
    """Return a Python of a version (`3.13`) that runs: this one, one on the PATH, pyenv's or uv's; None where there is none."""
    if version == here().python:
        return sys.executable
    return next((python for python in _candidates(version, home or Path.home()) if _is(python, version)), None)


def compile_tree(tree: Path, target: Target) -> str | None:
    """Compile a tree by the target's Python, and return that; None where there is none here.

    Raises:
        ServiceError: the compiler failed.
    """
    python = find_python(target.python)
    if python is None:
        return None
    command = [python, "-sSPB", str(SCRIPT), str(tree), TASK_ROOT]
    done = subprocess.run(command, env=FIXED_HASHES, capture_output=True, text=True, timeout=COMPILES_WITHIN_S, check=False)
    if done.returncode:
        raise ServiceError(f"The package could not be compiled by {python}: {done.stderr.strip()[-300:]}")
    return python


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
