"""Sums over the ledger, read from `days`, which holds those of each day: a month costs the same however many calls it had."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from servelite.core.accounts import Spent
from servelite.core.month import DAY_US
from servelite.core.ports import Usage
from servelite.stores.database import Database

KEY_OF_DAYS = ("day", "account", "key_id", "function", "stage", "gateway")
"""What the sums of a day are apart by."""

SUMS = (
    "calls",
    "failed",
    "compute_us",
    "cpu_us",
    "billed_us",
    "cost_pico",
    "billed_calls",
    "mib_us",
    "whole_s",
    "lambda_mib_ms",
)
"""The sums, in the order of `Usage`."""

_COLUMNS = {"function": "function", "account": "account", "key": "key_id", "day": "CAST(day AS TEXT)", "stage": "stage"}

_ADD = (
    f"INSERT INTO days ({', '.join([*KEY_OF_DAYS, *SUMS])}) VALUES ({', '.join('?' * len([*KEY_OF_DAYS, *SUMS]))}) "  # noqa: S608  our own names
    f"ON CONFLICT ({', '.join(KEY_OF_DAYS)}) DO UPDATE SET {', '.join(f'{name} = days.{name} + excluded.{name}' for name in SUMS)}"
)

_TAKE = f"DELETE FROM days WHERE day = ? AND gateway <> '' RETURNING {', '.join([*KEY_OF_DAYS, *SUMS])}"  # noqa: S608  our own names

_SPENT_SUMS = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in ("billed_us", "mib_us", "billed_calls"))

_SPENT = f"SELECT account, {_SPENT_SUMS} FROM days WHERE day >= ? AND stage = ''"  # noqa: S608  our own names


def usage(db: Database, by: Sequence[str], since_us: int, until_us: int, account: str | None = None) -> dict[str, list[Usage]]:
    """Sum the calls of some days in several ways; see `Ledger.usage`. One statement, for all it reads is of one moment."""
    values: list[int | str] = [since_us // DAY_US, -(-until_us // DAY_US), *([] if account is None else [account])]
    statement = " UNION ALL ".join(_summed_by(one, is_of_one=account is not None) for one in by)
    groups: dict[str, list[Usage]] = {one: [] for one in by}
    for one, group, *sums in db.query(statement, values * len(by)):
        groups[one].append(Usage(_day(int(group)) if one == "day" else group, *sums))
    return {one: sorted(found, key=lambda usage: (-usage.compute_us, usage.group)) for one, found in groups.items()}


def _summed_by(by: str, *, is_of_one: bool) -> str:
    sums = ", ".join(f"CAST(sum({name}) AS BIGINT)" for name in SUMS)
    which = ("stage <> ''" if by == "stage" else "stage = ''") + (" AND account = ?" if is_of_one else "")
    return f"SELECT '{by}', {_COLUMNS[by]}, {sums} FROM days WHERE day >= ? AND day < ? AND {which} GROUP BY {_COLUMNS[by]}"  # noqa: S608  our own names


def spent_elsewhere(db: Database, gateway: str, since_us: int) -> list[Spent]:
    """Sum what each account used since a month began; see `AccountBook.look`."""
    return [Spent(*row) for row in db.query(f"{_SPENT} AND gateway <> ? GROUP BY account", [since_us // DAY_US, gateway])]


def spent_by(db: Database, account: str, since_us: int) -> Spent:
    """Sum what an account used since a month began; see `AccountBook.spent_by`."""
    rows = db.query(f"{_SPENT} AND account = ? GROUP BY account", [since_us // DAY_US, account])
    return Spent(*rows[0]) if rows else Spent(account, 0, 0, 0)


def fold_gateways(db: Database, before_us: int) -> bool:
    """Put the sums of all gateways together, of the oldest day before a midnight that has some apart; tell whether there is more to do.

    Which gateway it was matters for quotas of the month only, and each start of a server is another one.
    """
    ((day,),) = db.query("SELECT min(day) FROM days WHERE day < ? AND gateway <> ''", [before_us // DAY_US])
    if day is None:
        return False
    with db.transaction("days"):
        # taken away before they are put together: what a late row adds meanwhile stands apart again, for a next time
        folded: dict[tuple[Any, ...], list[int]] = defaultdict(lambda: [0] * len(SUMS))
        for row in db.query(_TAKE, [day]):
            key, sums = row[: len(KEY_OF_DAYS) - 1], row[len(KEY_OF_DAYS) :]
            folded[key] = [before + more for before, more in zip(folded[key], sums, strict=True)]
        for key, together in sorted(folded.items()):
            db.query(_ADD, [*key, "", *together])
    return True


def _day(number: int) -> str:
    return f"{datetime.fromtimestamp(number * DAY_US // 1_000_000, UTC):%Y-%m-%d}"
