"""The demand: how many calls come and when, and as much of that as is simulated."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from random import Random

from servelite.tools.planning.arrivals import DAY_S, MINUTES, Curve, arrivals_us, curve
from servelite.tools.planning.costs import HOURS_A_MONTH

LEAST_RPS, MOST_RPS = 0.0001, 1_000_000.0

FEWEST_CALLS, MOST_DAYS = 5_000, 30
"""Where a day has fewer calls than this, several are simulated."""

MOST_LAMBDA_CALLS, MOST_RUSH_CALLS, MOST_SERVER_CALLS = 500_000, 50_000, 50_000
"""What is simulated at most of a day on Lambda, of its busiest minute, and of a day on one server: a tenth of a second each, about."""

LEAD_IN = 60
"""Minutes before midnight that are run, and not counted, so that the day begins as it ends."""


@dataclass(frozen=True, slots=True)
class Load:
    """Calls to simulate: when they arrive, and the number of the example that each is like; those before `counted_us` only lead in."""

    arrivals_us: Sequence[int]
    examples: Sequence[int]
    counted_us: int = 0

    @property
    def counted(self) -> int:
        """How many are counted."""
        return len(self.arrivals_us) - bisect_left(self.arrivals_us, self.counted_us)


@dataclass(frozen=True, slots=True)
class Demand:
    """Calls a second on average, and the pattern of a day; the same seed makes the same calls."""

    rps: float
    pattern: str
    seed: int = 1
    curve: Curve = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "curve", curve(self.pattern, Random(self.seed)))  # noqa: S311  no secret

    def at(self, rps: float) -> "Demand":
        """Return the same pattern at another rate."""
        return replace(self, rps=rps)

    @property
    def month_calls(self) -> int:
        """Calls of a month."""
        return round(self.rps * HOURS_A_MONTH * 3600)

    @property
    def busiest_rps(self) -> float:
        """Calls a second in the busiest minute."""
        return self.rps * max(self.curve)

    @property
    def copies(self) -> float:
        """How many scale models of it, side by side, it takes for Lambda; 1 where it is simulated as it is.

        A small pool of environments has relatively more cold starts than a large one: a model errs on the dear side.
        """
        return max(1.0, self.rps * DAY_S / MOST_LAMBDA_CALLS)

    def model(self) -> "Demand":
        """Return the scale model: as much of the rate as is simulated for Lambda."""
        return self.at(min(self.rps, MOST_LAMBDA_CALLS / DAY_S))

    def for_lambda(self, examples: int) -> Load:
        """Return whole days of calls."""
        heights = self.curve[-LEAD_IN:] + self.curve * _days(self.rps)
        return self._load(self.rps, heights, 60.0, examples, lead_in=LEAD_IN)

    def rush(self, examples: int) -> Load:
        """Return the beginning of the busiest minute at its true rate, with as much of the minute before it, uncounted."""
        busiest = self.curve.index(max(self.curve))
        minute_s = min(60.0, MOST_RUSH_CALLS / self.busiest_rps)
        return self._load(self.rps, [self.curve[busiest - 1], self.curve[busiest]], minute_s, examples, lead_in=1)

    def for_server(self, servers: int, examples: int) -> Load:
        """Return what one of so many servers gets of a day, at its true rate; where that is too much, the day runs by faster.

        What a queue does depends on the rate, and little on how long that lasts, as long as it keeps up.
        """
        rps = self.rps / servers
        return self._load(rps, self.curve * _days(rps), min(60.0, MOST_SERVER_CALLS / (rps * MINUTES)), examples)

    def _load(self, rps: float, heights: Curve, minute_s: float, examples: int, *, lead_in: int = 0) -> Load:
        random = Random(f"{self.pattern} {self.seed}")  # noqa: S311  as above
        moments = arrivals_us([rps * height for height in heights], minute_s, random)
        return Load(moments, random.choices(range(examples), k=len(moments)), round(lead_in * minute_s * 1e6))


def _days(rps: float) -> int:
    return min(MOST_DAYS, max(1, math.ceil(FEWEST_CALLS / (rps * DAY_S))))
