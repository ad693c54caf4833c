"""The workers of one function, and the calls that wait for them.

There is no batching timer: a worker that becomes free takes everything that waits, up to `max_batch`.
Under load batches form by themselves; a lone call never waits for company.

A worker that dies takes its batch with it. Nobody knows which call was at fault, so each is run again
alone; one that was alone is answered with the error, or run once more if its worker was killed from outside.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from servelite.core.call import Answer, BatchReply, Call, Outcome
from servelite.core.errors import FunctionError, NoWorker, ServeliteError, ShuttingDown, WorkerDied, WorkerKilled
from servelite.core.function import Description
from servelite.core.ports import Worker
from servelite.runtime.metering import Meter, Wait
from servelite.runtime.statistics import Statistics

BATCH_BYTES = 32 * 1024 * 1024
"""Bodies of one batch, together; an eighth of the largest frame. One larger body still goes, alone."""

RESTART_PAUSES_S = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses between attempts to start a worker again; the last one repeats."""

logger = logging.getLogger("servelite.pool")


@dataclass(slots=True)
class _Waiting:
    call: Call
    answer: asyncio.Future[Answer]
    arrived_us: int
    alone: bool = False


@dataclass(slots=True)
class _Life:
    """A worker, the time its start took from and to, and the code of its end."""

    worker: Worker
    started_us: int
    ready_us: int
    end: str = WorkerDied.code


@dataclass(slots=True)
class Pool:
    """Answers the calls of one function; `new_worker` makes a worker that is not started yet."""

    name: str
    new_worker: Callable[[], Worker]
    meter: Meter
    now_us: Callable[[], int]
    statistics: Statistics = field(default_factory=Statistics)
    description: Description = field(init=False)
    _queue: deque[_Waiting] = field(default_factory=deque)
    _idle: deque[asyncio.Future[None]] = field(default_factory=deque)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _life: _Life | None = None
    _is_stopped: bool = False
    _driver: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the first worker.

        Raises:
            DefinitionError: the function can't be loaded.
            WorkerDied: the worker ended while it loaded the function.
        """
        self._loop = asyncio.get_running_loop()  # kept, because asking for it is a system call on Python 3.11
        life = await self._start_worker()
        self._driver = asyncio.create_task(self._drive(life), name=f"pool {self.name}")
        self._driver.add_done_callback(self._log_failure)

    async def answer(self, call: Call) -> Answer:
        """Wait for a worker and return its answer, an error among them.

        Raises:
            ServiceError: the call could not be run or recorded.
        """
        if self._is_stopped:
            raise _not_run(self.name)
        waiting = _Waiting(call, self._loop.create_future(), self.now_us())
        self._queue.append(waiting)
        self._wake()
        return await waiting.answer

    async def stop(self) -> None:
        """End the workers; what still runs or waits is refused."""
        self._is_stopped = True
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.gather(self._driver, return_exceptions=True)

    @property
    def is_ready(self) -> bool:
        """Whether a worker lives."""
        return self._life is not None and self._life.worker.is_alive

    @property
    def queue_length(self) -> int:
        """Calls that wait for a worker."""
        return len(self._queue)

    async def _drive(self, life: _Life) -> None:
        """Feed one worker, and its successors, for as long as the pool lives."""
        try:
            while True:
                await self._until_called(life)
                if not life.worker.is_alive:
                    self.statistics.worker_ends[life.end] += 1
                    await life.worker.stop()
                    life = await self._restart_worker()
                elif batch := self._take():
                    await self._run(life, batch)
        finally:  # however it ends, nobody waits for ever
            self._is_stopped = True
            self._refuse_all(_not_run(self.name))
            await life.worker.stop()

    def _log_failure(self, driver: asyncio.Task[None]) -> None:
        if not driver.cancelled() and (error := driver.exception()):
            logger.critical("%s serves no more calls, by a fault of servelite", self.name, exc_info=error)

    async def _run(self, life: _Life, batch: list[_Waiting]) -> None:
        taken_us = self.now_us()
        for waiting in batch:
            waiting.call.deadline_s = taken_us / 1e6 + self.description.limits.timeout_s
        try:
            reply = await life.worker.run([waiting.call for waiting in batch])
        except FunctionError as error:
            self._bury(batch, error, life, taken_us)
        except ServeliteError as error:
            self._refuse(batch, error)
        except asyncio.CancelledError:
            self._refuse(batch, _not_run(self.name))
            raise
        else:
            self._answer(batch, reply, life, taken_us)

    def _answer(self, batch: list[_Waiting], reply: BatchReply, life: _Life, taken_us: int) -> None:
        waits = [_wait(waiting.arrived_us, taken_us, life) for waiting in batch]
        try:
            answers = self.meter.settle([waiting.call for waiting in batch], waits, reply, self.description.gives)
        except ServeliteError as error:
            self._refuse(batch, error)
            return
        self.statistics.saw(answers, reply.compute_us, reply.cpu_us)
        for waiting, answer in zip(batch, answers, strict=True):
            if not waiting.answer.done():
                waiting.answer.set_result(answer)

    def _bury(self, batch: list[_Waiting], error: FunctionError, life: _Life, taken_us: int) -> None:
        """Answer a call whose worker died under it, or send the batch back to the queue's head, each call alone."""
        life.end = error.code
        logger.warning("%s Calls in its batch: %d.", error.detail, len(batch))
        if len(batch) == 1 and (batch[0].alone or not isinstance(error, WorkerKilled)):
            spent = BatchReply([Outcome(error=error)], compute_us=self.now_us() - taken_us, cpu_us=0, peak_kib=0)
            self._answer(batch, spent, life, taken_us)
            return
        for waiting in reversed(batch):
            waiting.alone = True
            self._queue.appendleft(waiting)

    async def _until_called(self, life: _Life) -> None:
        """Wait for a call, or for the worker's end: its successor is started before anybody asks for it."""
        while not self._queue and life.worker.is_alive:
            idle: asyncio.Future[None] = self._loop.create_future()
            self._idle.append(idle)
            await idle

    def _take(self) -> list[_Waiting]:
        """Take from the queue what fits in one batch, leaving out calls that nobody waits for any more."""
        batch: list[_Waiting] = []
        size, most = 0, self.description.limits.max_batch
        while self._queue and len(batch) < most:
            waiting = self._queue[0]
            size += len(waiting.call.body)
            if batch and (waiting.alone or batch[0].alone or size > BATCH_BYTES):
                break
            self._queue.popleft()
            if not waiting.answer.done():
                batch.append(waiting)
        return batch

    def _wake(self) -> None:
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return

    async def _start_worker(self) -> _Life:
        started_us = self.now_us()
        worker = self.new_worker()
        worker.on_end = self._wake
        try:
            self.description = await worker.start()
        except BaseException:
            await worker.stop()
            raise
        self.statistics.worker_starts += 1
        self._life = _Life(worker, started_us, self.now_us())
        return self._life

    async def _restart_worker(self) -> _Life:
        """Start a worker again and again until one is ready; meanwhile the calls that wait are told."""
        attempt = 0
        while True:
            try:
                return await self._start_worker()
            except ServeliteError as error:
                logger.error("%s can't be started again: %s", self.name, error.detail)
                self._refuse_all(NoWorker(f"{self.name} has no worker: it could not be started again. The server's log says why."))
            await asyncio.sleep(RESTART_PAUSES_S[min(attempt, len(RESTART_PAUSES_S) - 1)])
            attempt += 1

    def _refuse_all(self, error: ServeliteError) -> None:
        waiting, self._queue = list(self._queue), deque()
        self._refuse(waiting, error)

    def _refuse(self, batch: list[_Waiting], error: ServeliteError) -> None:
        self.statistics.calls[error.code] += len(batch)
        for waiting in batch:
            if not waiting.answer.done():
                waiting.answer.set_exception(type(error)(error.detail))  # one each: a raised exception grows a traceback


def _not_run(name: str) -> ShuttingDown:
    return ShuttingDown(f"The server is ending; {name} was not run.")


def _wait(arrived_us: int, taken_us: int, life: _Life) -> Wait:
    """Split the wait of one call into what its worker's start took and what is left."""
    if arrived_us >= life.ready_us:
        return Wait(taken_us - arrived_us, 0)
    init_us = life.ready_us - max(arrived_us, life.started_us)
    return Wait(taken_us - arrived_us - init_us, init_us)
