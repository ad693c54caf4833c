"""Hands the calls that wait to the workers that are free, and what comes back to the callers.

There is no batching timer: a worker that becomes free takes everything that waits, up to `max_batch`.
Under load batches form by themselves; a lone call never waits for company.

A worker whose handler waits for another function gives its core to others. Its function may have as many workers again
for calls that are one deeper, and so on, so there is always one that has nobody to wait for.

A worker that dies takes its batch with it. Nobody knows which call was at fault, so each is run again
alone; one that was alone is answered with the error, or run once more if its worker was killed from outside.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from servelite.core.call import BatchReply, Call, Outcome, shares
from servelite.core.errors import Cancelled, FunctionError, ServeliteError, WorkerKilled
from servelite.runtime.forecast import Forecast
from servelite.runtime.lane import Lane
from servelite.runtime.machine import Cores
from servelite.runtime.memory_limits import look_after_batch
from servelite.runtime.metering import Meter
from servelite.runtime.refusals import not_run, refuse, too_late
from servelite.runtime.statistics import Statistics
from servelite.runtime.waiting import FOREVER, Queue, Waiting
from servelite.runtime.workers import Workers

logger = logging.getLogger("servelite.dispatcher")


@dataclass(slots=True, eq=False)
class Dispatcher:
    """Feeds the workers of one function from its queue.

    fed      workers that are ready
    resting  those of them that have nothing to do
    """

    name: str
    queue: Queue
    workers: Workers
    meter: Meter
    now_us: Callable[[], int]
    cores: Cores
    statistics: Statistics
    forecast: Forecast
    fed: int = 0
    resting: list[Lane] = field(default_factory=list)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _roused: int = 0
    _busy: int = 0

    def wake(self) -> None:
        """Have as many workers look at the queue as it has batches, if there are workers and cores for them."""
        while self.resting and self.queue.length > self._roused * self.workers.limits.max_batch:
            if self._next_depth() is None or not self.cores.take(self, self._busy, self.workers.most):
                return
            lane = self.resting.pop()
            lane.has_core = True
            self._busy += 1
            self._roused += 1
            lane.rouse()

    def pause(self, lane: Lane) -> None:
        """Let others have the core of a worker that waits for another function."""
        lane.paused_us = self.now_us()
        self._give_core_back(lane)
        self.wake()

    def resume(self, lane: Lane) -> None:
        """Let a worker go on that has waited for another function."""
        lane.waited_us += self.now_us() - lane.paused_us
        self.cores.take_again()
        self._busy += 1
        lane.has_core = True

    @property
    def all_wait(self) -> bool:
        """Whether all workers wait for other functions, or leave."""
        return not any(lane.may_take for lane in self.workers.lanes)

    @property
    def is_stuck(self) -> bool:
        """Whether a call could be run, and all workers wait for other functions."""
        return self.queue.is_by_depth and self._next_depth() is not None and self.all_wait

    async def feed(self, lane: Lane) -> None:
        """Hand a worker batch after batch until it has to go."""
        self._loop = asyncio.get_running_loop()  # kept, because asking for it is a system call on Python 3.11
        self.fed += 1
        if lane.description.takes_context and not self.queue.is_by_depth:
            self.queue.split()  # before its first batch: calls of two depths in one might wait for each other
        try:
            while lane.is_fit:
                depth = self._next_depth()
                if depth is None or not self._has_core(lane):
                    await self._rest(lane)
                    continue
                batch, late = self.queue.take(lane.description.limits.max_batch, self.now_us(), depth)
                if late:
                    refuse(late, too_late(self.name), self.statistics)
                if batch:
                    await self._run(lane, batch)
                    if not self.cores.may_stay(self._busy, self.workers.most):
                        self._give_core_back(lane)  # those that want it are asked first, then this one asks again
        finally:
            self.fed -= 1
            self._give_core_back(lane)
            self.wake()

    def _next_depth(self) -> int | None:
        """Return the depth whose calls are next: the deepest that waits and has not as many workers as it may have; None for none."""
        if not self.queue.length:
            return None
        if not self.queue.is_by_depth:
            return 0
        running = [lane.depth for lane in self.workers.lanes if not lane.leaves_for]
        return next((depth for depth in self.queue.depths() if running.count(depth) < self.workers.most), None)

    async def _rest(self, lane: Lane) -> None:
        self._give_core_back(lane)
        lane.idle_since_us = self.now_us()
        self.resting.append(lane)
        try:
            await lane.rest(self._loop)
        finally:
            if lane.has_core:
                self._roused -= 1
            else:
                self.resting.remove(lane)

    def _has_core(self, lane: Lane) -> bool:
        if not lane.has_core:
            lane.has_core = self.cores.take(self, self._busy, self.workers.most)
            self._busy += lane.has_core
        return lane.has_core

    def _give_core_back(self, lane: Lane) -> None:
        if lane.has_core:
            lane.has_core = False
            self._busy -= 1
            self.cores.give_back()

    async def _run(self, lane: Lane, batch: list[Waiting]) -> None:
        lane.batch, lane.taken_us = batch, self.now_us()
        calls = [waiting.call for waiting in batch]
        deadline_s = lane.taken_us / 1e6 + lane.description.limits.timeout_s
        for call in calls:
            call.deadline_s = min(deadline_s, call.ends_s)
        try:
            reply = await lane.worker.run(calls)
            self._answer(lane, batch, calls, reply)
            self._learn(lane, reply)
        except (FunctionError, Cancelled) as error:
            self._bury(lane, batch, calls, error)
        except ServeliteError as error:
            refuse(batch, error, self.statistics)
        except BaseException:  # the server's end, or a fault of its own: nobody may wait for ever
            refuse(batch, not_run(self.name), self.statistics)
            raise
        finally:
            if lane.questions:
                lane.drop_questions()
            lane.batch, lane.left_us, lane.waited_us = [], FOREVER, 0
            for waiting in batch:
                if waiting.over is not None:
                    waiting.over.set_result(None)

    def _answer(self, lane: Lane, batch: list[Waiting], calls: list[Call], reply: BatchReply) -> None:
        waits = [lane.wait(waiting.arrived_us) for waiting in batch]
        try:
            answers = self.meter.settle(calls, waits, reply, lane.description)
        except ServeliteError as error:
            refuse(batch, error, self.statistics)
            return
        self.statistics.ran(len(batch), reply.compute_us, reply.cpu_us)
        if not calls[0].part:  # what a pipeline's calls come to is seen where they end
            self.statistics.answered(answers)
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)

    def _learn(self, lane: Lane, reply: BatchReply) -> None:
        self.forecast.saw_batch(reply.compute_us + lane.waited_us)
        if lane.is_worth_a_look(reply.peak_kib):
            look_after_batch(lane, self.workers.replace)

    def _bury(self, lane: Lane, batch: list[Waiting], calls: list[Call], error: ServeliteError) -> None:
        """Answer a call whose worker ended under it, or send the batch back to the queue's head, each call alone."""
        lane.end = error.code
        about = {"function": self.name, "worker": lane.worker.pid, "reason": error.code, "calls": [call.id for call in calls]}
        logger.warning("%s Calls in its batch: %d.", error.detail, len(batch), extra=about)
        is_known = len(batch) == 1 and (batch[0].ends or not isinstance(error, WorkerKilled))
        if is_known or isinstance(error, Cancelled):
            taken_us = shares(lane.computed_us(self.now_us()), len(batch))  # of one call, but where all clients of a batch left
            outcomes = [Outcome(error=error, compute_us=us) for us in taken_us]
            self._answer(lane, batch, calls, BatchReply(outcomes, cpu_us=0, peak_kib=lane.memory_kib))
            return
        for waiting in batch:
            waiting.ends += 1
        self.queue.add_again(batch)
