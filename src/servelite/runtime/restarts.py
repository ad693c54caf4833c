"""When a worker is started again that could not be, or ended before its first call: at growing intervals, while it is known why."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from servelite.core.errors import ServeliteError, WorkerDied, WorkerKilled

PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses between attempts to start a worker again; the last one repeats."""

BARREN_STARTS = 3
"""So many workers in a row may end by themselves, without ever having been given a call, before the next waits its turn."""

logger = logging.getLogger("servelite.workers")


@dataclass(slots=True)
class Restarts:
    """The failed starts of one function's workers; `try_again` is told when the next may be tried.

    error  why the last one failed, None where it did not
    """

    name: str
    try_again: Callable[[], None]
    error: ServeliteError | None = None
    _failures: int = 0
    _barren: int = 0
    _timer: asyncio.TimerHandle | None = None
    _is_stopped: bool = False

    @property
    def is_pausing(self) -> bool:
        """Whether a start failed just now."""
        return self._timer is not None

    @property
    def is_hopeless(self) -> bool:
        """Whether there is nothing to wait for until the pause is over; one killed from outside is first tried once more."""
        return self.is_pausing and not (self._failures == 1 and isinstance(self.error, WorkerKilled))

    def succeeded(self) -> None:
        """Take note that a worker is ready."""
        self._cancel()
        self.error, self._failures = None, max(0, self._barren - BARREN_STARTS)

    def told(self, error: ServeliteError) -> None:
        """Take note of a start that failed behind others' backs, and say so in the log."""
        if str(error) != str(self.error):  # what is tried again and again is told once
            logger.error("%s can't be started: %s", self.name, error.detail, extra={"function": self.name, "reason": error.code})
        self.failed(error)

    def failed(self, error: ServeliteError) -> None:
        """Take note of a start that failed."""
        self.error = error
        if self._timer is None and not self._is_stopped:
            pause_s = PAUSES_S[min(self._failures, len(PAUSES_S) - 1)]
            self._failures += 1
            self._timer = asyncio.get_running_loop().call_later(pause_s, self._pause_is_over)

    def ended(self, *, by_itself: bool, was_given_calls: bool) -> WorkerDied | None:
        """Take note of a worker that ended; return an error where too many in a row did before their first call."""
        self._barren = 0 if was_given_calls else self._barren + by_itself
        if self._barren <= BARREN_STARTS:
            return None
        return WorkerDied(f"Workers of {self.name} end before their first call, one after the other.")

    def stop(self) -> None:
        """Try no more."""
        self._is_stopped = True
        self._cancel()

    def _pause_is_over(self) -> None:
        self._timer = None
        self.try_again()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None
