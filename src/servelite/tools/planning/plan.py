"""The plan: every option that there is for a function and a demand, the cheapest that will do, and the break-even rate."""

from collections.abc import Sequence
from dataclasses import dataclass

from servelite.core.errors import DefinitionError
from servelite.tools.planning.break_even import BreakEven, Rates, break_even
from servelite.tools.planning.demand import Demand
from servelite.tools.planning.options import Lambda, Option, Server, on_lambda, on_servers
from servelite.tools.planning.profile import Profile

SIZES_MB = (128, 256, 512, 1024, 1769, 3008)
"""Memory sizes of Lambda that are compared, from the smallest to the largest that new accounts may have; 1,769 MB have one whole core."""

MOST_MB = 10_240


@dataclass(frozen=True, slots=True)
class Plan:
    """What was found.

    too_small_mb  memory sizes that do not hold the function
    fleet         None where no server was named, or no number of them will do
    cheapest      of the options that will do, of several the fastest; None where none will
    rates         what the demand costs at other rates
    break_even    None where there are not two that will do
    """

    profile: Profile
    demand: Demand
    terms: Lambda
    server: Server | None
    p95_us: int | None
    lambdas: Sequence[Option]
    too_small_mb: Sequence[int]
    fleet: Option | None
    cheapest: Option | None
    rates: Rates
    break_even: BreakEven | None

    @property
    def options(self) -> list[Option]:
        """All that were simulated."""
        return [*self.lambdas, *([self.fleet] if self.fleet else [])]


def make_plan(profile: Profile, demand: Demand, terms: Lambda, server: Server | None = None, p95_us: int | None = None) -> Plan:
    """Simulate and price all options.

    Raises:
        DefinitionError: the function fits into no memory size of Lambda, and no server was named.
    """
    sizes = sorted({*SIZES_MB, *([profile.memory_mib] if SIZES_MB[0] < profile.memory_mib <= MOST_MB else [])})
    fitting = [size for size in sizes if profile.fits(size)]
    if not fitting and server is None:
        raise DefinitionError(
            f"{profile.name} held {profile.peak_kib // 1024:,} MiB, too much for the memory sizes of Lambda up to {sizes[-1]:,} MB, and no "
            "server is compared. Name one with --server-per-hour PRICE, or raise memory_mib, which is tried as a size too."
        )
    lambdas = [on_lambda(profile, demand, terms, size) for size in fitting]
    fleet = on_servers(profile, demand, server, p95_us) if server else None
    doing = [one for one in (*lambdas, *([fleet] if fleet else [])) if one.will_do(p95_us)]
    cheapest = min(doing, key=lambda one: (one.month_micro, one.p95_us), default=None)
    rates = Rates(profile, demand, terms, server, [one.size for one in doing if one.place == "lambda"], p95_us)
    return Plan(
        profile,
        demand,
        terms,
        server,
        p95_us,
        lambdas,
        [size for size in sizes if size not in fitting],
        fleet,
        cheapest,
        rates,
        break_even(rates, server) if server and rates.sizes else None,
    )
