"""Run by the target's Python: `compile.py TREE ROOT` compiles the modules of a tree, as if they lay in ROOT."""

import py_compile
import sys
from pathlib import Path


def main(tree: Path, root: str) -> None:
    """Write unchecked bytecode beside each module, one after the other; what is no source of this Python stays as it is."""
    for file in sorted(tree.rglob("*.py")):
        try:
            py_compile.compile(
                str(file),
                dfile=f"{root}/{file.relative_to(tree)}",
                doraise=True,
                invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
            )
        except py_compile.PyCompileError:
            continue  # templates, and what is written for other Pythons; importing it fails there as it would here


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
