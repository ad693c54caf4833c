"""The calls of one function that wait for a worker: in order, counted, left out once nobody waits for them."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from servelite.core.call import Answer, Call

BATCH_BYTES = 32 * 1024 * 1024
"""Bodies of one batch, together; an eighth of the largest frame. One larger body still goes, alone."""

FOREVER = 1 << 62
"""A time that does not come, µs."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A call on its way to an answer.

    until_us  when it has waited for so long that it is not run any more
    ends      workers that ended while they ran it; after the first it is run alone
    is_taken  whether it is out of the queue: a worker has it, or nobody waits for it
    over      done when a worker that ran on for nobody has ended the run; None where none does
    """

    call: Call
    answer: asyncio.Future[Answer]
    arrived_us: int
    until_us: int = FOREVER
    ends: int = 0
    is_taken: bool = False
    over: asyncio.Future[None] | None = None


@dataclass(slots=True)
class Queue:
    """First come, first served; `length` counts those whose caller still waits.

    Where a handler may call other functions, calls of handlers stand in lines of their own, one for each depth: whoever waits for
    such a call holds a worker meanwhile. Elsewhere there is but the one line, so that batches are as large as may be.
    """

    length: int = 0
    is_by_depth: bool = False
    _lines: dict[int, deque[Waiting]] = field(default_factory=lambda: {0: deque()})

    def add(self, waiting: Waiting) -> None:
        """Put a call at the end of its line."""
        line = self._line(waiting) if self.is_by_depth else self._lines[0]
        line.append(waiting)
        self.length += 1

    def add_again(self, batch: list[Waiting]) -> None:
        """Put calls whose worker ended at the head, in their order; they have waited their time, and some callers left meanwhile."""
        for waiting in reversed(batch):
            if not waiting.answer.done():
                waiting.is_taken, waiting.until_us = False, FOREVER
                self._line(waiting).appendleft(waiting)
                self.length += 1

    def split(self) -> None:
        """Give each depth a line of its own from now on."""
        self.is_by_depth = True
        for waiting in list(self._lines.pop(0)):
            self._line(waiting).append(waiting)
        self._lines.setdefault(0, deque())

    def depths(self) -> list[int]:
        """Return the depths of those that wait, the deepest first."""
        return sorted((depth for depth, line in self._lines.items() if any(not one.answer.done() for one in line)), reverse=True)

    def ahead_of(self, depth: int) -> int:
        """Return how many go before the next call of a depth."""
        if not self.is_by_depth or depth == 0:
            return self.length
        return sum(not one.answer.done() for other, line in self._lines.items() if other >= depth for one in line)

    def forget(self, waiting: Waiting) -> None:
        """Leave out a call whose caller is gone; its body is not kept until its turn."""
        waiting.call.body, waiting.is_taken = b"", True
        self.length -= 1
        if sum(map(len, self._lines.values())) > 2 * self.length + 100:
            self._keep(lambda one: not one.answer.done())

    def take(self, most: int, now_us: int, depth: int = 0) -> tuple[list[Waiting], list[Waiting]]:
        """Return what fits in one batch of at most `most` calls, and those on the way that have waited too long."""
        batch: list[Waiting] = []
        late: list[Waiting] = []
        calls, size = self._lines[depth], 0
        while calls and len(batch) < most:
            waiting = calls[0]
            size += len(waiting.call.body)
            if batch and (waiting.ends or batch[0].ends or size > BATCH_BYTES):
                break
            calls.popleft()
            if waiting.answer.done():  # its caller is gone, and perhaps only about to say so: then it counts no longer
                self.length -= not waiting.is_taken
                waiting.is_taken = True
                continue
            if waiting.until_us < now_us:
                late.append(waiting)
                continue
            waiting.is_taken = True
            batch.append(waiting)
        self.length -= len(batch) + len(late)
        return batch, late

    def take_late(self, now_us: int) -> list[Waiting]:
        """Return those that have waited too long, wherever they stand."""
        return self._take_those(lambda one: one.until_us < now_us)

    def take_deep(self) -> list[Waiting]:
        """Return those that handlers wait for."""
        return self._take_those(lambda one: one.call.depth > 0)

    def take_all(self) -> list[Waiting]:
        """Return all that wait, and be empty."""
        return self._take_those(lambda _: True)

    def oldest_us(self) -> int:
        """Return when the first that waits arrived; FOREVER where none does."""
        return min(next((one.arrived_us for one in line if not one.answer.done()), FOREVER) for line in self._lines.values())

    def _line(self, waiting: Waiting) -> deque[Waiting]:
        return self._lines.setdefault(waiting.call.depth if self.is_by_depth else 0, deque())

    def _take_those(self, are_meant: Callable[[Waiting], bool]) -> list[Waiting]:
        taken = [one for line in self._lines.values() for one in line if not one.answer.done() and are_meant(one)]
        if taken:
            gone = set(map(id, taken))
            self._keep(lambda one: id(one) not in gone)
            self.length -= len(taken)
        return taken

    def _keep(self, are_kept: Callable[[Waiting], bool]) -> None:
        self._lines = {depth: deque(filter(are_kept, line)) for depth, line in self._lines.items()}
