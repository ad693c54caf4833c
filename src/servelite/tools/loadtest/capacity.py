"""The search for the capacity: the highest rate of calls, whatever the server does, that keeps an SLO; doubled, then halved in between."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import sqrt

from servelite.tools.loadtest.summary import Row

FIRST_RPS, LEAST_RPS, MOST_RPS = 16.0, 1.0, 65_536.0

BISECTIONS = 4
"""After a doubling: what is found is within 1/16 of it."""

BUSY = 0.9
"""Who makes the load and wants a core for more of the time than this is in its own way: what it measures is itself."""

TRIES = 2
"""Of a rate that is missed: what else a machine does may make any step miss once."""

TICK_S = 1.0
"""How often Locust looks whether a load is over: it lasts up to this much longer than it should."""

LATE_SHARE = 0.05
"""So many of the calls that were due may be missing at a step's end, beyond what chance does."""


@dataclass(frozen=True, slots=True)
class Step:
    """A rate that was tried: what came of it, whether the SLO was kept, and how busy those were who made the load."""

    rps: float
    row: Row
    kept: bool
    busiest: float

    @property
    def is_limited(self) -> bool:
        """Whether the generator was the bottleneck."""
        return self.busiest > BUSY


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a search found: the highest rate that was kept and the lowest that was not, None for none; limited where the generator was."""

    steps: tuple[Step, ...]
    kept_rps: float | None
    missed_rps: float | None
    is_limited: bool


def came_through(rps: float, time_s: float, row: Row) -> bool:
    """Tell whether about as many calls were answered as were due, in as many seconds as the load lasted."""
    due = rps * time_s
    return row.calls >= due * (1 - LATE_SHARE) - 3 * sqrt(due)


async def find_capacity(try_rate: Callable[[float], Awaitable[Step]]) -> Capacity:
    """Search: twice as much until it is too much, or half as much until it is not, then halve what is between."""
    steps: list[Step] = []

    async def keeps(rps: float) -> bool:
        for _ in range(TRIES):
            steps.append(await try_rate(rps))
            if steps[-1].kept or steps[-1].is_limited:
                break
        return steps[-1].kept

    rps, direction = FIRST_RPS, 2.0 if await keeps(FIRST_RPS) else 0.5
    while not steps[-1].is_limited and LEAST_RPS <= rps * direction <= MOST_RPS:
        rps *= direction
        if await keeps(rps) is (direction < 1):
            break
    for _ in range(BISECTIONS):
        low, high = _bounds(steps)
        if steps[-1].is_limited or low is None or high is None:
            break
        await keeps((low + high) / 2)
    return Capacity(tuple(steps), *_bounds(steps), is_limited=steps[-1].is_limited)


def _bounds(steps: list[Step]) -> tuple[float | None, float | None]:
    """Return the highest rate that was kept, and the lowest that never was; all of the former are below all of the latter."""
    kept = {one.rps for one in steps if one.kept}
    return max(kept, default=None), min({one.rps for one in steps} - kept, default=None)
