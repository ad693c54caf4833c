"""Sums over the ledger, read from `days`, which holds those of each day: a month costs the same however many calls it had."""

from datetime import UTC, datetime

from servelite.core.accounts import Spent
from servelite.core.errors import DefinitionError
from servelite.core.ports import BY, Usage
from servelite.stores.database import Database
from servelite.stores.migrations import DAY_US, SUMS

_COLUMNS = {"function": "function", "account": "account", "key": "key_id", "day": "day", "stage": "stage"}


def usage(db: Database, by: str, since_us: int, until_us: int, account: str | None = None) -> list[Usage]:
    """Sum the calls of some days; see `Ledger.usage`."""
    if by not in BY:
        raise DefinitionError(f"Usage can't be summed by '{by}'. It can by: {', '.join(BY)}.")
    column = _COLUMNS[by]
    sums = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in SUMS)
    which = "stage <> ''" if by == "stage" else "stage = ''"
    values: list[int | str] = [since_us // DAY_US, -(-until_us // DAY_US)]
    if account is not None:
        which, values = f"{which} AND account = ?", [*values, account]
    rows = db.query(
        f"SELECT {column}, {sums} FROM days WHERE day >= ? AND day < ? AND {which} GROUP BY {column} ORDER BY 4 DESC, 1",  # noqa: S608  our own names
        values,
    )
    return [Usage(_day(row[0]) if by == "day" else row[0], *row[1:]) for row in rows]


def spent_elsewhere(db: Database, gateway: str, since_us: int) -> list[Spent]:
    """Sum what each account used since a midnight; see `AccountBook.spent`."""
    sums = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in ("billed_us", "mib_us", "billed_calls"))
    rows = db.query(
        f"SELECT account, {sums} FROM days WHERE day >= ? AND gateway <> ? AND stage = '' GROUP BY account",  # noqa: S608  our own names
        [since_us // DAY_US, gateway],
    )
    return [Spent(*row) for row in rows]


def _day(number: int) -> str:
    return f"{datetime.fromtimestamp(number * DAY_US // 1_000_000, UTC):%Y-%m-%d}"
