"""Moves the rows of journals into the tables, each exactly once, and the answers that are kept with them."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import Row
from servelite.stores.answers import add_answers
from servelite.stores.claims import give_all_back
from servelite.stores.database import Database
from servelite.stores.journal import JournalFile, journal_files
from servelite.stores.lines import Lines, is_sound, read_lines

logger = logging.getLogger("servelite.ledger")

DAMAGED = "damaged-lines"
"""Where lines of a journal go that can't be read."""

NOTE_MOVED = "INSERT INTO journals (name, moved_bytes) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET moved_bytes = excluded.moved_bytes"


def move_journals(db: Database, folder: Path) -> None:
    """Move what is new in every journal file of a folder into the tables; files that nobody writes any more go."""
    moved = {name: int(end) for name, end in db.query("SELECT name, moved_bytes FROM journals")}
    for file in journal_files(folder):
        with file.abandoned() as is_abandoned:
            if file.size() != moved.get(file.path.name, 0):
                _move(db, file)
            if is_abandoned:
                file.path.unlink(missing_ok=True)
                if not any(one.gateway == file.gateway for one in journal_files(folder)):  # a living one has a newer file
                    give_all_back(db, file.gateway)
                # not before: a file that outlives its note would be moved again, when its rows may have been let go
                db.query("DELETE FROM journals WHERE name = ?", [file.path.name])


def _move(db: Database, file: JournalFile) -> None:
    """Move the rows that a file has now; each look into it is a transaction of its own."""
    size = file.size()
    is_more = True
    while is_more:
        try:
            is_more = _move_lines(db, file, read_lines) < size
        except ValueError:
            is_more = _move_sound_lines(db, file) < size


def _move_sound_lines(db: Database, file: JournalFile) -> float:
    try:
        return _move_lines(db, file, lambda lines: read_lines(_put_aside(file, lines)))
    except ValueError as error:
        raise LedgerUnavailable(f"The ledger's database takes no rows: {error}") from error


def _move_lines(db: Database, file: JournalFile, read: Callable[[Sequence[bytes]], Lines]) -> float:
    """Move what comes next, and return where it ends; infinity where nothing comes."""
    name = file.path.name
    with db.transaction(name):
        moved = db.query("SELECT moved_bytes FROM journals WHERE name = ?", [name])
        lines, end = file.lines_from(moved[0][0] if moved else 0)
        if not lines:
            return float("inf")
        rows, kept = read(lines)
        db.insert("calls", Row._fields, "id", rows)
        add_answers(db, kept)
        db.query(NOTE_MOVED, [name, end])
    return end


def _put_aside(file: JournalFile, lines: Sequence[bytes]) -> list[bytes]:
    """Put damaged lines aside for people, so that they hold nothing up, and return the others."""
    damaged = [line for line in lines if not is_sound(line)]
    if damaged:
        place = file.path.with_name(DAMAGED)
        logger.error("%d damaged lines of the journal are put aside in %s", len(damaged), place)
        with place.open("ab") as aside:
            aside.writelines(line + b"\n" for line in damaged)
    return [line for line in lines if line not in damaged]
