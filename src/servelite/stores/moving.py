"""Moves the rows of journals into the tables, each exactly once, and lets those go that have become old."""

import base64
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
from servelite.stores.migrations import DAY_US, FIRST_TARIFF_PICO, KEY_OF_DAYS

logger = logging.getLogger("servelite.ledger")

DAMAGED = "damaged-lines"
"""Where lines of a journal go that can't be read."""

KEEP_ANSWERS_US = DAY_US
"""How long an answer is kept for those who repeat its Idempotency-Key."""

KEEP_ANSWERS_BYTES = 256 * 1024 * 1024
"""What kept answers may take together; the oldest go first."""

ANSWER_BYTES = 500
"""What an answer takes besides its body, about."""

SLICE = 10_000
"""Rows that are let go at a time: others have their turn in between."""

LARGEST = 2**60
"""Beyond what a call can take; sums of such numbers would not fit into 64 bits."""

LONGEST_NAME_BYTES = 500
"""Beyond what accounts, functions and the like are called; five such names fit into an index of PostgreSQL."""

NOTE_MOVED = "INSERT INTO journals (name, moved_bytes) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET moved_bytes = excluded.moved_bytes"

TOO_MANY = f"""
    SELECT max(at_us) FROM (SELECT at_us, sum(length(body) + {ANSWER_BYTES}) OVER (ORDER BY at_us DESC) AS size FROM answers) AS sizes
    WHERE size > ?
"""  # noqa: S608  our own number

_ROW_KINDS = list(Row.__annotations__.values())
_KEPT_KINDS = list(Kept.__annotations__.values())

_NAMES = {"id", "repeat_key", *KEY_OF_DAYS}

Lines = tuple[list[list[Any]], list[Kept]]


def move_journals(db: Database, folder: Path) -> None:
    """Move what is new in every journal file of a folder into the tables; files that nobody writes any more go."""
    moved = {name: int(end) for name, end in db.query("SELECT name, moved_bytes FROM journals")}
    for file in journal_files(folder):
        with file.abandoned() as is_abandoned:
            if file.size() != moved.get(file.path.name, 0):
                _move(db, file)
            if is_abandoned:
                file.path.unlink(missing_ok=True)
                # not before: a file that outlives its note would be moved again, when its rows may have been let go
                db.query("DELETE FROM journals WHERE name = ?", [file.path.name])


def let_go(db: Database, now_us: int, keep_days: int, keep_answers_bytes: int = KEEP_ANSWERS_BYTES) -> bool:
    """Delete rows of calls that are older than so many days, their sums stay; and answers that are too old or too many.

    Returns whether there are more such rows, for a next time.
    """
    oldest = call_id(max(0, now_us - keep_days * DAY_US) // 1000)
    later = db.query("SELECT id FROM calls WHERE id < ? ORDER BY id LIMIT 1 OFFSET ?", [oldest, SLICE])
    db.query("DELETE FROM calls WHERE id < ?", [later[0][0] if later else oldest])
    db.query("DELETE FROM answers WHERE at_us <= ?", [now_us - KEEP_ANSWERS_US])
    ((last_too_many_us,),) = db.query(TOO_MANY, [keep_answers_bytes])
    if last_too_many_us is not None:
        db.query("DELETE FROM answers WHERE at_us <= ?", [last_too_many_us])
    return bool(later)


def _move(db: Database, file: JournalFile) -> None:
    """Move the rows that a file has now; each look into it is a transaction of its own."""
    size = file.size()
    is_more = True
    while is_more:
        try:
            is_more = _move_lines(db, file, _read) < size
        except ValueError:
            is_more = _move_sound_lines(db, file) < size


def _move_sound_lines(db: Database, file: JournalFile) -> float:
    try:
        return _move_lines(db, file, lambda lines: _read(_put_aside(file, lines)))
    except ValueError as error:
        raise LedgerUnavailable(f"The ledger's database takes no rows: {error}") from error


def _move_lines(db: Database, file: JournalFile, read: Callable[[list[bytes]], Lines]) -> float:
    """Move what comes next, and return where it ends; infinity where nothing comes."""
    name = file.path.name
    with db.transaction(name):
        moved = db.query("SELECT moved_bytes FROM journals WHERE name = ?", [name])
        lines, end = file.lines_from(moved[0][0] if moved else 0)
        if not lines:
            return float("inf")
        rows, kept = read(lines)
        db.insert("calls", Row._fields, "id", rows)
        if kept:
            expired_us = max(one.at_us for one in kept) - KEEP_ANSWERS_US  # they would stand in the way of those that come
            db.query("DELETE FROM answers WHERE at_us <= ?", [expired_us])
            in_order = sorted(
                kept, key=lambda one: (one.account, one.repeat_key)
            )  # two who insert the same wait for each other, never both
            db.insert("answers", Kept._fields, "account, repeat_key", in_order)
        db.query(NOTE_MOVED, [name, end])
    return end


def _put_aside(file: JournalFile, lines: list[bytes]) -> list[bytes]:
    """Put damaged lines aside for people, so that they hold nothing up, and return the others."""
    damaged = [line for line in lines if not _is_sound(line)]
    if damaged:
        place = file.path.with_name(DAMAGED)
        logger.error("%d damaged lines of the journal are put aside in %s", len(damaged), place)
        with place.open("ab") as aside:
            aside.writelines(line + b"\n" for line in damaged)
    return [line for line in lines if line not in damaged]


def _read(lines: list[bytes]) -> Lines:
    """Return the rows and answers of lines; ValueError where they are none."""
    parts = list(map(_parts, lines))
    return [row for rows, _ in parts for row in rows], [one for _, kept in parts for one in kept]


def _parts(line: bytes) -> Lines:
    """Return the rows of a journal's line, and the answers that are kept with them."""
    try:
        said = json.loads(line)
        rows, kept = (said["rows"], said["kept"]) if isinstance(said, dict) else (said, [])
        return list(map(_row, rows)), [_kept(*one) for one in kept]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"not a line of a journal: {error}") from error


def _row(fields: list[Any]) -> list[Any]:
    """Return a row; one that the first servelite wrote lacks columns, and its price, of which there was one."""
    if len(fields) < len(Row._fields):
        row = Row(*fields)
        fields = list(row._replace(cost_pico=row.billed_us * FIRST_TARIFF_PICO))
    if list(map(type, fields)) != _ROW_KINDS:
        raise ValueError("a value is of another type than its column")
    return fields


def _kept(*fields: Any) -> Kept:
    one = Kept(*fields)
    one = one._replace(body=base64.b64decode(one.body, validate=True))
    if list(map(type, one)) != _KEPT_KINDS:
        raise ValueError("a value is of another type than its column")
    return one


def _is_sound(line: bytes) -> bool:
    """Tell whether every value of a line can stand in its column, in every database."""
    try:
        rows, kept = _parts(line)
    except ValueError:
        return False
    whole = [Row(*row) for row in rows]
    weighed = [time_us * row.memory_mib for row in whole for time_us in (row.billed_us, row.compute_us)]
    named = [one._asdict() for one in whole] + [one._asdict() for one in kept]
    return all(map(_fits, weighed)) and all(_fits(value, name) for one in named for name, value in one.items())


def _fits(value: object, name: str = "") -> bool:
    if isinstance(value, int):
        return 0 <= value < LARGEST
    if isinstance(value, bytes):
        return True
    text = str(value)
    is_text = not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)
    return is_text and not (name in _NAMES and len(text.encode()) > LONGEST_NAME_BYTES)
