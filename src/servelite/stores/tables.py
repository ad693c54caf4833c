"""What a ledger keeps, whatever it is kept in: calls and their sums, kept answers, keys, and how far journals have come."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from servelite.core.accounts import ApiKey
from servelite.core.ports import Kept, Row, Usage
from servelite.stores.lines import Lines

ReadOn = Callable[[int], tuple[Lines, int] | None]
"""Reads on in a journal's file, from an offset; returns what comes and where that ends, None where nothing comes."""


class Tables(Protocol):
    """One connection; whoever wants one opens their own. What goes wrong is LedgerUnavailable."""

    def record(self, rows: Sequence[Row], kept: Sequence[Kept] = ()) -> None:
        """Keep rows, each id once, and answers with them, each Idempotency-Key's first; once it returns, nothing loses them.

        Raises:
            ValueError: a value can't stand in its place.
        """
        ...

    def usage(self, by: Sequence[str], since_us: int, until_us: int, account: str | None = None) -> dict[str, list[Usage]]:
        """Sum the calls of some days; see `Ledger.usage`."""
        ...

    def family(self, call: str) -> list[Row]:
        """Return the row of a call, then those of all below it; see `Ledger.family`."""
        ...

    def moved(self, names: Sequence[str]) -> Mapping[str, int]:
        """Return how far files of a journal have been moved, bytes; those that are not known are left out."""
        ...

    def move(self, name: str, read_on: ReadOn) -> int | None:
        """Take in what comes next in a journal's file, each row once whoever moves it too; return where it ends, None where nothing comes.

        Raises:
            ValueError: a value can't stand in its place; nothing is noted as moved.
        """
        ...

    def forget(self, name: str) -> None:
        """Forget a file that is gone."""
        ...

    def free(self, gateway: str) -> None:
        """Let go of the Idempotency-Keys of a gateway that is dead; where that is not done, they are free before long."""
        ...

    def let_go(self, now_us: int, keep_days: int) -> bool:
        """Let go of what has become old, as far as nobody else sees to that; return whether there is more to do, for a next time."""
        ...

    def add_key(self, key: ApiKey) -> None:
        """Keep a new key."""
        ...

    def all_keys(self) -> list[ApiKey]:
        """Return every key, revoked ones too, oldest first."""
        ...

    def revoke_key(self, key_id: str, now_us: int) -> None:
        """Make a key worth nothing from now on; one that was revoked before stays so since then."""
        ...

    def is_in_place(self) -> bool:
        """Tell whether they are still those that their name leads to."""
        ...

    def close(self) -> None:
        """Let go of them."""
        ...
