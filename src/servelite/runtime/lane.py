"""One worker as its pool sees it: whether it starts, rests, is busy or leaves, and since when."""

import asyncio
from dataclasses import dataclass, field

from servelite.core.call import Answer
from servelite.core.errors import WorkerDied
from servelite.core.function import Description
from servelite.core.ports import Worker
from servelite.runtime.metering import Wait
from servelite.runtime.waiting import FOREVER, Waiting

SETTLING_BATCHES = 5
"""What a worker holds after its first batches is its size: many load something with the first call."""

LOOK_BATCHES = 50
"""A peak never falls; how often a worker that once was large is looked at: a look costs some 50 µs."""

RECYCLE_SHARE = 0.7
"""Of the memory between a worker's size and its limit: grown beyond, it is replaced between calls."""

FULL_SHARE = 0.9
"""Of the limit: grown beyond, a worker takes no more calls, whether its successor is ready or not."""

EXTRA_IDLE_S = 10.0
"""How long a worker may have nothing to do that is one more than `max_workers`."""


@dataclass(slots=True, eq=False)
class Lane:
    """A worker; times on the monotonic clock, µs.

    limit_kib    memory at which it is killed
    recycle_kib  memory at which its successor is started
    ready_us     when its start ended; 0 before
    has_core     whether it counts as busy, see `Cores`
    batch        the calls that it runs
    taken_us     when it took them
    left_us      when the last of their callers left; FOREVER while one waits
    questions    what its handler asks of other functions at the moment, by number
    waited_us    for how long it only waited for that, of this batch, and `paused_us` since when it does
    memory_kib   its memory when it was last looked at, at `looked_us`
    peak_kib     its largest memory so far, as it says itself
    is_trial     whether it was started to see if an edit can be loaded: until it is ready, nobody counts on it
    leaves_for   why it takes no more calls, a word for the metrics; "" while it does
    end          the word for its end
    """

    worker: Worker
    threads: int
    started_us: int
    limit_kib: int
    recycle_kib: int = FOREVER
    description: Description = field(init=False, repr=False)
    ready_us: int = 0
    idle_since_us: int = 0
    has_core: bool = False
    batch: list[Waiting] = field(default_factory=list)
    batches: int = 0
    taken_us: int = 0
    left_us: int = FOREVER
    questions: dict[int, asyncio.Future[Answer]] = field(default_factory=dict)
    waited_us: int = 0
    paused_us: int = 0
    memory_kib: int = 0
    looked_us: int = 0
    peak_kib: int = 0
    is_being_replaced: bool = False
    is_trial: bool = False
    leaves_for: str = ""
    end: str = WorkerDied.code
    _alarm: asyncio.Future[None] | None = None

    @property
    def is_fit(self) -> bool:
        """Whether it may take another batch."""
        return not self.leaves_for and self.worker.is_alive

    @property
    def may_take(self) -> bool:
        """Whether it takes another batch, at once or soon: it neither leaves nor waits for other functions, and is no trial."""
        return not self.leaves_for and not self.questions and bool(self.ready_us or not self.is_trial)

    @property
    def depth(self) -> int:
        """How many handlers wait for its batch; -1 where it has none."""
        return self.batch[0].call.depth if self.batch else -1

    @property
    def is_full(self) -> bool:
        """Whether it has so little memory left that it should take no more calls."""
        return self.memory_kib > max(self.recycle_kib, FULL_SHARE * self.limit_kib)

    @property
    def state(self) -> str:
        """A word for the metrics."""
        if not self.ready_us:
            return "starting"
        if not self.is_fit:
            return "leaving"
        if self.questions:
            return "waiting"
        return "busy" if self.has_core else "idle"

    def is_idle_for_long(self, now_us: int, *, is_extra: bool) -> bool:
        """Tell whether it had nothing to do for as long as it may."""
        if self.state != "idle":
            return False
        idle_s = self.description.limits.idle_s
        return now_us - self.idle_since_us >= (min(idle_s, EXTRA_IDLE_S) if is_extra else idle_s) * 1e6

    def wait(self, arrived_us: int) -> Wait:
        """Split the wait of a call of its batch into what the worker's start took and what is left."""
        waited_us = self.taken_us - arrived_us
        init_us = self.ready_us - max(arrived_us, self.started_us) if arrived_us < self.ready_us else 0
        return Wait(waited_us - init_us, init_us)

    def computed_us(self, now_us: int) -> int:
        """Return what its batch took until now, without what its handler only waited for."""
        waits_us = now_us - self.paused_us if self.questions else 0
        return now_us - self.taken_us - self.waited_us - waits_us

    def is_worth_a_look(self, peak_kib: int) -> bool:
        """Tell after a batch, given its highest memory so far, whether to measure it: while it settles, and when it may be large."""
        self.batches += 1
        is_higher, self.peak_kib = peak_kib > self.peak_kib, peak_kib
        if self.batches <= SETTLING_BATCHES or peak_kib <= self.recycle_kib:
            return self.batches <= SETTLING_BATCHES
        return is_higher or self.memory_kib > self.recycle_kib or self.batches % LOOK_BATCHES == 0

    def settle(self) -> None:
        """Take the memory that it has now for its size; one that is nearly full by then is never replaced early."""
        room_kib = self.limit_kib - self.memory_kib
        self.recycle_kib = self.memory_kib + int(room_kib * RECYCLE_SHARE) if room_kib > 0 else FOREVER

    def leave(self, reason: str) -> None:
        """Take no more calls; it ends when its batch has."""
        if not self.leaves_for:
            self.leaves_for = self.end = reason
            self.rouse()

    def drop_questions(self) -> None:
        """Leave what it asks of other functions: its batch has ended, and nobody is told."""
        dropped, self.questions = self.questions, {}
        for question in dropped.values():
            question.cancel()

    def cancel_questions(self) -> None:
        """Leave what it asks of other functions; its handler is told so, and may end."""
        for question in self.questions.values():
            question.cancel()

    async def rest(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wait until it is roused."""
        self._alarm = loop.create_future()
        await self._alarm

    def rouse(self) -> None:
        """Have it look around: there is a call, or it leaves, or its worker ended."""
        if self._alarm is not None and not self._alarm.done():
            self._alarm.set_result(None)
