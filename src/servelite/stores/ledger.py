"""The ledgers: SQLite behind a journal, and none."""

import logging
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path

from servelite.core.errors import ServeliteError
from servelite.core.ports import Row, Usage
from servelite.stores.journal import Journal
from servelite.stores.ledger_file import LedgerFile, journals_folder

MOVE_EVERY_S = 0.1
"""Rows of this span share one transaction; for so long a row may stand in the journal only."""

logger = logging.getLogger("servelite.ledger")


class SqliteLedger:
    """The `Ledger` port on an SQLite file: `record` appends to the journal, a thread moves rows behind."""

    def __init__(self, path: Path) -> None:
        """Open the ledger and take over what killed processes left in their journals.

        Raises:
            LedgerUnavailable: the file or its folder can't be written.
        """
        self._path = path
        with LedgerFile(path) as file:
            file.move_journals()
        self._journal = Journal(journals_folder(path))
        self._news = threading.Event()
        self._is_ending = threading.Event()
        self._mover = threading.Thread(target=self._keep_moving, name="ledger", daemon=True)
        self._mover.start()

    def record(self, rows: Sequence[Row]) -> None:
        """Append rows to the journal; LedgerUnavailable where the disk refuses."""
        self._journal.append(rows)
        if not self._news.is_set():
            self._news.set()

    def usage(self, by: str, since_us: int, until_us: int) -> list[Usage]:
        """Sum calls by `function`, `account` or `day`, those still in a journal among them."""
        return sum_usage(self._path, by, since_us, until_us)

    def close(self) -> None:
        """Move the last rows and give up the journal."""
        self._journal.close()
        self._is_ending.set()
        self._news.set()
        self._mover.join()

    def _keep_moving(self) -> None:
        is_ending = False
        with LedgerFile(self._path) as file:
            while not is_ending:
                self._news.wait()
                self._is_ending.wait(MOVE_EVERY_S)
                self._news.clear()
                is_ending = self._is_ending.is_set()  # asked before the last move, so that it misses nothing
                self._move(file)

    def _move(self, file: LedgerFile) -> None:
        try:
            file.move_journals()
        except (sqlite3.Error, OSError, ServeliteError) as error:
            logger.warning("rows stay in the journal for now: %s", error)
            self._news.set()


class NoLedger:
    """The `Ledger` port that keeps nothing: `--ledger none`."""

    def record(self, rows: Sequence[Row]) -> None:
        """Forget the rows."""

    def usage(self, by: str, since_us: int, until_us: int) -> list[Usage]:
        """Know of no call."""
        return []

    def close(self) -> None:
        """Have nothing to close."""


def sum_usage(path: Path, by: str, since_us: int, until_us: int) -> list[Usage]:
    """Sum the calls of a ledger that this process does not write; see `SqliteLedger.usage`."""
    with LedgerFile(path) as file:
        file.move_journals()
        return file.usage(by, since_us, until_us)
