"""The workers of one function: started when they are needed, replaced when they end, ended when nobody needs them.

More are started while calls wait, up to `max_workers`; one without a call for `idle_s` ends, the last one too, and
the next call starts one. Beyond `max_workers` go only those for calls that are waited for by who holds the others.
"""

import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from servelite.core.call import Question
from servelite.core.errors import FunctionError, NoWorker, ServeliteError, ServiceError
from servelite.core.function import Description, Limits
from servelite.core.ports import Worker
from servelite.runtime.forecast import Forecast
from servelite.runtime.lane import Lane
from servelite.runtime.machine import Machine
from servelite.runtime.memory_limits import check_first_size, kill
from servelite.runtime.refusals import no_worker, not_run
from servelite.runtime.restarts import Restarts
from servelite.runtime.statistics import Statistics
from servelite.runtime.tasks import Tasks

FIRST_GUESS_KIB = 64 * 1024
"""What a worker is taken to need before one was seen: Python, pydantic and a small model."""

logger = logging.getLogger("servelite.workers")


@dataclass(slots=True, eq=False)
class Workers:
    """Starts and ends workers.

    new_worker   makes a worker with so many threads, not started yet
    feed         hands a ready worker its calls until it has to go
    on_hopeless  told when there is no worker and none could be started, so that nobody waits for one
    asked        passes on what a worker asks of other functions
    limits       the function's, the defaults where they are not known yet
    most         how many workers there may be
    expected_kib what the next one will need, by the last
    """

    name: str
    new_worker: Callable[[int], Worker]
    feed: Callable[[Lane], Coroutine[Any, Any, None]]
    on_hopeless: Callable[[], None]
    asked: Callable[[Lane, Question], None]
    now_us: Callable[[], int]
    machine: Machine
    statistics: Statistics
    forecast: Forecast
    lanes: list[Lane] = field(default_factory=list)
    description: Description | None = None
    limits: Limits = field(default_factory=Limits)
    most: int = 1
    expected_kib: int = FIRST_GUESS_KIB
    _tasks: Tasks = field(init=False)
    _restarts: Restarts = field(init=False)
    _is_edit_broken: bool = False
    _is_stopped: bool = False

    def __post_init__(self) -> None:
        self._tasks = Tasks(self.name)
        self._restarts = Restarts(self.name, self._try_again)

    async def start(self) -> None:
        """Start a worker, and return once it is ready; where it fails, it is tried again.

        Raises:
            DefinitionError: the function can't be loaded.
            FunctionError: the worker ended while it loaded the function.
            NoWorker: there are no processes or no memory left.
        """
        try:
            await self._tasks.run(self._open_new())
        except ServeliteError as error:
            self._restarts.failed(error)
            self._despair()
            raise

    async def reload(self) -> None:
        """Start a worker on what the folder holds now, and have the others leave once it is ready; if it fails they stay.

        Raises:
            ServeliteError: as `start`.
        """
        old = list(self.lanes)
        try:
            await self._tasks.run(self._open_new(is_trial=True))
        except ServeliteError as error:
            self._is_edit_broken = not isinstance(error, ServiceError)
            raise
        self._is_edit_broken = False
        for lane in old:
            lane.leave("reloaded")

    def grow(self) -> None:
        """Start one more worker, if the limits let it and no start failed just now."""
        if not self._restarts.is_pausing and self.staying < self.most and not self._is_stopped:
            self._open_soon()

    def grow_beyond(self) -> None:
        """Start one more worker, however many there are; NoWorker where its memory can't be had, or a start failed just now."""
        if self._restarts.is_pausing or self._is_stopped:
            raise no_worker(self.name)
        self._tasks.begin(self._open_behind(self._new_lane()))

    def replace(self, lane: Lane) -> None:
        """Start the successor of a worker, which leaves when that one is ready; not if a start failed just now."""
        lane.is_being_replaced = not self._restarts.is_pausing and self._open_soon(lane)

    def end_idle(self) -> None:
        """End the workers that had nothing to do for `idle_s`; after a broken edit one stays, for it could not be started again."""
        now_us = self.now_us()
        for lane in self.lanes:
            is_needed = self._is_edit_broken and self.staying == 1
            if lane.is_idle_for_long(now_us, is_extra=self.staying > self.most) and not is_needed:
                lane.leave("idle")

    def sleep(self, reason: str) -> None:
        """Have all workers leave; the next call starts one."""
        for lane in self.lanes:
            lane.leave(reason)

    async def stop(self) -> None:
        """End all workers now, whatever they do, and return once every process that was ever started is gone."""
        self._is_stopped = True
        self.sleep("stopped")
        self._restarts.stop()
        for lane in [one for one in self.lanes if one.batch or not one.ready_us]:
            lane.worker.kill(not_run(self.name))  # told to who waits for it
        await self._tasks.end()

    @property
    def threads(self) -> int:
        """The threads of each."""
        return self.machine.cores.threads(self.limits)

    @property
    def staying(self) -> int:
        """How many there are or are being started, without those that leave and those that an edit is tried with."""
        return sum(not lane.leaves_for and not (lane.is_trial and not lane.ready_us) for lane in self.lanes)

    @property
    def is_hopeless(self) -> bool:
        """Whether there is none, and none to wait for."""
        return self._restarts.is_hopeless and not self.staying

    @property
    def error(self) -> ServeliteError | None:
        """Why the last start failed, None where it did not."""
        return self._restarts.error

    @property
    def memory_kib(self) -> int:
        """What they use together; those that leave and do nothing are as good as gone."""
        return sum(lane.memory_kib for lane in self.lanes if lane.batch or not lane.leaves_for)

    @property
    def idle_since_us(self) -> int | None:
        """Since when none of them has anything to do; None where one has, or where there is none."""
        staying = [lane for lane in self.lanes if not lane.leaves_for]
        if not staying or self._is_edit_broken or any(lane.state != "idle" for lane in staying):
            return None
        return max(lane.idle_since_us for lane in staying)

    def measure(self) -> None:
        """Look at their memory exactly."""
        for lane in self.lanes:
            lane.memory_kib = lane.worker.memory_kib(0)

    def end_largest(self, why: str) -> None:
        """Kill the largest worker, whatever it does."""
        kill(max(self.lanes, key=lambda lane: lane.memory_kib), self.name, f"{why}. Give it more, or the functions less")

    def _open_soon(self, replaced: Lane | None = None) -> bool:
        """Begin to start a worker; False where its memory can't be had: nobody sleeps so that another has one more."""
        if self._is_stopped or (self.staying and not self.machine.memory.has_room(self.expected_kib)):
            return False
        try:
            lane = self._new_lane()
        except NoWorker as error:
            self._told(error)
            return False
        self._tasks.begin(self._open_behind(lane, replaced))
        return True

    async def _open_behind(self, lane: Lane, replaced: Lane | None = None) -> None:
        """Start a worker while others go on; a failure is told and the start tried again."""
        try:
            await self._open(lane)
            if replaced is not None:
                replaced.leave("recycled")
        except ServeliteError as error:
            self._told(error)
            if replaced is not None:
                replaced.is_being_replaced = False

    async def _open_new(self, *, is_trial: bool = False) -> None:
        await self._open(self._new_lane(is_trial=is_trial))

    async def _open(self, lane: Lane) -> None:
        self._tasks.begin(self._live(await self._started(lane)))
        self._restarts.succeeded()

    def _new_lane(self, *, is_trial: bool = False) -> Lane:
        """Make a worker that is not started yet; NoWorker where its memory can't be had, ShuttingDown after the end."""
        if self._is_stopped:
            raise not_run(self.name)
        if not self.machine.memory.make_room(self.expected_kib, keep=self):
            budget = f"all functions together may use {self.machine.memory.budget_kib // 1024:,} MiB"
            needed = f"a worker of {self.name} needs {self.expected_kib // 1024:,}"
            raise NoWorker(f"There is no memory: {needed} MiB, and {budget}. Give more: --memory SIZE.")
        limit_kib = self.limits.memory_mib * 1024 if self.description else self.machine.memory.budget_kib
        lane = Lane(self.new_worker(self.threads), self.threads, self.now_us(), limit_kib, memory_kib=self.expected_kib, is_trial=is_trial)
        lane.worker.on_end = lane.rouse
        lane.worker.on_ask = partial(self.asked, lane)
        self.lanes.append(lane)
        return lane

    async def _started(self, lane: Lane) -> Lane:
        try:
            lane.description = await lane.worker.start()
            self._measure(lane)
        except BaseException as error:
            self.lanes.remove(lane)
            if isinstance(error, FunctionError):  # it died or was killed
                self.statistics.worker_ends[error.code] += 1
            await self._tasks.finish(lane.worker.stop())
            raise
        self._publish(lane.description)
        if lane.threads == self.threads:
            return lane
        self.lanes.remove(lane)  # how many threads it should have stands in the folder, which only a worker reads
        await self._tasks.finish(lane.worker.stop())
        return await self._started(self._new_lane(is_trial=lane.is_trial))

    def _publish(self, description: Description) -> None:
        self.description = description
        self.limits = description.limits
        self.most = self.machine.cores.workers(self.limits)

    def _measure(self, lane: Lane) -> None:
        """Take a ready worker's time and size; OutOfMemory where it is over its limit already."""
        lane.ready_us = lane.idle_since_us = lane.looked_us = self.now_us()
        try:
            check_first_size(lane, self.name, self.machine.memory.budget_kib)
        finally:
            self.expected_kib = lane.memory_kib
        self.forecast.saw_start(lane.ready_us - lane.started_us)
        self.statistics.started(lane.ready_us - lane.started_us)
        took_ms = (lane.ready_us - lane.started_us) // 1000
        about = {"function": self.name, "worker": lane.worker.pid, "took_ms": took_ms}
        logger.info("a worker of %s is ready, process %s, after %d ms", self.name, lane.worker.pid, took_ms, extra=about)

    async def _live(self, lane: Lane) -> None:
        try:
            await self.feed(lane)
        finally:
            self._end(lane)
            await lane.worker.stop()

    def _end(self, lane: Lane) -> None:
        """Take leave of a worker; the last has a successor before anybody asks, unless nobody did for long."""
        self.lanes.remove(lane)
        self.statistics.worker_ends[lane.end] += 1
        about = {"function": self.name, "worker": lane.worker.pid, "reason": lane.end}
        logger.info("a worker of %s ends, process %s: %s", self.name, lane.worker.pid, lane.end, extra=about)
        barren = self._restarts.ended(by_itself=not lane.leaves_for, was_given_calls=lane.taken_us > 0)
        if self.staying or lane.end in ("idle", "evicted"):
            return
        if barren:
            self._told(barren)
        else:
            self.grow()

    def _told(self, error: ServeliteError) -> None:
        if not self._is_stopped:
            self._restarts.told(error)
            self._despair()

    def _despair(self) -> None:
        if self.is_hopeless:
            self.on_hopeless()

    def _try_again(self) -> None:
        if self.staying:
            self._restarts.error = None  # where others served on, it is past
        else:
            self.grow()
