"""A month's usage as people read it: tables, a comparison of prices, a chart of its days."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from itertools import repeat
from typing import TYPE_CHECKING, Any

from servelite.cli.output import chart, table
from servelite.cli.usage_report import Report, total
from servelite.core.bill import free
from servelite.core.comparison import Price
from servelite.core.month import HOUR_US, day_of
from servelite.core.ports import Usage
from servelite.core.tariff import MICRO, Tariff, money, rounded_micro

if TYPE_CHECKING:
    from servelite.cli.output import Block, Page

NUMBERS = ("calls", "failed", "compute s", "cpu s", "billed s", "cost")

PLACES = {
    "tariff": "at this tariff",
    "algorithmia": "at Algorithmia",
    "lambda-x86": "on Lambda x86",
    "lambda-arm": "on Lambda arm",
    "machine": "on this machine",
}
"""How people read the places of `core.comparison`."""

SECONDS = ((1_000 * MICRO, 6), (100_000 * MICRO, 3))
"""Times below so much are written with so many decimals, larger ones without: no column is wider than 10 characters for long."""

FINE_AMOUNTS_MICRO = 10 * MICRO
"""Amounts below this are written to the last millionth, larger ones to the hundredth. JSON has them all exactly."""

CENT_MICRO = MICRO // 100


def as_page(report: Report, *, with_chart: bool = False) -> "Page":
    """Return a report as tables and texts, with empty lines between."""
    parts = [_groups(report) if report.groups else _nothing(report)]
    if report.accounts:
        parts.append(_accounts(report))
    if report.prices is not None:
        parts += [_comparison(report.prices), _notes(report)]
    if with_chart and report.days and report.groups:
        parts.append(_chart(report.days, report.now_us))
    return [line for part in parts for line in (part, "")][:-1]


def _nothing(report: Report) -> str:
    whose = f" of account {report.account}" if report.account else ""
    if report.by == "stage":
        return f"No stages of pipelines{whose} in {report.month}."
    return f"No calls{whose} in the ledger {report.ledger} in {report.month}. It belongs to the folder in which the server was started."


def _groups(report: Report) -> "Block":
    summed = total(report.groups)
    rows = report.groups if report.by == "stage" else [*report.groups, summed]  # a stage that is a pipeline holds others
    most_us = max(summed.compute_us, summed.cpu_us, summed.billed_us)
    costs = _amounts([rounded_micro(one.cost_pico) for one in rows], repeat(report.tariff.currency))
    return table([report.by, *NUMBERS], [[*_cells(one, most_us), cost] for one, cost in zip(rows, costs, strict=True)], NUMBERS)


def _cells(usage: Usage, most_us: int) -> list[str]:
    times = [_seconds(us, most_us) for us in (usage.compute_us, usage.cpu_us, usage.billed_us)]
    return [usage.group or "-", f"{usage.calls:,}", f"{usage.failed:,}", *times]


def _accounts(report: Report) -> "Block":
    """Tell what accounts have left and are to pay: one in a sentence, several in a table where they were asked for."""
    tariff, title = report.tariff, report.month.title
    free_time = f"{tariff.free_s:,} free {tariff.measure}"
    bills = [free(one, tariff) for one in report.accounts]
    left = [f"{one['free_left_us'] / MICRO:,.3f}" for one in bills]
    if len(bills) == 1:
        return f"Account {bills[0]['account']} in {title}: {left[0]} of {free_time} left, to pay {_together(bills, tariff)}."
    if report.by != "account":
        return f"{len(bills)} accounts in {title}, each with {free_time}: to pay {_together(bills, tariff)} together. See --by account."
    payable = _amounts([one["payable_micro"] for one in bills], repeat(tariff.currency))
    columns = ["account", f"left of {free_time}", "to pay"]
    return table(columns, [[one["account"], *cells] for one, *cells in zip(bills, left, payable, strict=True)], columns[1:])


def _together(bills: Sequence[Mapping[str, Any]], tariff: Tariff) -> str:
    return money(sum(one["payable_micro"] for one in bills), tariff.currency)


def _comparison(prices: Sequence[Price]) -> "Block":
    most_us = max(one.counted_us for one in prices if one.measure != "h")
    currencies = [one.currency for one in prices]
    columns = {
        "the same calls": [PLACES[one.place] for one in prices],
        "counted": [f"{one.counted_us // HOUR_US:,}" if one.measure == "h" else _seconds(one.counted_us, most_us) for one in prices],
        "in": [one.measure for one in prices],
        "list price": _amounts([one.list_micro for one in prices], currencies),
        "free": _amounts([one.free_micro for one in prices], currencies),
        "to pay": _amounts([one.payable_micro for one in prices], currencies),
    }
    return table(list(columns), list(zip(*columns.values(), strict=True)), ["counted", "list price", "free", "to pay"])


def _notes(report: Report) -> str:
    """Say what of a comparison its numbers do not show."""
    notes = ["Algorithmia rounded each call up to a whole second. Lambda counts memory and requests, and gives its free part once."]
    if report.rent is not None:
        month = f"{report.month.title}{'' if report.month.is_over(report.now_us) else ' so far'}"
        price = money(report.rent.hour_micro, report.tariff.currency)
        notes.append(f"The machine costs {price} for each hour of {month}, with or without calls.")
    return "\n".join(notes)


def _chart(days: Sequence[tuple[date, int]], now_us: int) -> "Block":
    """Draw the days that have come, and those later ones that have calls all the same."""
    last = max([day_of(now_us), *(day for day, us in days if us)])
    most_us = max(us for _, us in days)
    return chart(["day (UTC)", "compute s"], [(f"{day}", _seconds(us, most_us), us) for day, us in days if day <= last])


def _seconds(us: int, most_us: int) -> str:
    """Write a time in a column whose largest is `most_us`."""
    decimals = next((decimals for below_us, decimals in SECONDS if most_us < below_us), 0)
    return f"{us / MICRO:,.{decimals}f}"


def _amounts(micros: Sequence[int], currencies: Iterable[str]) -> list[str]:
    """Write a column of amounts, their points one below the other."""
    if max(micros) >= FINE_AMOUNTS_MICRO:
        micros = [(micro + CENT_MICRO // 2) // CENT_MICRO * CENT_MICRO for micro in micros]
    decimals = max(len(money(micro, "").strip().partition(".")[2]) for micro in micros)
    return [money(micro, currency, decimals) for micro, currency in zip(micros, currencies, strict=False)]
