"""Which folders are functions: found by their handler.py, named by their folder, never imported here."""

from collections.abc import Sequence
from pathlib import Path

from servelite.core.errors import DefinitionError
from servelite.core.function import NAME


def find_functions(paths: Sequence[Path]) -> dict[str, Path]:
    """Return the function folders that paths name, by function name; a path is one, or a folder of them.

    Raises:
        DefinitionError: a path holds no function, a name is impossible, or two folders share one.
    """
    found: dict[str, Path] = {}
    for folder in [folder for path in paths for folder in _functions_in(path)]:
        name = checked_name(folder.resolve().name)
        if found.setdefault(name, folder).resolve() != folder.resolve():
            raise DefinitionError(f"Two functions are named '{name}': {found[name]} and {folder}. Rename one folder.")
    return found


def find_function(path: Path) -> Path:
    """Return the one function folder that a path names; DefinitionError where it names none or several."""
    found = list(find_functions([path]).values())
    if len(found) > 1:
        raise DefinitionError(f"{path} holds {len(found)} functions: {', '.join(one.name for one in found)}. Name one: {found[0]}")
    return found[0]


def find_beside(name: str, folder: Path) -> Path | None:
    """Return the folder of a function that stands beside another one's; None where there is none."""
    beside = folder.resolve().parent / name
    return beside if (beside / "handler.py").is_file() else None


def checked_name(name: str) -> str:
    """Return a function's name, or refuse it."""
    if not NAME.fullmatch(name):
        raise DefinitionError(
            f"'{name}' can't name a function. A name has up to 64 letters, digits, '_' and '-', and begins with a letter."
        )
    return name


def _functions_in(path: Path) -> list[Path]:
    if not path.is_dir():
        if path.is_file():
            raise DefinitionError(f"{path} is a file. A function is a folder; name {path.parent}")
        raise DefinitionError(f"There is no folder {path}. Make a function there with: servelite new {path}")
    if (path / "handler.py").is_file():
        return [path]
    inside = sorted(handler.parent for handler in path.glob("*/handler.py"))
    if not inside:
        raise DefinitionError(
            f"{path} has no handler.py, and no folder in it has one. Make a function with: servelite new {path / 'hello'}"
        )
    return inside
