"""What a pool has seen since it started, in plain counters that a monitor may read at any time."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from servelite.core.call import Answer
from servelite.core.errors import wire_code

BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the duration histograms, seconds: Prometheus' defaults, and 1 and 2.5 ms for small models."""


@dataclass(slots=True)
class Histogram:
    """Counts of values by upper bound; the last count has no bound."""

    bounds: Sequence[float]
    counts: list[int] = field(init=False)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def observe(self, value: float) -> None:
        """Count a value."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value


@dataclass(slots=True)
class Statistics:
    """Counters of one function."""

    calls: Counter[str] = field(default_factory=Counter)
    start_s: Histogram = field(default_factory=lambda: Histogram(BOUNDS_S))
    worker_ends: Counter[str] = field(default_factory=Counter)
    cold_calls: int = 0
    compute_us: int = 0
    cpu_us: int = 0
    queue_s: Histogram = field(default_factory=lambda: Histogram(BOUNDS_S))
    compute_s: Histogram = field(default_factory=lambda: Histogram(BOUNDS_S))
    batch: Histogram = field(default_factory=lambda: Histogram((1, 2, 4, 8, 16, 32, 64, 128)))

    def started(self, took_us: int) -> None:
        """Count the start of a worker."""
        self.start_s.observe(took_us / 1e6)

    def ran(self, calls: int, compute_us: int, cpu_us: int) -> None:
        """Count a batch."""
        self.compute_us += compute_us
        self.cpu_us += cpu_us
        self.batch.observe(calls)
        self.compute_s.observe(compute_us / 1e6)

    def answered(self, answers: Sequence[Answer]) -> None:
        """Count calls by what came of them."""
        failed = [wire_code(answer.error) for answer in answers if answer.error]
        self.calls["ok"] += len(answers) - len(failed)
        self.calls.update(failed)
        for answer in answers:
            self.queue_s.observe(answer.receipt.queue_us / 1e6)
            self.cold_calls += answer.receipt.cold
