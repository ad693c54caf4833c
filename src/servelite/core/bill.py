"""A month's bill, as programs read it: what groups of calls used and cost, and what accounts have free and to pay."""

import re
from collections.abc import Mapping, Sequence
from operator import attrgetter
from typing import Any

from servelite.core.month import CalendarMonth
from servelite.core.ports import BY, Usage
from servelite.core.tariff import Tariff, rounded_micro


def read_month(said: str) -> CalendarMonth:
    """Read a month as 2026-11; ValueError, with the cure, for anything else."""
    found = re.fullmatch("([1-9][0-9]{3})-(0[1-9]|1[0-2])", said)
    if not found or found[1] == "9999":
        raise ValueError(f"'{said[:50]}' is not a month. Write for example 2026-11.")
    return CalendarMonth(int(found[1]), int(found[2]))


def read_by(said: str) -> str:
    """Read what usage is to be summed by; ValueError, with the cure, for anything else."""
    if said not in BY:
        raise ValueError(f"Usage can't be summed by '{said[:50]}'. It can by: {', '.join(BY)}.")
    return said


def sums_of_bill(by: str) -> list[str]:
    """Return what usage has to be summed by for a bill: as was asked for, and by account, for accounts are who pays."""
    return list(dict.fromkeys([by, "account"]))


def in_order(by: str, groups: Sequence[Usage]) -> list[Usage]:
    """Return groups as a bill has them: days as they come, all else as it was summed."""
    return sorted(groups, key=attrgetter("group")) if by == "day" else list(groups)


def bill(month: CalendarMonth, by: str, sums: Mapping[str, Sequence[Usage]], tariff: Tariff) -> dict[str, Any]:
    """Put a month's sums together, for programs: those that `sums_of_bill` names, all of one moment."""
    return {
        "month": f"{month}",
        "usage": [priced(one, by, tariff) for one in in_order(by, sums[by])],
        "accounts": [free(one, tariff) for one in sums["account"]],
    }


def priced(usage: Usage, by: str, tariff: Tariff) -> dict[str, Any]:
    """Say what a group used and cost, free time not taken off."""
    return {
        by: usage.group,
        "calls": usage.calls,
        "failed": usage.failed,
        "compute_us": usage.compute_us,
        "cpu_us": usage.cpu_us,
        "billed_us": usage.billed_us,
        "cost_micro": rounded_micro(usage.cost_pico),
        "currency": tariff.currency,
    }


def free(usage: Usage, tariff: Tariff) -> dict[str, Any]:
    """Say what an account has left of its free time, and has to pay."""
    units = tariff.units(usage.billed_us, usage.mib_us)
    return {
        "account": usage.group,
        "billed_us": usage.billed_us,
        "free_left_us": tariff.free_left_us(units),
        "payable_micro": rounded_micro(tariff.payable_pico(units, usage.billed_calls)),
        "currency": tariff.currency,
    }
