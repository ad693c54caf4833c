"""The ledgers: SQLite behind a journal, and none."""

import contextlib
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from servelite.core.ports import Row, Usage
from servelite.stores.journal import Journal
from servelite.stores.ledger_file import LedgerFile, journals_folder

KEEPER_ENDS_WITHIN_S = 10.0
"""How long the end waits for the keeper's last move; what it leaves is moved by whoever opens the ledger next."""


class SqliteLedger:
    """The `Ledger` port on an SQLite file: `record` appends to the journal; a keeper moves the rows behind, if there is one."""

    def __init__(self, path: Path, start_keeper: Callable[[Path], subprocess.Popen[bytes]] | None = None) -> None:
        """Open the ledger and take over what killed processes left in their journals.

        The keeper is started with the first row; without one the rows are moved when the ledger is closed.

        Raises:
            LedgerUnavailable: the file or its folder can't be written.
        """
        self._path = path
        self._start_keeper = start_keeper
        self._keeper: subprocess.Popen[bytes] | None = None
        with LedgerFile(path) as file:
            file.move_journals()
        self._journal = Journal(journals_folder(path))

    def record(self, rows: Sequence[Row]) -> None:
        """Append rows to the journal; LedgerUnavailable where the disk refuses."""
        self._journal.append(rows)
        if self._keeper is None and self._start_keeper is not None:
            with contextlib.suppress(OSError):  # no process to be had now: the rows are kept, and the next call tries again
                self._keeper = self._start_keeper(self._path)

    def usage(self, by: str, since_us: int, until_us: int) -> list[Usage]:
        """Sum calls by `function`, `account` or `day`, those still in a journal among them."""
        return sum_usage(self._path, by, since_us, until_us)

    def close(self) -> None:
        """Give up the journal, and have its last rows moved."""
        self._journal.close()
        if self._keeper is None:
            with LedgerFile(self._path) as file:
                file.move_journals()
        else:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._keeper.communicate(timeout=KEEPER_ENDS_WITHIN_S)


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
