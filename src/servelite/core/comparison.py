"""What a month's calls would have cost: at this tariff, at Algorithmia, on AWS Lambda, and on a rented machine.

Algorithmia rounded each call up to a whole second; its prices are the tariff's default. AWS counts the time of every
call, failed ones too, in whole milliseconds, times at least 128 MiB, and each call is a request; its prices stand in
`core.tariff`. A rented machine costs its hours, with or without calls.

What is free is taken off for each account at this tariff and at Algorithmia, whose accounts they would have been. On AWS it
is taken off once: one AWS account would have served them all.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from servelite.core.month import HOUR_US
from servelite.core.ports import Usage
from servelite.core.tariff import MICRO, PRESETS, Tariff, rounded_micro

Used = tuple[int, int]
"""Units, and calls."""


@dataclass(frozen=True, slots=True)
class Rent:
    """A rented machine: its price an hour, in millionths of the tariff's currency, and its hours."""

    hour_micro: int
    hours: int


@dataclass(frozen=True, slots=True)
class Price:
    """What calls cost in one place, in millionths of the currency's unit.

    place       `tariff`, `algorithmia`, `lambda-x86`, `lambda-arm` or `machine`
    counted_us  what that place counts of their time, in its measure: seconds (`s`), `GB-s` or hours (`h`)
    calls       what it counts of them
    """

    place: str
    counted_us: int
    measure: str
    calls: int
    list_micro: int
    payable_micro: int
    currency: str

    @property
    def free_micro(self) -> int:
        """What of the list price is free."""
        return self.list_micro - self.payable_micro


def compare(accounts: Sequence[Usage], tariff: Tariff, rent: Rent | None = None) -> list[Price]:
    """Price what accounts used in a month; a machine only if one is rented."""
    ours = [(tariff.units(one.billed_us, one.mib_us), one.billed_calls) for one in accounts]
    whole_seconds = [(one.whole_s * MICRO, one.billed_calls) for one in accounts]
    requests = [(sum(one.lambda_mib_ms for one in accounts) * 1000, sum(one.calls for one in accounts))]
    prices = [_price("tariff", tariff, ours), _price("algorithmia", PRESETS["algorithmia"], whole_seconds)]
    prices += [_price(place, PRESETS[place], requests) for place in ("lambda-x86", "lambda-arm")]
    if rent is not None:
        prices.append(_rented(rent, sum(one.calls for one in accounts), tariff.currency))
    return prices


def _price(place: str, tariff: Tariff, accounts: Sequence[Used]) -> Price:
    """Price what each account used, and round the sums."""
    counted_us = sum(units for units, _ in accounts) // tariff.units_a_us
    list_pico = sum(tariff.cost_pico(units, calls) for units, calls in accounts)
    payable_pico = sum(tariff.payable_pico(units, calls) for units, calls in accounts)
    measure = "GB-s" if tariff.weighs_memory else "s"
    calls = sum(calls for _, calls in accounts)
    return Price(place, counted_us, measure, calls, rounded_micro(list_pico), rounded_micro(payable_pico), tariff.currency)


def _rented(rent: Rent, calls: int, currency: str) -> Price:
    cost_micro = rent.hours * rent.hour_micro
    return Price("machine", rent.hours * HOUR_US, "h", calls, cost_micro, cost_micro, currency)
