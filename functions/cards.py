"""What is made is held to its card: an artefact to its SHA-256, measured figures to [measured].

Figures whose names end in `_ms` belong to the machine that the card names, so they are printed and not compared.
"""

import argparse
import hashlib
import json
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

CLOSE = 0.002
"""Another processor may answer a few inputs otherwise; a figure may be so far from the card's."""


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card of a function's folder."""
    return tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))


def write_artefact(file: Path, content: bytes, folder: Path | None = None) -> int:
    """Write an artefact, print its hash, and return 1 if the card of the folder, by default the file's own, records another."""
    file.write_bytes(content)
    made = hashlib.sha256(content).hexdigest()
    card = read_card(folder or file.parent)
    recorded = next(table["sha256"] for table in card.values() if isinstance(table, dict) and table.get("file") == file.name)
    print(f"{file}: {len(content)} bytes, sha256 {made}")
    if made == recorded:
        print("The same bytes as card.toml records.")
        return 0
    print(f"card.toml records others, {recorded}. Measure them with evaluate.py, and update the card.", file=sys.stderr)
    return 1


def report(folder: Path, measure: Callable[[], dict[str, Any]]) -> int:
    """Print figures as the card's [measured], or with --check-card return 1 where the card says others."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--check-card", action="store_true", help="fail unless card.toml holds these figures")
    asked = parser.parse_args()
    measured = measure()
    if not asked.check_card:
        print("[measured]", *(f"{name} = {json.dumps(figure)}" for name, figure in flat(measured)), sep="\n")
        return 0
    recorded = dict(flat(read_card(folder).get("measured", {})))
    wrong = [f"{name} = {figure}, not {recorded.get(name)}" for name, figure in flat(measured) if not _agrees(name, figure, recorded)]
    print(*wrong or ["card.toml holds what was measured."], sep="\n", file=sys.stderr if wrong else sys.stdout)
    return 1 if wrong else 0


def flat(figures: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Yield figures in tables within tables by their full names: `film.accuracy`."""
    for name, figure in figures.items():
        if isinstance(figure, dict):
            yield from flat(figure, f"{before}{name}.")
        else:
            yield f"{before}{name}", figure


def _agrees(name: str, figure: Any, recorded: dict[str, Any]) -> bool:
    if name.endswith("_ms"):
        return True
    known = recorded.get(name)
    return bool(known == figure or (isinstance(known, float) and abs(figure - known) <= CLOSE))
