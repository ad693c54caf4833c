"""One server of a fleet, simulated: a queue, and workers that take all that waits, up to `max_batch`, when they become free.

Workers are added by the rule of the real pool, with its own forecast: while a call would wait for longer than is worth one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappush, heapreplace

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


def simulate_server(arrivals_us: Sequence[int], examples: Sequence[int], profile: Profile, most_workers: int) -> ServerRun:
    """Run calls, each with its arrival and the example that it is like, on a server that may have so many workers of the function.

    A batch takes what one of its size was measured to take, more or less as its calls' examples take more or less than the average.
    """
    weights = [us / profile.mean_us if profile.mean_us else 1.0 for us in profile.alone_us]
    sized_us = [0.0, *(profile.batch_us(size) for size in range(1, profile.max_batch + 1))]
    forecast, free_us, count = Forecast(sized_us[1]), [0], len(arrivals_us)
    waits_us, took_us, batches = list[int](), list[int](), list[int]()
    busy_us = first = arrived = 0  # calls from `first` up to `arrived` wait
    while first < count:
        while arrived < count and (now_us := arrivals_us[arrived]) <= max(free_us[0], arrivals_us[first]):
            arrived += 1
            if now_us < free_us[0] and len(free_us) < most_workers:
                forecast_us = forecast.wait_us(arrived - first, profile.max_batch, len(free_us))
                if max(forecast_us, now_us - arrivals_us[first]) > GROW_WAIT_US:
                    heappush(free_us, now_us + profile.init_us)
        begun_us = max(free_us[0], arrivals_us[first])
        size = min(arrived - first, profile.max_batch)
        batch_us = round(sized_us[size] * sum([weights[examples[call]] for call in range(first, first + size)]) / size)
        heapreplace(free_us, begun_us + batch_us)
        forecast.saw_batch(batch_us)
        waits_us += [begun_us - arrivals_us[call] for call in range(first, first + size)]
        took_us += [begun_us + batch_us - arrivals_us[call] for call in range(first, first + size)]
        batches.append(size)
        busy_us += batch_us
        first += size
    return ServerRun(waits_us, took_us, batches, busy_us, len(free_us))
