"""Ledgers without a journal: tables that are written at once, and none."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import Kept, Row, Usage

if TYPE_CHECKING:
    from servelite.stores.address import Address

logger = logging.getLogger("servelite.ledger")


class DirectLedger:
    """The `Ledger` port without a journal: `record` writes into the tables, while whoever asked waits.

    It is for a process that is frozen between calls, and whose disk goes with it. Rows of stages are held until a row comes of which they
    may be a part, and written together with it: so a pipeline waits once, and its sum never stands there without its parts.
    """

    def __init__(self, place: "Address") -> None:
        """Open the ledger; LedgerUnavailable where it can't be."""
        self._tables = place.tables()
        self._held: list[Row] = []

    def record(self, rows: Sequence[Row], kept: Sequence[Kept] = ()) -> None:
        """Write rows, and answers with them; LedgerUnavailable, in words for clients, where they can't be: then they are forgotten."""
        self._held += sorted(rows, key=lambda row: not row.stage)
        if kept or not all(row.stage for row in rows):
            self._write(kept)

    def usage(self, by: Sequence[str], since_us: int, until_us: int, account: str | None = None) -> dict[str, list[Usage]]:
        """Sum calls; see `Ledger`."""
        self._write()
        return self._tables.usage(by, since_us, until_us, account)

    def family(self, call: str) -> list[Row]:
        """Return the rows of a call and of those below it; see `Ledger`."""
        self._write()
        return self._tables.family(call)

    def close(self) -> None:
        """Write what is held, and let go of the tables."""
        self._write()
        self._tables.close()

    def _write(self, kept: Sequence[Kept] = ()) -> None:
        rows, self._held = self._held, []
        if not (rows or kept):
            return
        try:
            self._tables.record(rows, kept)
        except (LedgerUnavailable, ValueError) as error:  # its own words name a place
            logger.error("a call could not be metered: %s", error)
            raise LedgerUnavailable("The call could not be metered, so it is not answered. Try again later.") from error


class NoLedger:
    """The `Ledger` port that keeps nothing: `--ledger none`."""

    def record(self, rows: Sequence[Row], kept: Sequence[Kept] = ()) -> None:
        """Forget the rows."""

    def usage(self, by: Sequence[str], since_us: int, until_us: int, account: str | None = None) -> dict[str, list[Usage]]:
        """Know of no call."""
        return {one: [] for one in by}

    def family(self, call: str) -> list[Row]:
        """Know of no call."""
        return []

    def close(self) -> None:
        """Have nothing to close."""
