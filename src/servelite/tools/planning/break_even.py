"""The break-even rate: from how many calls a second servers cost less than Lambda; and what both cost at many rates, to be drawn."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from servelite.tools.planning.costs import servers_month_micro
from servelite.tools.planning.demand import LEAST_RPS, Demand
from servelite.tools.planning.options import Lambda, Server, on_lambda, on_servers
from servelite.tools.planning.profile import Profile

PRECISION = 1.01
"""The rate is found to one part in a hundred; what goes into it is known less well."""

STEP = 1.3
"""How far the search goes at once from its guess, until the rate is between two that were tried."""

MOST_FLEETS = 4
"""Fleets of up to so many servers are tried. A call costs the same on larger ones."""


@dataclass(frozen=True, slots=True)
class BreakEven:
    """From `rps` calls a second on, `servers` cost less than Lambda; None where they never do, and one server is full at `full_rps`."""

    rps: float | None
    servers: int
    full_rps: float


@dataclass(frozen=True, slots=True)
class Rates:
    """What a demand costs at any rate, in millionths of a dollar; None where it can't be had.

    sizes   the memory sizes of Lambda of which the cheapest counts: those that will do at the rate that is asked about
    p95_us  what the fleet has to keep
    """

    profile: Profile
    demand: Demand
    terms: Lambda
    server: Server | None
    sizes: Sequence[int]
    p95_us: int | None = None

    def lambda_micro(self, rps: float) -> int | None:
        """Price Lambda with the cheapest memory size."""
        options = [on_lambda(self.profile, self.demand.at(rps), self.terms, size) for size in self.sizes]
        return min((one.month_micro for one in options), default=None)

    def fleet(self, rps: float) -> tuple[int, int] | None:
        """Return how many servers it takes, and what they cost."""
        if self.server is None:
            return None
        option = on_servers(self.profile, self.demand.at(rps), self.server, self.p95_us)
        return (option.size, option.month_micro) if option else None


def break_even(rates: Rates, server: Server) -> BreakEven:
    """Find the rate from which servers cost less; there must be sizes of Lambda.

    N servers are cheaper from the rate at which Lambda costs what they cost, if they can do as much.
    """
    full_rps = server.most_rps(rates.profile) / max(rates.demand.curve)
    asked_rps, asked_micro = rates.demand.rps, rates.lambda_micro(rates.demand.rps) or 1
    for servers in range(1, MOST_FLEETS + 1):
        target_micro = servers_month_micro(server.hour_micro, servers)
        rps = _rate_at(rates.lambda_micro, target_micro, asked_rps * target_micro / asked_micro, full_rps * servers)
        if rps is not None and (fleet := rates.fleet(rps)) is not None and fleet[0] <= servers:
            return BreakEven(rps, servers, full_rps)
    return BreakEven(None, 0, full_rps)


def _rate_at(cost_micro: Callable[[float], int | None], target_micro: int, guess_rps: float, most_rps: float) -> float | None:
    """Find the rate at which a cost that grows with it reaches a target, by bisection; None where it is less even at `most_rps`."""

    def reaches(rps: float) -> bool:
        return (cost_micro(rps) or 0) >= target_micro

    low = high = min(max(guess_rps, LEAST_RPS), most_rps)
    while not reaches(high):
        if high >= most_rps:
            return None
        low, high = high, min(high * STEP, most_rps)
    while low > LEAST_RPS and reaches(low):
        low, high = max(low / STEP, LEAST_RPS), low
    if reaches(low):
        return LEAST_RPS
    while high / low > PRECISION:
        middle = math.sqrt(low * high)
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return high


DRAWN, DECADES = 25, 3
"""So many rates are drawn, over so many powers of ten: around the rate that is asked about."""


def drawn_rates(rps: float) -> list[float]:
    """Return the rates to draw, evenly on a logarithmic scale."""
    return [rate for step in range(DRAWN) if (rate := rps * 10 ** (DECADES * (step / (DRAWN - 1) - 0.5))) >= LEAST_RPS]
