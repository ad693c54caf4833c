"""What the ledger's tables stand in: SQLite or PostgreSQL, behind the little that both are asked for.

Statements are written once, with `?` for values, in the SQL that both speak; what they do not share is in `migrations`.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from servelite.core.errors import LedgerUnavailable


class Database(Protocol):
    """One connection; whoever wants one opens their own. What goes wrong is LedgerUnavailable."""

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement, and return its rows, none where it has none."""
        ...

    def insert(self, table: str, columns: Sequence[str], key: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows, in this database's fastest way, but not those whose key is there already; in a transaction.

        All values of a column are of one type: text, whole numbers, or bytes.

        Raises:
            ValueError: a value can't stand in its column.
        """
        ...

    def transaction(self, subject: str, patience_s: float | None = None) -> AbstractContextManager[None]:
        """Do all that is in the block, or nothing; one at a time among those of the same subject.

        Others are waited for, for so long at most where that is said.
        """
        ...

    def is_in_place(self) -> bool:
        """Tell whether it is still the one that its name leads to."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def newer(name: str) -> LedgerUnavailable:
    """Return the error for tables of a later version than this program knows."""
    return LedgerUnavailable(f"The ledger {name} was written by a newer servelite. Update servelite, or name another ledger.")


def unusable(name: str, error: Exception | str) -> LedgerUnavailable:
    """Return the error for a database that refuses."""
    return LedgerUnavailable(f"The ledger {name} can't be used: {error}. Mend it, or name another with --ledger.")
