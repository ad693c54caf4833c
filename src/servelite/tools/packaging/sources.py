"""What of a function's folder goes into a package: the handler, the modules that it imports, and everything that is no Python."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from servelite.core.errors import DefinitionError

LEFT_OUT = {
    "requirements.txt": "installed",
    "*.whl": "installed",
    "*.lock": "installed",
}
"""Files that only the package's making needs, and what has become of them."""

NOT_IMPORTED = "handler.py does not import it"

IMPORTS_BY_NAME = ("importlib", "__import__", "runpy", "pkgutil")
"""Where a source has one of these words, nobody can tell what it imports: all stay."""


def files_to_pack(folder: Path) -> list[Path]:
    """Return the files of a function that it needs to be served, relative to its folder."""
    return [file for file in _files(folder) if not why_left_out(folder, file)]


def files_left_out(folder: Path) -> dict[Path, str]:
    """Return the others, each with why; hidden files and caches are not mentioned."""
    return {file: why for file in _files(folder) if (why := why_left_out(folder, file))}


def why_left_out(folder: Path, file: Path) -> str:
    """Say why a file is not needed; empty where it is."""
    if file.suffix == ".py":
        return "" if file in reached_modules(folder) else NOT_IMPORTED
    return next((why for pattern, why in LEFT_OUT.items() if fnmatchcase(str(file), pattern)), "")


def reached_modules(folder: Path) -> set[Path]:
    """Return the Python files that `handler.py` imports, directly or through others, itself among them; relative to the folder."""
    reached, waiting = set[Path](), [Path("handler.py")]
    while waiting:
        file = waiting.pop()
        if file in reached:
            continue
        reached.add(file)
        source = (folder / file).read_text(encoding="utf-8")
        if any(word in source for word in IMPORTS_BY_NAME):
            return {one for one in _files(folder) if one.suffix == ".py"}
        waiting += [one for name in _imports(source, folder / file) for one in _modules(folder, name)]
    return reached


def _imports(source: str, place: Path) -> Iterator[str]:
    """Yield the first part of each name that a source imports, wherever it does."""
    try:
        parsed = ast.parse(source)
    except SyntaxError as error:
        raise DefinitionError(f"{place}:{error.lineno or 1}: SyntaxError: {error.msg}.") from error
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def _modules(folder: Path, name: str) -> list[Path]:
    """Return the files behind a name: a module, or all of a package; none where it is not the folder's own."""
    if (folder / f"{name}.py").is_file():
        return [Path(f"{name}.py")]
    return [file for file in _files(folder) if file.parts[0] == name and file.suffix == ".py"]


def _files(folder: Path) -> list[Path]:
    """Return the files of a folder but for hidden ones and caches, relative to it."""
    found = (file.relative_to(folder) for file in sorted(folder.rglob("*")) if file.is_file())
    return [file for file in found if not any(part.startswith(".") or part == "__pycache__" for part in file.parts)]
