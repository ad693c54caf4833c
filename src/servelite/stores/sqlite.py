"""The ledger's tables in an SQLite file (WAL), which others may read while it is written."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from servelite.core.errors import LedgerUnavailable
from servelite.stores.database import newer, unusable
from servelite.stores.migrations import SQLITE

BUSY_S = 5.0
"""How long a process waits for another one's transaction."""

ASK_AGAIN_S = 0.01
"""How often is asked for what SQLite refuses at once, instead of waiting for it."""

CHUNKS = (256, 16, 1)
"""Rows one statement inserts: fewer statements, and each size is compiled once."""


class SqliteDatabase:
    """The `Database` of a file."""

    def __init__(self, path: Path) -> None:
        """Open the file, made and migrated as needed; LedgerUnavailable where that is impossible."""
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        except (sqlite3.Error, OSError) as error:
            raise unusable(str(path), error) from error
        try:
            self._migrate()
            self._inode = path.stat().st_ino
        except LedgerUnavailable:
            self._db.close()
            raise

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement; see `Database`."""
        try:
            return self._db.execute(statement, values).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise unusable(str(self._path), error) from error

    def insert(self, table: str, columns: Sequence[str], key: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows as lists of values, so many a statement; see `Database`."""
        one, at = f"({', '.join('?' * len(columns))})", 0
        for size in CHUNKS:
            values = ", ".join([one] * size)
            statement = f"INSERT INTO {table} ({', '.join(columns)}) VALUES {values} ON CONFLICT ({key}) DO NOTHING"  # noqa: S608  our own names
            while len(rows) - at >= size:
                self._insert(statement, [value for row in rows[at : at + size] for value in row])
                at += size

    def _insert(self, statement: str, values: Sequence[Any]) -> None:
        try:
            self.query(statement, values)
        except LedgerUnavailable as error:
            if isinstance(error.__cause__, (sqlite3.DataError, sqlite3.IntegrityError, OverflowError, UnicodeError)):
                raise ValueError(str(error.__cause__)) from error
            raise

    @contextlib.contextmanager
    def transaction(self, subject: str, patience_s: float | None = None) -> Iterator[None]:
        """Do all or nothing, as the only writer of the file; see `Database`."""
        self._begin(BUSY_S if patience_s is None else patience_s)
        try:
            yield
            self.query("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self.query("ROLLBACK")
            raise

    def _begin(self, patience_s: float) -> None:
        """Become the only writer of the file."""
        try:
            self.query(f"PRAGMA busy_timeout = {round(patience_s * 1000)}")
            self.query("BEGIN IMMEDIATE")
        finally:
            self.query(f"PRAGMA busy_timeout = {round(BUSY_S * 1000)}")

    def is_in_place(self) -> bool:
        """Tell whether the file is still the one that its path names, not deleted or replaced."""
        try:
            return self._path.stat().st_ino == self._inode
        except OSError:  # it, or a folder above it, is gone or something else
            return False

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    def _migrate(self) -> None:
        self._use_wal()
        self.query("PRAGMA synchronous = NORMAL")
        if self._version() == len(SQLITE):
            return  # as nearly always: then nobody who writes is waited for
        with self.transaction("migration"):
            for number, statements in enumerate(SQLITE[self._version() :], start=self._version() + 1):
                for statement in statements:
                    self.query(statement)
                self.query(f"PRAGMA user_version = {number}")

    def _use_wal(self) -> None:
        """Have readers and a writer at the same time; a new file that somebody else is just making is waited for."""
        until_s = time.monotonic() + BUSY_S
        while True:
            try:
                self.query("PRAGMA journal_mode = WAL")
                return
            except LedgerUnavailable as error:
                is_busy = isinstance(error.__cause__, sqlite3.Error) and error.__cause__.sqlite_errorcode == sqlite3.SQLITE_BUSY
                if not is_busy or time.monotonic() > until_s:
                    raise
            time.sleep(ASK_AGAIN_S)

    def _version(self) -> int:
        ((version,),) = self.query("PRAGMA user_version")
        if version > len(SQLITE):
            raise newer(str(self._path))
        return int(version)
