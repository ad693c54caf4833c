"""A call's row with those of all calls that it was made of, however deep, read from the ledger's database."""

from servelite.core.ports import Row
from servelite.stores.database import Database

MOST_ROWS = 10_000
"""Rows that are read of one call."""

_COLUMNS = ", ".join(f"calls.{name}" for name in Row._fields)

# the index `calls_by_parent` holds only rows that have one, which a query has to say to use it
_FAMILY = f"""
    WITH RECURSIVE family (id) AS (
      SELECT id FROM calls WHERE id = ?
      UNION SELECT calls.id FROM calls JOIN family ON calls.parent = family.id WHERE calls.parent <> ''
    )
    SELECT {_COLUMNS} FROM calls JOIN family ON calls.id = family.id LIMIT {MOST_ROWS}
"""  # noqa: S608  our own names


def read_family(db: Database, call: str) -> list[Row]:
    """Return the rows of a call and of those below it, its own first; none where it has none. See `Ledger.family`."""
    return own_first(call, [Row(*row) for row in db.query(_FAMILY, [call])])


def own_first(call: str, rows: list[Row]) -> list[Row]:
    """Return rows with that of a call first; none where it is not among them."""
    own = [row for row in rows if row.id == call]
    return [*own, *(row for row in rows if row.id != call)] if own else []
