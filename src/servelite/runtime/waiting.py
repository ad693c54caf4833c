"""The calls of one function that wait for a worker: in order, counted, left out once nobody waits for them."""

import asyncio
from collections import deque
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
    """First come, first served; `length` counts those whose caller still waits."""

    length: int = 0
    _calls: deque[Waiting] = field(default_factory=deque)

    def add(self, waiting: Waiting) -> None:
        """Put a call at the end."""
        self._calls.append(waiting)
        self.length += 1

    def add_again(self, batch: list[Waiting]) -> None:
        """Put calls whose worker ended at the head, in their order; they have waited their time, and some callers left meanwhile."""
        for waiting in reversed(batch):
            if not waiting.answer.done():
                waiting.is_taken, waiting.until_us = False, FOREVER
                self._calls.appendleft(waiting)
                self.length += 1

    def forget(self, waiting: Waiting) -> None:
        """Leave out a call whose caller is gone; its body is not kept until its turn."""
        waiting.call.body, waiting.is_taken = b"", True
        self.length -= 1
        if len(self._calls) > 2 * self.length + 100:
            self._calls = deque(one for one in self._calls if not one.answer.done())

    def take(self, most: int, now_us: int) -> tuple[list[Waiting], list[Waiting]]:
        """Return what fits in one batch of at most `most` calls, and those on the way that have waited too long."""
        batch: list[Waiting] = []
        late: list[Waiting] = []
        calls, size = self._calls, 0
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
        late = [one for one in self._calls if one.until_us < now_us and not one.answer.done()]
        if late:
            gone = set(map(id, late))
            self._calls = deque(one for one in self._calls if id(one) not in gone)
            self.length -= len(late)
        return late

    def take_all(self) -> list[Waiting]:
        """Return all that wait, and be empty."""
        all_ = [one for one in self._calls if not one.answer.done()]
        for waiting in self._calls:
            waiting.is_taken = True
        self._calls.clear()
        self.length = 0
        return all_

    def oldest_us(self) -> int:
        """Return when the first that waits arrived; FOREVER where none does."""
        return next((one.arrived_us for one in self._calls if not one.answer.done()), FOREVER)
