"""When calls arrive: a day's curve for each pattern, and calls at random along it; random numbers come from the caller's generator."""

import math
from collections.abc import Callable, Iterable
from random import Random

MINUTES = 24 * 60

DAY_S = 60 * MINUTES

BUSIEST = 15 * 60
"""The minute of the day at which most calls come in the pattern `day`: 15:00."""

NIGHT = 0.02
"""What is left in the night, of the busiest minute."""

BURSTS, BURST_MINUTES, QUIET_SHARE = 6, 5, 0.05
"""The pattern `spiky`: so many bursts a day, so long; and what part of the calls comes between them, evenly."""

Curve = list[float]
"""How busy each minute of a day is, the mean being 1."""


def _steady(_random: Random) -> Curve:
    return [1.0] * MINUTES


def _day(_random: Random) -> Curve:
    hill = [(1 + math.cos(2 * math.pi * (minute - BUSIEST) / MINUTES)) / 2 for minute in range(MINUTES)]
    return [NIGHT + (1 - NIGHT) * height**2 for height in hill]


def _spiky(random: Random) -> Curve:
    slots = random.sample(range(MINUTES // BURST_MINUTES), BURSTS)
    in_burst = {slot * BURST_MINUTES + minute for slot in slots for minute in range(BURST_MINUTES)}
    burst, quiet = (1 - QUIET_SHARE) / (BURSTS * BURST_MINUTES), QUIET_SHARE / (MINUTES - BURSTS * BURST_MINUTES)
    return [burst if minute in in_burst else quiet for minute in range(MINUTES)]


PATTERNS: dict[str, Callable[[Random], Curve]] = {"steady": _steady, "day": _day, "spiky": _spiky}
"""The patterns by name."""


def curve(pattern: str, random: Random) -> Curve:
    """Return a pattern's curve; only `spiky` is made by chance."""
    heights = PATTERNS[pattern](random)
    mean = sum(heights) / MINUTES
    return [height / mean for height in heights]


def arrivals_us(rates: Iterable[float], minute_s: float, random: Random) -> list[int]:
    """Return when calls arrive, µs: a Poisson process that has one rate a second after the other, each for `minute_s`.

    A minute may be shorter than 60 s, and stand for a whole one all the same.
    """
    moments: list[int] = []
    for number, rate in enumerate(rates):
        now_s, end_s = number * minute_s, (number + 1) * minute_s
        while rate > 0 and (now_s := now_s + random.expovariate(rate)) < end_s:
            moments.append(int(now_s * 1e6))
    return moments
