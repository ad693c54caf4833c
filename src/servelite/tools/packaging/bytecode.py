"""Bytecode for the target's Python: without it each cold start compiles everything anew, for Lambda's folder is read-only.

It is marked as unchecked: Python then trusts it without a look at the source, whose time a zip does not keep.
"""

import subprocess
from pathlib import Path

from servelite.core.errors import ServiceError
from servelite.tools.packaging.pythons import find_python
from servelite.tools.packaging.target import TASK_ROOT, Target

SCRIPT = Path(__file__).parent / "template" / "compile.py"

WITHIN_S = 300

FIXED_HASHES = {"PYTHONHASHSEED": "0"}
"""Sets among the constants are written in the order of their hashes, which must be the same each time."""


def compile_tree(tree: Path, target: Target) -> str | None:
    """Compile a tree by the target's Python, and return that; None where there is none here.

    Raises:
        ServiceError: the compiler failed.
    """
    python = find_python(target.python)
    if python is None:
        return None
    command = [python, "-sSPB", str(SCRIPT), str(tree), TASK_ROOT]
    done = subprocess.run(command, env=FIXED_HASHES, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    if done.returncode:
        raise ServiceError(f"The package could not be compiled by {python}: {done.stderr.strip()[-300:]}")
    return python
