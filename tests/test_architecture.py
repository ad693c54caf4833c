"""ARCHITECTURE.md is the map: every room of the source with its first sentence, as the room itself says it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "servelite"
ROOMS = sorted(file for file in SOURCE.rglob("*.py") if "template" not in file.parts)


def first_line(file: Path) -> str:
    """Return the first line of a module's docstring."""
    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]


@pytest.mark.parametrize("file", ROOMS, ids=lambda file: str(file.relative_to(SOURCE)))
def test_the_map_says_what_the_room_says(file: Path) -> None:
    name = file.relative_to(SOURCE)
    line = f"| `{name.parent if file.name == '__init__.py' else name}` | {first_line(file)} |".replace("`.`", "`servelite`")
    assert line in (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8"), f"put this line into ARCHITECTURE.md:\n{line}"


@pytest.mark.parametrize("file", ROOMS, ids=lambda file: str(file.relative_to(SOURCE)))
def test_a_room_says_what_it_is_for_and_stays_small(file: Path) -> None:
    assert first_line(file).endswith((".", ";", "?"))
    assert len(file.read_text(encoding="utf-8").splitlines()) <= 300
