"""How long a call will wait, and what a worker's start costs: moving averages of what was measured."""

from dataclasses import dataclass

WEIGHT = 0.1
"""Of the newest measurement: after ten of them two thirds of the old average are forgotten."""


OUTLIER = 10
"""So many times the average is the most that one batch counts for: one call of 25 s must not refuse those of 10 ms that
follow, and a function that did become a thousand times slower is known for it after eleven batches."""


@dataclass(slots=True)
class Forecast:
    """Measured times of one function, µs; 0 where nothing was measured yet.

    batch_us  one batch in its worker
    init_us   one start of a worker, with its warm-up
    batches   batches that were measured
    """

    batch_us: float = 0.0
    init_us: float = 0.0
    batches: int = 0

    def saw_batch(self, took_us: int) -> None:
        """Learn from a batch; a single very slow one is taken for OUTLIER times the average."""
        self.batches += 1
        counted_us = min(took_us, self.batch_us * OUTLIER) if self.batch_us else took_us
        self.batch_us += (counted_us - self.batch_us) * max(WEIGHT, 1 / self.batches)  # at first the mean: a slow first is no rule

    def saw_start(self, took_us: int) -> None:
        """Learn from a start."""
        self.init_us += (took_us - self.init_us) * (0.5 if self.init_us else 1.0)

    def wait_us(self, waiting: int, max_batch: int, workers: int) -> float:
        """Return how long the next call will wait behind `waiting` others, all workers being busy."""
        return self.batch_us * (waiting // max_batch + 1) / (workers or 1)

    def is_dearer_than_a_start(self, ran_us: int, alone_us: int) -> bool:
        """Tell whether a run that nobody waits for should still take longer than a new worker takes to start.

        Where that can't be told, it may run on for as long as a start takes: then at most twice the least
        possible time is spent, whatever it would have taken.

        Args:
            ran_us: how long it has run.
            alone_us: for how much of that nobody has waited.
        """
        return max(self.batch_us - ran_us, alone_us) > self.init_us
