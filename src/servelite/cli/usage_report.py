"""A month's usage as `servelite usage` has read it, and as programs read it: JSON and CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from servelite.core.bill import bill, in_order, priced
from servelite.core.comparison import Price, Rent
from servelite.core.month import CalendarMonth
from servelite.core.ports import Usage
from servelite.core.tariff import Tariff


@dataclass(frozen=True, slots=True)
class Report:
    """What there is to tell of a month; `now_us` is when it was read.

    sums      what was used, by what `by` says and by account, which is what is billed
    ledger    the ledger's name, and `account` the only one that was asked for
    prices    what it would have cost, and `rent` of the machine among the places; None where nobody asked
    days      each day's compute time, µs; None where nobody asked
    """

    month: CalendarMonth
    now_us: int
    by: str
    sums: Mapping[str, Sequence[Usage]]
    tariff: Tariff
    ledger: str
    account: str | None = None
    prices: Sequence[Price] | None = None
    rent: Rent | None = None
    days: Sequence[tuple[date, int]] | None = None

    @property
    def groups(self) -> list[Usage]:
        """What was used, by function, account or whatever `by` says."""
        return in_order(self.by, self.sums[self.by])

    @property
    def accounts(self) -> Sequence[Usage]:
        """What each account used."""
        return self.sums["account"]


def as_json(report: Report) -> dict[str, Any]:
    """Return a report as JSON-able data."""
    said = bill(report.month, report.by, report.sums, report.tariff)
    return said if report.prices is None else {**said, "compare": [_price(one) for one in report.prices]}


def as_csv(report: Report) -> str:
    """Return the groups of a report as CSV, or its comparison where somebody asked for it."""
    columns = list(priced(total([]), report.by, report.tariff))
    rows = [priced(one, report.by, report.tariff) for one in report.groups]
    if report.prices is not None:
        rows = [_price(one) for one in report.prices]
        columns = list(rows[0])
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def total(groups: Sequence[Usage]) -> Usage:
    """Sum groups."""
    numbers = [one.name for one in fields(Usage) if one.name != "group"]
    return Usage("total", *(sum(getattr(one, name) for one in groups) for name in numbers))


def _price(price: Price) -> dict[str, Any]:
    return {
        "place": price.place,
        "counted_us": price.counted_us,
        "measure": price.measure,
        "calls": price.calls,
        "list_micro": price.list_micro,
        "free_micro": price.free_micro,
        "payable_micro": price.payable_micro,
        "currency": price.currency,
    }
