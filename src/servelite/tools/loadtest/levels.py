"""The shapes of a load: how much of it there is at each moment of a run."""

from collections.abc import Callable
from math import cos, pi

QUIET = 0.2
"""How much of a spiky load there is between its spikes."""

RAMP_S = 60.0
"""How long a ramp takes in a run without an end."""

SPIKES = 4
"""In a run that ends; without an end one comes each quarter of a minute."""


def steady(_at_s: float, _time_s: float) -> float:
    """All of it, all the time."""
    return 1.0


def ramp(at_s: float, time_s: float) -> float:
    """More and more of it, all of it at the end."""
    return min(1.0, at_s / time_s)


def spiky(at_s: float, time_s: float) -> float:
    """A fifth of it, and all of it in spikes that take a third of the time."""
    period_s = time_s / SPIKES
    return 1.0 if cos(2 * pi * at_s / period_s) < -0.5 else QUIET


SHAPES: dict[str, Callable[[float, float], float]] = {"steady": steady, "spiky": spiky, "ramp": ramp}


def level(shape: str, at_s: float, time_s: float | None) -> float:
    """Return the share of the load that there is `at_s` seconds into a run of `time_s`, None for one without an end."""
    return SHAPES[shape](at_s, time_s or RAMP_S)
