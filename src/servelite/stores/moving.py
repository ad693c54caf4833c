"""Moves the rows of journals into the tables, each exactly once, and the answers that are kept with them."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from servelite.core.errors import LedgerUnavailable
from servelite.stores.journal import JournalFile, journal_files
from servelite.stores.lines import Lines, is_sound, read_lines
from servelite.stores.tables import Tables

logger = logging.getLogger("servelite.ledger")

DAMAGED = "damaged-lines"
"""Where lines of a journal go that can't be read."""


def move_journals(tables: Tables, folder: Path) -> None:
    """Move what is new in every journal file of a folder into the tables; files that nobody writes any more go."""
    files = journal_files(folder)
    moved = tables.moved([file.path.name for file in files])
    for file in files:
        with file.abandoned() as is_abandoned:
            if file.size() != moved.get(file.path.name, 0):
                _move(tables, file)
            if is_abandoned:
                file.path.unlink(missing_ok=True)
                if not any(one.gateway == file.gateway for one in journal_files(folder)):  # a living one has a newer file
                    tables.free(file.gateway)
                # not before: a file that outlives its note would be moved again, when its rows may have been let go
                tables.forget(file.path.name)


def _move(tables: Tables, file: JournalFile) -> None:
    """Move the rows that a file has now, some at a time."""
    size = file.size()
    is_more = True
    while is_more:
        try:
            is_more = _move_lines(tables, file, read_lines) < size
        except ValueError:
            is_more = _move_sound_lines(tables, file) < size


def _move_sound_lines(tables: Tables, file: JournalFile) -> float:
    try:
        return _move_lines(tables, file, lambda lines: read_lines(_put_aside(file, lines)))
    except ValueError as error:
        raise LedgerUnavailable(f"The ledger's database takes no rows: {error}") from error


def _move_lines(tables: Tables, file: JournalFile, read: Callable[[Sequence[bytes]], Lines]) -> float:
    """Move what comes next, and return where it ends; infinity where nothing comes."""

    def read_on(offset: int) -> tuple[Lines, int] | None:
        lines, end = file.lines_from(offset)
        return (read(lines), end) if lines else None

    end = tables.move(file.path.name, read_on)
    return float("inf") if end is None else end


def _put_aside(file: JournalFile, lines: Sequence[bytes]) -> list[bytes]:
    """Put damaged lines aside for people, so that they hold nothing up, and return the others."""
    damaged = [line for line in lines if not is_sound(line)]
    if damaged:
        place = file.path.with_name(DAMAGED)
        logger.error("%d damaged lines of the journal are put aside in %s", len(damaged), place)
        with place.open("ab") as aside:
            aside.writelines(line + b"\n" for line in damaged)
    return [line for line in lines if line not in damaged]
