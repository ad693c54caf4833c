"""The profile of a function: what simulations need to know of it, and how long its calls would take elsewhere."""

from bisect import bisect_left
from dataclasses import dataclass

from servelite.assembly.environment import CORE_MB

WAITS_BELOW = 0.8
"""A lone call that computes for less than this part of its time waits for something; a smaller rest is what other processes took here."""

EVENT_US = 140
"""What an HTTP event takes at the Lambda door beyond the function's own time, on a whole core: `make figures`, part `lambda`."""

USABLE_SHARE = 0.9
"""Of a memory size, what a function may hold at its peak; the rest is for Lambda's own client, and for inputs larger than the examples."""

KIB_A_MB = 1024


@dataclass(frozen=True, slots=True)
class Profile:
    """What was measured of a function; times in µs.

    alone_us     a call by itself, one for each example
    batches_us   sizes of batches, 1 first, each with what the whole batch takes
    init_us      a worker's start: its process, its imports, its models, the first example
    cold_us      a process's start behind the Lambda door, None where there was none to see
    peak_kib     the largest memory of that process while it answered the examples; without one, of the workers
    cores_used   of a lone call: CPU time, all threads, for each second of its time
    max_workers  None for as many as there are cores
    """

    name: str
    alone_us: tuple[int, ...]
    batches_us: tuple[tuple[int, int], ...]
    init_us: int
    peak_kib: int
    cores_used: float = 1.0
    max_batch: int = 1
    max_workers: int | None = None
    timeout_s: float = 30.0
    memory_mib: int = 1024
    cold_us: int | None = None

    @property
    def mean_us(self) -> float:
        """A lone call, on average."""
        return sum(self.alone_us) / len(self.alone_us)

    @property
    def least_us(self) -> float:
        """The least that one call takes of its worker, which is in the best of batches."""
        return min(us / size for size, us in self.batches_us)

    def batch_us(self, size: int) -> float:
        """Return what a batch takes: between two measured sizes along a straight line, beyond the largest in proportion."""
        sizes = [one for one, _ in self.batches_us]
        place = bisect_left(sizes, size)
        if place == len(sizes):
            largest, us = self.batches_us[-1]
            return us * size / largest
        upper, upper_us = self.batches_us[place]
        if upper == size:
            return upper_us
        lower, lower_us = self.batches_us[place - 1]
        return lower_us + (upper_us - lower_us) * (size - lower) / (upper - lower)

    def fits(self, memory_mb: int) -> bool:
        """Tell whether a memory size of Lambda holds it."""
        return self.peak_kib <= USABLE_SHARE * memory_mb * KIB_A_MB

    def on_lambda_us(self, measured_us: int, memory_mb: int) -> int:
        """Return what measured work takes with the CPU that Lambda gives to a memory size.

        What computes is slower in proportion where it would use more cores than it gets, which is one for each 1,769 MB. It is never faster
        than it was here, and what only waits takes as long everywhere.
        """
        computing = 1.0 if self.cores_used > WAITS_BELOW else self.cores_used
        slower = max(1.0, max(1.0, self.cores_used) * CORE_MB / memory_mb)
        return round(measured_us * (1 - computing + computing * slower))

    def lambda_init_us(self, memory_mb: int) -> int:
        """Return what a cold start takes there: one thread that computes all the time."""
        return round((self.init_us if self.cold_us is None else self.cold_us) * max(1.0, CORE_MB / memory_mb))

    def lambda_calls_us(self, memory_mb: int) -> list[int]:
        """Return what a warm call takes there, one for each example."""
        event_us = round(EVENT_US * max(1.0, CORE_MB / memory_mb))
        return [self.on_lambda_us(us, memory_mb) + event_us for us in self.alone_us]
