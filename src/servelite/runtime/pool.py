"""The calls of one function: admitted or refused, queued, answered; its workers grow with what waits."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from servelite.core.call import Answer, Call, Question
from servelite.core.errors import Cancelled, DefinitionError, NoWorker, ServeliteError
from servelite.core.function import Description
from servelite.core.ports import Worker
from servelite.runtime.dispatcher import Dispatcher
from servelite.runtime.forecast import Forecast
from servelite.runtime.lane import Lane
from servelite.runtime.machine import Machine
from servelite.runtime.memory_limits import kill_those_beyond
from servelite.runtime.metering import Meter
from servelite.runtime.questions import MakeCall, Questions
from servelite.runtime.refusals import no_worker, not_run, queue_full, refuse, too_late, would_wait
from servelite.runtime.statistics import Statistics
from servelite.runtime.waiting import FOREVER, Queue, Waiting
from servelite.runtime.workers import Workers

QUEUE_LIMIT = 2000
"""Calls of one function that may wait, whatever the forecast says: some 10 KB each with a small body."""

GROW_WAIT_US = 50_000
"""A wait that is worth another worker: half of what the smallest one takes to start."""


async def make_no_call(parent: Call, question: Question, _left_s: float) -> Answer:
    """Refuse, where there is but one function."""
    raise DefinitionError(f"{parent.function} can't call {question.function}: no other function is served.")


@dataclass(slots=True, eq=False, repr=False)
class Pool:
    """Answers the calls of one function.

    new_worker  makes a worker with so many threads, not started yet
    make_call   makes the calls that handlers ask for
    """

    name: str
    new_worker: Callable[[int], Worker]
    meter: Meter
    now_us: Callable[[], int]
    machine: Machine
    statistics: Statistics = field(default_factory=Statistics)
    make_call: MakeCall = make_no_call
    workers: Workers = field(init=False)
    _forecast: Forecast = field(default_factory=Forecast)
    _queue: Queue = field(default_factory=Queue)
    _dispatcher: Dispatcher = field(init=False)
    _questions: Questions = field(init=False)
    _loop: asyncio.AbstractEventLoop = field(init=False)
    _is_stopped: bool = False

    def __post_init__(self) -> None:
        parts = self.now_us, self.machine, self.statistics, self._forecast
        self.workers = Workers(self.name, self.new_worker, self._feed, self._despair, self._asked, *parts)
        seen = self.statistics, self._forecast
        self._dispatcher = Dispatcher(self.name, self._queue, self.workers, self.meter, self.now_us, self.machine.cores, *seen)
        self._questions = Questions(self.name, self._dispatcher, self._make_call, self.now_us, self._unstick)

    async def start(self) -> None:
        """Start the first worker; see `Workers.start`."""
        self._loop = asyncio.get_running_loop()  # kept, see `Dispatcher.feed`
        await self.workers.start()

    @property
    def description(self) -> Description:
        """What may be known of the function; NoWorker where no worker could be started yet to tell."""
        if self.workers.description is None:
            raise no_worker(self.name)
        return self.workers.description

    @property
    def is_plain(self) -> bool:
        """Whether its calls wait for one of its workers and nothing else; not known before the first has started."""
        return self.workers.description is not None and self.workers.description.pipeline is None

    def admit(self, call: Call) -> None:
        """Refuse a call that would wait for too long, before its body is read.

        Raises:
            Overloaded: the queue is full, or the wait would be longer than its caller's patience.
            NoWorker: there is no worker, and the last start of one failed.
        """
        if (refusal := self.refusal(call.patience_s, call.depth)) is not None:
            raise self._counted(refusal)

    def refusal(self, patience_s: float, depth: int) -> ServeliteError | None:
        """Return what a call with so much patience, 0 for the function's `timeout_s`, is to be told if it is not to be let in."""
        waiting = self._queue.ahead_of(depth)
        if not waiting and self._dispatcher.resting:
            return None
        if self.workers.is_hopeless:
            return no_worker(self.name)
        if waiting >= QUEUE_LIMIT:
            return queue_full(self.name, QUEUE_LIMIT)
        patience_us = (patience_s or self.workers.limits.timeout_s) * 1e6
        if self._wait_us(1, waiting) > patience_us or not self._dispatcher.fed:
            return self._refusal_beyond(patience_us, waiting, is_said=bool(patience_s), is_deep=depth > 0)
        return None

    async def answer(self, call: Call) -> Answer:
        """Wait for a worker and return its answer, an error among them.

        Raises:
            ServiceError: the call could not be run or recorded.
            Overloaded: it has waited too long.
        """
        waiting = self.begin(call)
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            if waiting.answer.cancelled():  # its client is gone
                self.give_up(waiting)
            raise

    def begin(self, call: Call) -> Waiting:
        """Have a call wait for a worker that was admitted before; others may have come while its body did. See `answer`."""
        if self._queue.length >= QUEUE_LIMIT and self._queue.ahead_of(call.depth) >= QUEUE_LIMIT:
            raise self._counted(queue_full(self.name, QUEUE_LIMIT))
        return self.submit(call)

    def submit(self, call: Call) -> Waiting:
        """Have a call wait for a worker; ServiceError where there can't be one."""
        if self._is_stopped:
            raise not_run(self.name)
        if call.stage and self.workers.is_hopeless:  # other calls were told when they were to be let in
            raise no_worker(self.name)
        now_us = self.now_us()
        fed, limits = self._dispatcher.fed, self.workers.limits
        until_us = now_us + int((call.patience_s or limits.timeout_s) * 1e6) if fed or call.patience_s else FOREVER
        waiting = Waiting(call, self._loop.create_future(), now_us, until_us)
        self._queue.add(waiting)
        if self._dispatcher.resting:
            self._dispatcher.wake()
        elif not fed or self._forecast.wait_us(self._queue.length, limits.max_batch, 1) > GROW_WAIT_US:
            self._grow()
        if call.depth:
            self._unstick()
        return waiting

    def give_up(self, waiting: Waiting) -> bool:
        """Leave out a call that waits and that nobody waits for; end one that runs, if that is cheaper. Tell whether it runs on."""
        if not waiting.is_taken:
            self._queue.forget(waiting)
            return False
        for lane in self.workers.lanes:
            if waiting in lane.batch:
                waiting.over = self._loop.create_future()
                if all(one.answer.done() for one in lane.batch):
                    lane.left_us = self.now_us()
                    if lane.questions:
                        lane.cancel_questions()  # its handler is told, and may have ended by the next look
                    else:
                        self._cancel_if_cheaper(lane)
                return True
        return False

    def settle_so_far(self, waiting: Waiting) -> None:
        """Record a call that was given up, and that a worker still runs, with what it took up to now; the rest is nobody's."""
        for lane in self.workers.lanes:
            if waiting in lane.batch:
                took_us = lane.computed_us(self.now_us()) // len(lane.batch)
                self.meter.settle_so_far(waiting.call, lane.wait(waiting.arrived_us), took_us, lane.memory_kib, lane.description)

    def warm_up(self) -> None:
        """Start a worker where there is none, if nothing has to go for it: a call will come."""
        if not self._dispatcher.fed and not self.workers.staying and self.machine.memory.has_room(self.workers.expected_kib):
            self.workers.grow()

    def look(self) -> None:
        """Look around, several times a second: who has waited too long, who is not waited for, who has nothing to do."""
        now_us = self.now_us()
        if self._queue.length:
            refuse(self._queue.take_late(now_us), too_late(self.name), self.statistics)
            if now_us - self._queue.oldest_us() > GROW_WAIT_US and all(lane.ready_us for lane in self.workers.lanes):
                self._grow_by_one()
        for lane in self.workers.lanes:
            if lane.left_us < FOREVER:
                self._cancel_if_cheaper(lane)
        self._unstick()
        self.workers.end_idle()
        kill_those_beyond(self.workers.lanes, self.name, now_us)

    async def stop(self) -> None:
        """End the workers; what still runs or waits is refused."""
        self._is_stopped = True
        await self.workers.stop()
        refuse(self._queue.take_all(), not_run(self.name), self.statistics)

    def runs(self, call: Call) -> bool:
        """Tell whether a worker runs a call at the moment."""
        return any(waiting.call is call for lane in self.workers.lanes for waiting in lane.batch)

    @property
    def is_free(self) -> bool:
        """Whether a call would run at once."""
        return not self._queue.length and bool(self._dispatcher.resting)

    @property
    def expected_us(self) -> tuple[float, float]:
        """How long the next call would wait, and how long it would run, as far as that is known."""
        fed = self._dispatcher.fed
        wait_us = 0.0 if self.is_free else self._wait_us(min(fed, self.workers.most)) + (0.0 if fed else self._forecast.init_us)
        return wait_us, self._forecast.batch_us

    @property
    def is_ready(self) -> bool:
        """Whether a call would find a worker, one that is started for it among them."""
        return self._dispatcher.fed > 0 or (self.workers.description is not None and self.workers.error is None)

    @property
    def queue_length(self) -> int:
        """Calls that wait for a worker."""
        return self._queue.length

    def _cancel_if_cheaper(self, lane: Lane) -> None:
        now_us = self.now_us()
        if self._forecast.is_dearer_than_a_start(now_us - lane.taken_us, now_us - lane.left_us):
            lane.worker.kill(Cancelled(f"Nobody waited any more, and the run of {self.name} was stopped."))

    def _wait_us(self, workers: int, waiting: int | None = None) -> float:
        ahead = self._queue.length if waiting is None else waiting
        return self._forecast.wait_us(ahead, self.workers.limits.max_batch, workers)

    def _refusal_beyond(self, patience_us: float, waiting: int, *, is_said: bool, is_deep: bool) -> ServeliteError | None:
        """Refuse a call that even all workers together would keep waiting; a function that sleeps wakes for the next."""
        is_cold = not self._dispatcher.fed
        wait_us = self._wait_us(min(self._dispatcher.fed, self.workers.most), waiting) + self._forecast.init_us * is_cold
        if is_deep and self._dispatcher.all_wait:  # perhaps for this very call: it gets a worker of its own
            wait_us = self._forecast.init_us
        if wait_us > patience_us and (is_said or not is_cold):
            self._grow()
            return would_wait(self.name, wait_us, patience_us)
        return None

    def _grow(self) -> None:
        """Start a worker where there is none, or where the wait is worth one and a core is free for it."""
        if self._wait_us(1) <= GROW_WAIT_US and self._dispatcher.fed:
            return
        if not self.workers.staying or self._wait_us(self.workers.staying) > GROW_WAIT_US:
            self._grow_by_one()

    def _grow_by_one(self) -> None:
        if not self.workers.staying or self.machine.cores.has_one_for(self.workers.most):
            self.workers.grow()

    def _unstick(self) -> None:
        """Start a worker for calls that those wait for who hold all the others; where there can be none, nobody may wait for it."""
        if self._dispatcher.is_stuck:
            try:
                self.workers.grow_beyond()
            except NoWorker as error:
                refuse(self._queue.take_deep(), error, self.statistics)

    # what the workers need of their pool

    async def _feed(self, lane: Lane) -> None:
        await self._dispatcher.feed(lane)
        if self._queue.length and lane.leaves_for:  # a call came as it left
            self._grow()

    def _asked(self, lane: Lane, question: Question) -> None:
        self._questions.asked(lane, question)

    async def _make_call(self, parent: Call, question: Question, left_s: float) -> Answer:
        return await self.make_call(parent, question, left_s)

    def _despair(self) -> None:
        refuse(self._queue.take_all(), no_worker(self.name), self.statistics)

    def _counted(self, error: ServeliteError) -> ServeliteError:
        self.statistics.calls[error.code] += 1
        return error
