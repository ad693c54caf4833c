"""AWS Lambda, simulated: environments that answer one call at a time, started when none is free, kept for a while when they rest."""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush


@dataclass(frozen=True, slots=True)
class LambdaRun:
    """What came of some calls.

    took_us    of each answered call, its start included where it was cold: what Lambda bills, and what its caller waits for
    cold       calls that waited for a start
    throttled  calls that were refused, because `most` environments were busy
    at_once    environments that were busy at the same time, at most
    """

    took_us: list[int]
    cold: int
    throttled: int
    at_once: int

    @property
    def cold_share(self) -> float:
        """What part of the answered calls was cold."""
        return self.cold / max(1, len(self.took_us))

    @property
    def throttled_share(self) -> float:
        """What part of all calls was refused."""
        return self.throttled / max(1, len(self.took_us) + self.throttled)


@dataclass(frozen=True, slots=True)
class Rules:
    """How Lambda runs one function's calls.

    init_us        a cold start
    keep_alive_us  how long an environment stays that rests
    most           environments that may be busy at once
    """

    init_us: int
    keep_alive_us: int
    most: int = 1000


def simulate_lambda(arrivals_us: Sequence[int], durations_us: Sequence[int], rules: Rules, counted_us: int = 0) -> LambdaRun:
    """Run calls, each with its arrival and its duration when warm.

    A free environment takes the next call, the most recently used one first; where none is free, one is started for it. Calls beyond
    what may be busy at once are refused. What arrives before `counted_us` only leads in: it starts environments, as many as it
    needs, and is not counted.
    """
    busy: list[int] = []  # when each will be free, a heap
    resting: list[int] = []  # since when each rests; what became free last stands last, so this is in order
    took_us: list[int] = []
    cold = throttled = at_once = 0
    for now_us, duration_us in zip(arrivals_us, durations_us, strict=True):
        while busy and busy[0] <= now_us:
            resting.append(heappop(busy))
        if resting and now_us - resting[-1] > rules.keep_alive_us:
            resting.clear()
        is_counted = now_us >= counted_us
        if is_counted and len(busy) >= rules.most:
            throttled += 1
            continue
        if resting:
            resting.pop()
        else:
            cold += is_counted
            duration_us += rules.init_us  # noqa: PLW2901  of this one call
        heappush(busy, now_us + duration_us)
        if is_counted:
            took_us.append(duration_us)
            at_once = max(at_once, len(busy))
    return LambdaRun(took_us, cold, throttled, at_once)
