"""Moves the rows of journals into the tables, each exactly once, and lets those go that have become old."""

import base64
import binascii
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from servelite.core.call import call_id
from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import Kept, Row
from servelite.stores.database import Database
from servelite.stores.journal import JournalFile, journal_files
from servelite.stores.migrations import DAY_US

logger = logging.getLogger("servelite.ledger")

DAMAGED = "damaged-lines"
"""Where lines of a journal go that can't be read."""

CHUNKS = (256, 16, 1)
"""Rows one statement inserts: fewer statements, and each size is compiled once."""

KEEP_ANSWERS_US = DAY_US
"""How long an answer is kept for those who repeat its Idempotency-Key."""

KEEP_ANSWERS_BYTES = 256 * 1024 * 1024
"""What kept answers may take together; the oldest go first."""

NOTE_MOVED = "INSERT INTO journals (name, moved_bytes) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET moved_bytes = excluded.moved_bytes"

_TEXT = {"id", "account", "function", "code", "key_id", "version", "parent", "stage", "gateway"}

Line = tuple[list[list[Any]], list[Kept]]


def move_journals(db: Database, folder: Path) -> None:
    """Move what is new in every journal file of a folder into the tables; files that nobody writes any more go."""
    for file in journal_files(folder):
        with file.abandoned() as is_abandoned:
            _move(db, file, is_abandoned=is_abandoned)


def let_go(db: Database, now_us: int, keep_days: int) -> None:
    """Delete the rows of calls that are older than so many days, their sums stay; and answers that are too old or too many."""
    db.query("DELETE FROM calls WHERE id < ?", [call_id(max(0, now_us - keep_days * DAY_US) // 1000)])
    db.query("DELETE FROM answers WHERE at_us < ?", [now_us - KEEP_ANSWERS_US])
    sizes = db.query("SELECT at_us, CAST(sum(length(body)) OVER (ORDER BY at_us DESC) AS BIGINT) FROM answers ORDER BY at_us DESC")
    too_old = next((at_us for at_us, size in sizes if size > KEEP_ANSWERS_BYTES), None)
    if too_old is not None:
        db.query("DELETE FROM answers WHERE at_us <= ?", [too_old])


def _move(db: Database, file: JournalFile, *, is_abandoned: bool) -> None:
    try:
        _move_lines(db, file, _read, is_abandoned=is_abandoned)
    except (LedgerUnavailable, ValueError, TypeError, RecursionError):
        lines, _ = file.lines_from(0)
        if all(map(_is_sound, lines)):
            raise
        _move_lines(db, file, lambda lines: _read(_put_aside(file, lines)), is_abandoned=is_abandoned)
    if is_abandoned:
        file.path.unlink(missing_ok=True)


def _move_lines(db: Database, file: JournalFile, read: Callable[[list[bytes]], Line], *, is_abandoned: bool) -> None:
    name = file.path.name
    with db.transaction(name):
        moved = db.query("SELECT moved_bytes FROM journals WHERE name = ?", [name])
        lines, end = file.lines_from(moved[0][0] if moved else 0)
        rows, kept = read(lines)
        _insert(db, "calls", Row._fields, "id", rows)
        _insert(db, "answers", Kept._fields, "account, repeat_key", kept)
        if is_abandoned:
            db.query("DELETE FROM journals WHERE name = ?", [name])
        elif lines:
            db.query(NOTE_MOVED, [name, end])


def _insert(db: Database, table: str, columns: tuple[str, ...], key: str, rows: list[Any]) -> None:
    """Insert rows, but not those that are there already."""
    one, at = f"({', '.join('?' * len(columns))})", 0
    for size in CHUNKS:
        values = ", ".join([one] * size)
        statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values} ON CONFLICT ({key}) DO NOTHING"  # noqa: S608  our own names
        while len(rows) - at >= size:
            db.query(statement, [value for row in rows[at : at + size] for value in row])
            at += size


def _put_aside(file: JournalFile, lines: list[bytes]) -> list[bytes]:
    """Put damaged lines aside for people, so that they hold nothing up, and return the others."""
    damaged = [line for line in lines if not _is_sound(line)]
    if damaged:
        place = file.path.with_name(DAMAGED)
        logger.error("%d damaged lines of the journal are put aside in %s", len(damaged), place)
        with place.open("ab") as aside:
            aside.writelines(line + b"\n" for line in damaged)
    return [line for line in lines if line not in damaged]


def _read(lines: list[bytes]) -> Line:
    parts = [_parts(line) for line in lines]
    return [row for rows, _ in parts for row in rows], [one for _, kept in parts for one in kept]


def _parts(line: bytes) -> Line:
    """Return the rows of a journal's line, and the answers that are kept with them.

    Rows that an older servelite wrote are filled up with the columns' defaults.
    """
    said = json.loads(line)
    rows, kept = (said["rows"], said["kept"]) if isinstance(said, dict) else (said, [])
    return [row if len(row) == len(Row._fields) else list(Row(*row)) for row in rows], [_kept(*one) for one in kept]


def _kept(*fields: Any) -> Kept:
    one = Kept(*fields)
    return one._replace(body=base64.b64decode(one.body))


def _is_sound(line: bytes) -> bool:
    try:
        rows, _ = _parts(line)
        return all(_fits(name, value) for row in rows for name, value in zip(Row._fields, row, strict=True))
    except (ValueError, TypeError, KeyError, RecursionError, binascii.Error):
        return False


def _fits(name: str, value: object) -> bool:
    """Tell whether a value can stand in a column."""
    if name in _TEXT:
        return isinstance(value, str) and not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in value)
    return isinstance(value, int) and -(2**63) <= value < 2**63
