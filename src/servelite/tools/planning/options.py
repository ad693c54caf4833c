"""The options that a plan compares, each simulated and priced: Lambda with a memory size, and the smallest fleet that will do."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from servelite.tools.planning.costs import TARIFFS, lambda_month_micro, servers_month_micro
from servelite.tools.planning.demand import Demand, Load
from servelite.tools.planning.fleet_simulation import ServerRun, simulate_server
from servelite.tools.planning.lambda_simulation import Rules, simulate_lambda
from servelite.tools.planning.profile import Profile

GATEWAY_US = 100
"""CPU time that a call takes of a server's gateway: half as fast as where `make figures`, part `tiny`, had 24,000 a second on two cores."""

ROAD_US = 250
"""What a lone call takes beyond its worker's time, on the server itself: the same, at one client."""

MOST_SERVERS = 10_000


@dataclass(frozen=True, slots=True)
class Lambda:
    """What is assumed of AWS Lambda.

    keep_alive_s    how long an environment stays that has nothing to do; AWS names no number
    concurrency     environments that may be busy at once
    with_free_tier  whether what AWS gives free each month is taken off
    """

    arch: Literal["x86_64", "arm64"] = "x86_64"
    keep_alive_s: float = 420.0
    concurrency: int = 1000
    with_free_tier: bool = False


@dataclass(frozen=True, slots=True)
class Server:
    """A server that can be rented: its price an hour, in millionths of a dollar, and its cores."""

    hour_micro: int
    cores: int = 2

    def workers(self, profile: Profile) -> int:
        """Return how many workers a function may have on it."""
        return profile.max_workers or self.cores

    def most_rps(self, profile: Profile) -> float:
        """Return how many calls a second it can do: as its workers, its gateway (one process) and its cores together let it."""
        by_workers = self.workers(profile) / max(1.0, profile.least_us)
        by_cores = self.cores / (GATEWAY_US + profile.least_us * profile.cores_used)
        return 1e6 * min(by_workers, by_cores, 1 / GATEWAY_US)


@dataclass(frozen=True, slots=True)
class Option:
    """What one option costs and does; times in µs, money in millionths of a dollar.

    size             the memory size, MB, of `lambda`; how many servers of `server`
    at_once          environments, or workers of all servers, that it takes at the busiest moment
    throttled_share  what part is refused: by Lambda, of the calls of the busiest minute; by servers, of all
    simulated_calls  what all this was seen of
    """

    place: Literal["lambda", "server"]
    size: int
    month_micro: int
    month_calls: int
    cold_share: float
    throttled_share: float
    p50_us: int
    p95_us: int
    at_once: int
    simulated_calls: int

    @property
    def million_micro(self) -> int:
        """What a million calls cost."""
        return round(self.month_micro * 1_000_000 / max(1, self.month_calls))

    def will_do(self, p95_us: int | None) -> bool:
        """Tell whether it answers every call, and 95 of 100 within a time, if one is asked."""
        return not self.throttled_share and (p95_us is None or self.p95_us <= p95_us)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A run on Lambda in short: what a call is billed on average, and what else came of it."""

    billed_us: float
    calls: int
    cold_share: float
    throttled_share: float
    quantiles_us: tuple[int, int]
    at_once: int


def on_lambda(profile: Profile, demand: Demand, terms: Lambda, memory_mb: int) -> Option:
    """Simulate a demand on Lambda with a memory size.

    What it costs is seen of whole days, without a limit. Where that might be reached, who is refused is seen of the busiest minute.
    """
    day = _day(profile, demand.model(), terms, memory_mb)
    busy, throttled_share = day.at_once, 0.0
    if demand.copies > 1 or busy > terms.concurrency:
        rush = _run(profile, demand.rush(len(profile.alone_us)), terms, memory_mb, terms.concurrency)
        busy, throttled_share = rush.at_once, rush.throttled_share
    month_micro = lambda_month_micro(TARIFFS[terms.arch], day.billed_us, memory_mb, demand.month_calls, with_free_tier=terms.with_free_tier)
    p50_us, p95_us = day.quantiles_us
    return Option(
        "lambda",
        memory_mb,
        month_micro,
        demand.month_calls,
        cold_share=day.cold_share,
        throttled_share=throttled_share,
        p50_us=p50_us,
        p95_us=p95_us,
        at_once=busy,
        simulated_calls=day.calls,
    )


@lru_cache(maxsize=64)  # one model stands for all high rates
def _day(profile: Profile, model: Demand, terms: Lambda, memory_mb: int) -> _Seen:
    return _run(profile, _days_load(model, len(profile.alone_us)), terms, memory_mb, sys.maxsize)


@lru_cache(maxsize=1)  # all memory sizes get the same calls
def _days_load(model: Demand, examples: int) -> Load:
    return model.for_lambda(examples)


def _run(profile: Profile, load: Load, terms: Lambda, memory_mb: int, most: int) -> _Seen:
    each_us = profile.lambda_calls_us(memory_mb)
    rules = Rules(profile.lambda_init_us(memory_mb), round(terms.keep_alive_s * 1e6), most)
    run = simulate_lambda(load.arrivals_us, [each_us[example] for example in load.examples], rules, load.counted_us)
    billed_us = sum(map(TARIFFS[terms.arch].billed_us, run.took_us)) / max(1, len(run.took_us))
    return _Seen(billed_us, load.counted, run.cold_share, run.throttled_share, quantiles(run.took_us), run.at_once)


def on_servers(profile: Profile, demand: Demand, server: Server, p95_us: int | None = None) -> Option | None:
    """Simulate a demand on the fewest servers that keep up in its busiest minute, and refuse nobody; None where no number will do.

    Nobody is refused where no call waits for longer than `timeout_s`. Which server a call goes to is left to chance.
    """
    fewest = int(demand.busiest_rps / server.most_rps(profile)) + 1
    enough, option = fewest, _on_so_many(profile, demand, server, fewest)
    while not option.will_do(p95_us):
        if enough >= MOST_SERVERS or (p95_us is not None and min(profile.alone_us) + ROAD_US > p95_us):
            return None
        fewest, enough = enough + 1, min(2 * enough, MOST_SERVERS)
        option = _on_so_many(profile, demand, server, enough)
    while fewest < enough:
        middle = (fewest + enough) // 2
        smaller = _on_so_many(profile, demand, server, middle)
        if smaller.will_do(p95_us):
            enough, option = middle, smaller
        else:
            fewest = middle + 1
    return option


def _on_so_many(profile: Profile, demand: Demand, server: Server, servers: int) -> Option:
    load = demand.for_server(servers, len(profile.alone_us))
    run = simulate_server(load.arrivals_us, load.examples, profile, server.workers(profile))
    p50_us, p95_us = (us + ROAD_US for us in quantiles(run.took_us))
    month_micro = servers_month_micro(server.hour_micro, servers)
    return Option(
        "server",
        servers,
        month_micro,
        demand.month_calls,
        cold_share=0.0,
        throttled_share=_refused_share(run, profile),
        p50_us=p50_us,
        p95_us=p95_us,
        at_once=run.workers * servers,
        simulated_calls=len(load.arrivals_us),
    )


def _refused_share(run: ServerRun, profile: Profile) -> float:
    return sum(wait_us > profile.timeout_s * 1e6 for wait_us in run.waits_us) / max(1, len(run.waits_us))


def quantiles(times_us: Sequence[int]) -> tuple[int, int]:
    """Return the times within which half and 95 of 100 of some fall; 0 of none."""
    ordered = sorted(times_us)
    count = len(ordered)
    return (ordered[(count - 1) // 2], ordered[(count * 95 + 99) // 100 - 1]) if ordered else (0, 0)
