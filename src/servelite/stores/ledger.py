"""The ledger of a process that goes on: tables behind a journal."""

import contextlib
import logging
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from servelite.core.ports import Kept, Row, Usage
from servelite.stores.address import Address
from servelite.stores.journal import Journal
from servelite.stores.moving import move_journals

KEEPER_ENDS_WITHIN_S = 10.0
"""How long the end waits for the keeper's last move; what it leaves is moved by whoever opens the ledger next."""

KEEPER_AGAIN_S = 5.0
"""How often a keeper is looked after: one that was killed has a successor so much later."""

logger = logging.getLogger("servelite.ledger")


class JournaledLedger:
    """The `Ledger` port on a database: `record` appends to the journal; a keeper moves the rows behind, if there is one."""

    def __init__(self, place: Address, start_keeper: Callable[[], subprocess.Popen[bytes]] | None = None, gateway: str = "") -> None:
        """Open the ledger and take over what killed processes left in their journals; `gateway` is whose ledger it is.

        The keeper is started now, and again if it ends; without one the rows are moved when the ledger is read, and when it is closed.

        Raises:
            LedgerUnavailable: the database or the journal's folder can't be written.
        """
        self._place = place
        self._start_keeper = start_keeper
        self._keeper: subprocess.Popen[bytes] | None = None
        self._look_at_s = 0.0
        self._move()  # all of it, whatever it takes: quotas and repeated calls have to know what was answered before
        self._journal = Journal(place.journals, gateway)
        self._look_after_keeper()

    def record(self, rows: Sequence[Row], kept: Sequence[Kept] = ()) -> None:
        """Append rows, and answers with them, to the journal; LedgerUnavailable where the disk refuses."""
        self._journal.append(rows, kept)
        self._look_after_keeper()

    def usage(self, by: Sequence[str], since_us: int, until_us: int, account: str | None = None) -> dict[str, list[Usage]]:
        """Sum calls; see `Ledger`. Those still in the journals come in first, unless a keeper sees to that: its work is not done here.

        It does so in idle time and in a process of its own; here calls would wait for it.
        """
        keeper = self._keeper
        is_kept = keeper is not None and keeper.poll() is None
        return sum_usage(self._place, by, (since_us, until_us), account, moves_journals=not is_kept)

    def family(self, call: str) -> list[Row]:
        """Return the rows of a call and of those below it; see `Ledger`. Journals are moved first if its own is not in the tables yet."""
        with contextlib.closing(self._place.tables()) as tables:
            found = tables.family(call)
            if not found:  # a call's own row is written last, so where it has come those below it have
                move_journals(tables, self._place.journals)
                found = tables.family(call)
            return found

    def close(self) -> None:
        """Give up the journal, and have its last rows moved."""
        self._journal.close()
        if self._keeper is None:
            self._move()
        else:
            try:
                self._keeper.communicate(timeout=KEEPER_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:  # it still moves; should this process live on, somebody has to take note of its end
                threading.Thread(target=self._keeper.wait, name="servelite-keeper-end", daemon=True).start()

    def _look_after_keeper(self) -> None:
        if self._start_keeper is not None and time.monotonic() >= self._look_at_s:
            self._look_at_s = time.monotonic() + KEEPER_AGAIN_S
            self._have_keeper(self._start_keeper)

    def _have_keeper(self, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        """Start a keeper where none is."""
        if self._keeper is not None:
            if self._keeper.poll() is None:
                return
            logger.warning("the keeper of the ledger ended (%s), another is started", self._keeper.returncode)
            _close_stdin(self._keeper)
        with contextlib.suppress(OSError):  # no process to be had now: the rows are kept, and it is tried again
            self._keeper = start()

    def _move(self) -> None:
        with contextlib.closing(self._place.tables()) as tables:
            move_journals(tables, self._place.journals)


def _close_stdin(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if process.stdin is not None:
            process.stdin.close()


def sum_usage(
    place: Address, by: Sequence[str], span_us: tuple[int, int], account: str | None = None, *, moves_journals: bool = True
) -> dict[str, list[Usage]]:
    """Sum the calls of a ledger, by default with those still in the journals; none where it does not exist yet. See `Ledger.usage`."""
    if not (place.journals.exists() or place.exists()):
        return {one: [] for one in by}
    with contextlib.closing(place.tables()) as tables:
        if moves_journals:
            move_journals(tables, place.journals)
        return tables.usage(by, *span_us, account)
