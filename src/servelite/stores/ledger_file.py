"""The SQLite file of the ledger: its tables, moving journals into them, and the sums over them."""

import contextlib
import json
import logging
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from servelite.core.call import call_id
from servelite.core.errors import DefinitionError, LedgerUnavailable
from servelite.core.ports import Row, Usage
from servelite.stores.journal import JournalFile, journal_files

logger = logging.getLogger("servelite.ledger")

BUSY_S = 5.0
"""How long a process waits for another one's transaction."""

_ROW = f"({', '.join('?' * len(Row._fields))})"
_TEXT = {"id", "account", "function", "code"}

DAMAGED = "damaged-lines"
"""Where lines of a journal go that can't be read."""

CHUNKS = (256, 16, 1)
"""Rows one statement inserts: fewer statements, and each size is compiled once."""

DAY_US = 24 * 3600 * 1_000_000

_GROUPS = {
    "function": "function",
    "account": "account",
    "day": "date(at_us / 1000000, 'unixepoch')",
}

MIGRATIONS = (
    """
    CREATE TABLE calls (
      id TEXT NOT NULL PRIMARY KEY, at_us INTEGER NOT NULL, account TEXT NOT NULL, function TEXT NOT NULL,
      status INTEGER NOT NULL, code TEXT NOT NULL, queue_us INTEGER NOT NULL, init_us INTEGER NOT NULL,
      compute_us INTEGER NOT NULL, cpu_us INTEGER NOT NULL, peak_kib INTEGER NOT NULL, batch INTEGER NOT NULL,
      bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, cold INTEGER NOT NULL, billed_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE journals (name TEXT PRIMARY KEY, moved_bytes INTEGER NOT NULL) STRICT;
    """,
)
"""Statements that bring the tables from one `user_version` to the next; what has been released stays as it is.

A new column comes last, with a default in `Row` too: journals that an older servelite left are shorter by it.
"""


class LedgerFile:
    """One connection to the ledger; a thread or process that wants it opens its own."""

    def __init__(self, path: Path) -> None:
        """Open the file, made and migrated as needed; LedgerUnavailable where that is impossible."""
        self._path = path
        self._journals = journals_folder(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error
        try:
            self._migrate()
            self._inode = path.stat().st_ino
        except sqlite3.Error as error:
            self._db.close()
            raise self._unusable(error) from error
        except LedgerUnavailable:
            self._db.close()
            raise

    def is_in_place(self) -> bool:
        """Tell whether the file is still the one that its path names, not deleted or replaced."""
        try:
            return self._path.stat().st_ino == self._inode
        except FileNotFoundError:
            return False

    def move_journals(self) -> None:
        """Move what is new in every journal file into the tables; files that nobody writes any more go."""
        for file in journal_files(self._journals):
            with file.abandoned() as is_abandoned:
                self._move(file, is_abandoned=is_abandoned)

    def usage(self, by: str, since_us: int, until_us: int) -> list[Usage]:
        """Sum the calls of [since_us, until_us) by `function`, `account` or `day`."""
        if by not in _GROUPS:
            raise DefinitionError(f"Usage can't be summed by '{by}'. It can by: {', '.join(_GROUPS)}.")
        first_id = call_id(max(0, since_us - DAY_US) // 1000)  # ids begin with the time: the key is the index
        sums = "count(*), sum(code <> 'ok'), sum(compute_us), sum(cpu_us), sum(billed_us)"
        rows = self._db.execute(
            f"SELECT {_GROUPS[by]}, {sums} FROM calls WHERE id >= ? AND at_us >= ? AND at_us < ? GROUP BY 1 ORDER BY 4 DESC, 1",  # noqa: S608  from _GROUPS
            (first_id, since_us, until_us),
        )
        return [Usage(*row) for row in rows]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._db.close()
        if isinstance(error, sqlite3.Error):
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> LedgerUnavailable:
        return LedgerUnavailable(f"The ledger {self._path} can't be used: {error}. Mend it, or name another with --ledger.")

    def _move(self, file: JournalFile, *, is_abandoned: bool) -> None:
        with self._transaction():
            row = self._db.execute("SELECT moved_bytes FROM journals WHERE name = ?", (file.path.name,)).fetchone()
            lines, end = file.lines_from(row[0] if row else 0)
            self._insert_sound(lines)
            if is_abandoned:
                self._db.execute("DELETE FROM journals WHERE name = ?", (file.path.name,))
            elif lines:
                self._db.execute("INSERT OR REPLACE INTO journals VALUES (?, ?)", (file.path.name, end))
        if is_abandoned:
            file.path.unlink(missing_ok=True)

    def _insert_sound(self, lines: list[bytes]) -> None:
        """Insert the rows of some lines; what is damaged is put aside for people, so that it holds nothing up."""
        try:
            self._insert([row for line in lines for row in _rows(line)])
        except (sqlite3.Error, ValueError, TypeError, OverflowError, RecursionError):
            damaged = [line for line in lines if not _is_sound(line)]
            if not damaged:
                raise
            logger.error("%d damaged lines of the journal are put aside in %s", len(damaged), self._journals / DAMAGED)
            with (self._journals / DAMAGED).open("ab") as file:
                file.writelines(line + b"\n" for line in damaged)
            self._insert([row for line in lines if line not in damaged for row in _rows(line)])

    def _insert(self, rows: list[list[str | int]]) -> None:
        at = 0
        for size in CHUNKS:
            values = ", ".join([_ROW] * size)
            statement = f"INSERT INTO calls ({', '.join(Row._fields)}) VALUES {values} ON CONFLICT (id) DO NOTHING"  # noqa: S608  our own names
            while len(rows) - at >= size:
                self._db.execute(statement, [value for row in rows[at : at + size] for value in row])
                at += size

    def _migrate(self) -> None:
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = NORMAL")
        with self._transaction():
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                raise LedgerUnavailable(
                    f"The ledger {self._path} was written by a newer servelite. Update servelite, or name another ledger."
                )
            for number, statements in enumerate(MIGRATIONS[version:], start=version + 1):
                for statement in filter(str.strip, statements.split(";")):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {number}")

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _rows(line: bytes) -> list[list[str | int]]:
    """Return the rows of a journal's line, those that an older servelite wrote filled up with the columns' defaults."""
    rows: list[list[str | int]] = json.loads(line)
    return [row if len(row) == len(Row._fields) else list(Row(*row)) for row in rows]  # type: ignore[arg-type]


def _is_sound(line: bytes) -> bool:
    try:
        rows = _rows(line)
        return all(_fits(name, value) for row in rows for name, value in zip(Row._fields, row, strict=True))
    except (ValueError, TypeError, RecursionError):
        return False


def _fits(name: str, value: object) -> bool:
    """Tell whether a value can stand in a column."""
    if name in _TEXT:
        return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)
    return isinstance(value, int) and -(2**63) <= value < 2**63


def journals_folder(path: Path) -> Path:
    """Return where the journals of a ledger file stand: beside it."""
    return path.with_name(path.name + ".journal")
