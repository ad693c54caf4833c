"""What a month costs: of calls on AWS Lambda by the price lists of `core.tariff`, of servers by their hours."""

from servelite.core.tariff import PRESETS, Tariff, rounded_micro

HOURS_A_MONTH = 730
"""An average month, as clouds reckon: 365 days of 24 hours, in twelve parts."""

TARIFFS = {"x86_64": PRESETS["lambda-x86"], "arm64": PRESETS["lambda-arm"]}
"""Lambda's prices, by processor as Lambda names it."""


def lambda_month_micro(tariff: Tariff, mean_us: float, memory_mb: int, month_calls: int, *, with_free_tier: bool) -> int:
    """Price a month of calls that are each billed so much time on average, in millionths of a dollar."""
    billed_us = round(mean_us * month_calls)
    units = tariff.units(billed_us, tariff.mib_us(billed_us, memory_mb))
    price = tariff.payable_pico if with_free_tier else tariff.cost_pico
    return rounded_micro(price(units, month_calls))


def servers_month_micro(hour_micro: int, servers: int) -> int:
    """Price a month of servers, which cost their hours with or without calls."""
    return hour_micro * HOURS_A_MONTH * servers
