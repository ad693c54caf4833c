"""One server of a fleet, simulated: a queue, and workers that take all that waits, up to `max_batch`, when they become free.

Workers are added by the rule of the real pool, with its own forecast: while a call would wait for longer than is worth one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush, heapreplace

from servelite.runtime.forecast import Forecast
from servelite.runtime.pool import GROW_WAIT_US
from servelite.tools.planning.profile import Profile


@dataclass(frozen=True, slots=True)
class ServerRun:
    """What came of some calls on one server.

    waits_us  how long each call waited for a worker
    took_us   how long each took in all, its batch included
    batches   how many calls each batch had
    busy_us   for how long workers were occupied, all together
    workers   how many there were at last
    """

    waits_us: list[int]
    took_us: list[int]
    batches: list[int]
    busy_us: int
    workers: int

    @property
    def mean_batch(self) -> float:
        """Calls of a batch, on average."""
        return sum(self.batches) / max(1, len(self.batches))


class _Workers:
    """The workers of a server: when each is free again, and when one more is started."""

    def __init__(self, profile: Profile, most: int) -> None:
        self._profile, self._most = profile, most
        self._free_us = [0]  # a heap
        self._all_ready_us = 0
        self._forecast = Forecast()
        self._running: list[tuple[int, int]] = []  # when batches end that the forecast has not seen yet, and what they take

    @property
    def count(self) -> int:
        return len(self._free_us)

    @property
    def free_us(self) -> int:
        """When the next one is free."""
        return self._free_us[0]

    def see(self, now_us: int, waiting: int, oldest_us: int) -> None:
        """Start one more, if there may be one and the wait of the call that has just come is worth it; see `Pool`."""
        if now_us >= self.free_us or self.count >= self._most:
            return
        while self._running and self._running[0][0] <= now_us:
            self._forecast.saw_batch(heappop(self._running)[1])
        forecast_us = self._forecast.wait_us(waiting, self._profile.max_batch, self.count)
        waited_us = now_us - oldest_us if now_us >= self._all_ready_us else 0
        if max(forecast_us, waited_us) > GROW_WAIT_US:
            self._all_ready_us = now_us + self._profile.init_us
            heappush(self._free_us, self._all_ready_us)

    def run(self, begun_us: int, batch_us: int) -> None:
        """Have the next free one run a batch."""
        heapreplace(self._free_us, begun_us + batch_us)
        if self.count < self._most:
            heappush(self._running, (begun_us + batch_us, batch_us))


def simulate_server(arrivals_us: Sequence[int], examples: Sequence[int], profile: Profile, most_workers: int) -> ServerRun:
    """Run calls, each with its arrival and the example that it is like, on a server that may have so many workers of the function.

    A batch takes what one of its size was measured to take, more or less as its calls' examples take more or less than the average.
    """
    weights = [us / profile.mean_us for us in profile.alone_us]
    sized_us = [profile.batch_us(size) / size for size in range(1, profile.max_batch + 1)]
    workers = _Workers(profile, most_workers)
    waits_us, took_us, batches = list[int](), list[int](), list[int]()
    busy_us = first = arrived = 0  # calls from `first` up to `arrived` wait
    while first < len(arrivals_us):
        oldest_us = arrivals_us[first]
        while arrived < len(arrivals_us) and (now_us := arrivals_us[arrived]) <= max(workers.free_us, oldest_us):
            arrived += 1
            workers.see(now_us, arrived - first, oldest_us)
        begun_us = max(workers.free_us, oldest_us)
        calls = range(first, min(arrived, first + profile.max_batch))
        batch_us = round(sized_us[len(calls) - 1] * sum([weights[examples[call]] for call in calls]))
        workers.run(begun_us, batch_us)
        waits_us += [begun_us - arrivals_us[call] for call in calls]
        took_us += [begun_us - arrivals_us[call] + batch_us for call in calls]
        batches.append(len(calls))
        busy_us += batch_us
        first = calls.stop
    return ServerRun(waits_us, took_us, batches, busy_us, workers.count)
