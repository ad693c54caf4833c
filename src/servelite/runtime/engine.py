"""The one road every call takes, whatever door it came through: find, check the quota, admit, read, run, meter, answer."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

from servelite.core.call import FOREVER_S, Answer, Call
from servelite.core.errors import DefinitionError, NoWorker, ServeliteError
from servelite.core.function import Description
from servelite.runtime.bodies import MIB, Bodies
from servelite.runtime.children import Children
from servelite.runtime.going_on import GoingOn
from servelite.runtime.ids import Ids
from servelite.runtime.machine import Memory
from servelite.runtime.metering import Meter
from servelite.runtime.pipelines import Pipelines
from servelite.runtime.pool import Pool
from servelite.runtime.refusals import check_media_type, no_function, not_run
from servelite.runtime.resolution import Resolution
from servelite.runtime.starting import FindStage, Starting
from servelite.runtime.waiting import Waiting
from servelite.runtime.watch import Watch

OTHERS_START_S = 10.0
"""A server waits so long for all of its functions; then it serves those that are ready, while the others go on starting."""

LEAVE_LOOK_S = 0.05
"""How often it is looked whether a run that nobody waits for has ended."""

ReadBody = Callable[[], Awaitable[bytes]]
OnEnd = Callable[["asyncio.Future[Answer]"], None]

logger = logging.getLogger("servelite.engine")


class Engine:
    """Answers calls to a set of functions."""

    def __init__(
        self,
        pools: Mapping[str, Pool],
        meter: Meter,
        memory: Memory,
        ids: Ids,
        *,
        now_s: Callable[[], float],
        max_body_bytes: int = 6 * MIB,
        find_stage: FindStage = lambda _name, _pipeline: None,
    ) -> None:
        """Answer calls to the functions of some pools, and to those that `find_stage` finds for the pipelines among them."""
        self.pools: dict[str, Pool] = {}
        self.ids = ids
        self.children = Children(self.pools, self.new_id, self.call)
        self._take_in(pools)
        self.resolution = Resolution(self.pools)
        self._pipelines = Pipelines(self.pools, self.resolution, meter, self.ids.of_stage)
        self.meter = meter
        self.accounts = meter.accounts
        self.bodies = Bodies(max_body_bytes)
        self.folders: Mapping[str, Path] = {}  # where the functions come from, for those who watch for edits
        self.ledger = meter.ledger
        self.ends_s = FOREVER_S
        """When this process ends, whatever it runs, on `time.monotonic()`'s clock."""
        self._memory = memory
        self._watch = Watch(self._look)
        self.now_s = now_s
        self._running = 0
        self._going_on = GoingOn()
        self._starting = Starting(self.pools, self.resolution, find_stage, self._take_in)
        self.refused: Counter[str] = Counter()
        self._is_draining = False
        self._drained = asyncio.Event()

    async def start(self, *, is_lenient: bool = False, is_watched: bool = True) -> None:
        """Start a worker for each function, and watch over them from then on; not where time stands still between calls.

        If lenient, a function that can't be started is told in the log and tried again while others go on;
        only where no function can be loaded, or none fits into the memory, there is nothing to wait for.

        Raises:
            DefinitionError: a function can't be loaded; if lenient, none can.
            ServeliteError: a worker can't be started; not if lenient.
        """
        await self.accounts.start()
        if is_watched:
            self._watch.begin()
        failed = await self._starting.start(OTHERS_START_S if is_lenient else None)
        failed += self.resolution.misfits().values()
        is_lost = len(failed) == len(self.pools) and all(isinstance(error, (DefinitionError, NoWorker)) for error in failed)
        if is_lost and is_lenient:
            raise DefinitionError("\n".join(error.detail for error in failed))
        if failed and not is_lenient:
            raise failed[0]
        for error in failed:
            logger.error("not every function is served: %s It is tried again.", error.detail)

    async def add(self, name: str, beside: str) -> None:
        """Serve one more function, if there is one of this name beside another one; ServeliteError where it can't be started."""
        await self._starting.add(name, beside)

    def _take_in(self, pools: Mapping[str, Pool]) -> None:
        self.pools.update(pools)
        for pool in pools.values():
            pool.make_call = self.children.call

    async def call(self, call: Call, read_body: ReadBody | None = None) -> Answer:
        """Answer a call; its body is read only once it is admitted. Whether it repeats another, only its body can tell.

        What the function did, its errors too, is an Answer with a receipt. What never reached a worker
        is raised, and has no row in the ledger.

        Raises:
            CallerError: there is no such function, or it does not take such a body.
            ServiceError: the call could not be run or recorded.
        """
        pool, description = self._let_in(call)
        answering = self._pipelines if description.pipeline else pool
        try:
            if not call.repeat_key:
                self.accounts.quotas.hold(call, description.limits)
            answering.admit(call)
            await self._read(call, read_body)
        except BaseException:
            self._leave(call)
            raise
        if call.repeat_key:  # who sends such a key means to ask again: the call goes on when its client leaves
            return await asyncio.shield(self._going_on.begin(self._run_once(answering, description, call)))
        if answering is pool:
            return await self._submit(pool, call)
        try:
            return await answering.answer(call)
        finally:
            self._leave(call)

    def begin(self, call: Call, on_end: OnEnd) -> "asyncio.Future[Answer]":
        """Answer a call to a plain function, whose body is there; see `call`. It is cancelled where its client leaves; `on_end` is told."""
        pool, description = self._let_in(call)
        try:
            self.accounts.quotas.hold(call, description.limits)
            pool.admit(call)
            self.bodies.check(call)
        except BaseException:
            self._leave(call)
            raise
        return self._submit(pool, call, on_end)

    def _let_in(self, call: Call) -> tuple[Pool, Description]:
        """Let a call in as far as its head tells; it leaves with `_leave`."""
        pool = self._find(call.function)
        if self._is_draining and call.above is None:  # what runs is let end, with the calls that it makes
            raise not_run(call.function)
        description = pool.description
        if description.pipeline is not None:
            description = self.resolution.find(call.function).description
        if call.media_type not in description.takes:
            check_media_type(description, call)
        call.ends_s = min(call.ends_s, self.ends_s)
        self.accounts.quotas.enter(call)
        self._running += 1
        return pool, description

    def _submit(self, pool: Pool, call: Call, on_end: OnEnd | None = None) -> "asyncio.Future[Answer]":
        """Have a call run by a worker, and leave."""
        try:
            waiting = pool.begin(call)
        except BaseException:
            self._leave(call)
            raise
        waiting.answer.add_done_callback(partial(self._settle, pool, waiting, on_end))
        return waiting.answer

    def _settle(self, pool: Pool, waiting: Waiting, on_end: OnEnd | None, answer: "asyncio.Future[Answer]") -> None:
        if answer.cancelled() and pool.give_up(waiting):
            self._going_on.begin(self._leave_late(pool, waiting.call))  # while its worker goes on, it holds what it held
        else:
            self._leave(waiting.call)
        if on_end is not None:
            on_end(answer)

    async def _run_once(self, answering: Pool | Pipelines, description: Description, call: Call) -> Answer:
        """Answer a call with an Idempotency-Key: from what is kept, where it repeats one."""

        async def run() -> Answer:
            self.accounts.quotas.hold(call, description.limits)
            return await answering.answer(call)

        try:
            answer = await self.accounts.repeats.answer(call, run)
        finally:
            self._leave(call)
        answer.receipt.free_left_us = self.accounts.quotas.free_left_us(call.account)
        return answer

    async def _leave_late(self, pool: Pool, call: Call) -> None:
        while pool.runs(call):  # noqa: ASYNC110  only its lane hears of a run's end
            await asyncio.sleep(LEAVE_LOOK_S)
        self._leave(call)

    def _leave(self, call: Call) -> None:
        """Give back what a call held."""
        self.accounts.quotas.leave(call)
        self.bodies.give_back(call)
        self._running -= 1
        if self._is_draining and not self._running:
            self._drained.set()

    async def _read(self, call: Call, read_body: ReadBody | None) -> None:
        if read_body is not None:
            call.body = await read_body()
        elif call.above is not None:  # it came from a handler
            self.bodies.hold(call, len(call.body))
        self.bodies.check(call)

    def new_id(self) -> str:
        """Return a request id that no other call has."""
        return self.ids.new()

    def describe(self, name: str) -> Description:
        """Return what may be known of a function.

        Raises:
            FunctionNotFound: there is none of this name.
            NoWorker: it could not be loaded yet, or it is a pipeline whose stages do not fit.
        """
        pool = self._find(name)
        description = pool.description
        return description if description.pipeline is None else self.resolution.find(name).description

    def described(self) -> list[Description]:
        """Return what may be known of each function that could be loaded, by name."""
        known = []
        for name in self.pools:
            with contextlib.suppress(NoWorker):
                known.append(self.describe(name))
        return sorted(known, key=lambda one: one.name)

    def unready(self) -> dict[str, ServeliteError | None]:
        """Return the functions that can't be called at the moment, all while draining, with the reason where there is one."""
        told = {name: pool.workers.error for name, pool in self.pools.items() if self._is_draining or not pool.is_ready}
        for name in self.pools:
            if name not in told and self.resolution.is_pipeline(name):
                try:
                    self.describe(name)
                except NoWorker as error:
                    told[name] = error
        return told

    @property
    def longest_s(self) -> float:
        """The largest time limit of the functions that are served."""
        return max(pool.workers.limits.timeout_s for pool in self.pools.values())

    async def reload(self, name: str) -> None:
        """Serve what a function's folder holds now; where that can't be loaded, the old version goes on.

        Raises:
            ServeliteError: the folder holds nothing that can be served.
        """
        before = self.resolution.misfits()
        await self._find(name).workers.reload()
        await self._starting.take_in()
        after = self.resolution.misfits()
        for pipeline in after.keys() - before.keys():
            logger.error("%s", after[pipeline].detail, extra={"function": pipeline, "reason": after[pipeline].code})
        for pipeline in before.keys() - after.keys():
            logger.info("the stages of %s fit together again", pipeline, extra={"function": pipeline})

    async def drain(self) -> None:
        """Refuse new calls, and wait until those that run are answered."""
        self._is_draining = True
        if self._running:
            await self._drained.wait()

    async def stop(self) -> None:
        """End all workers and close the ledger."""
        self._watch.stop()
        self._starting.cancel()
        try:
            await asyncio.gather(*(pool.stop() for pool in self.pools.values()))
            await self._pipelines.stop()
            await self._going_on.end()
        finally:
            await self.accounts.stop()
            await self.meter.close()

    def _look(self) -> None:
        for pool in self.pools.values():
            pool.look()
        self._starting.look()
        self._memory.look()

    def _find(self, name: str) -> Pool:
        pool = self.pools.get(name)
        if pool is None:
            raise no_function(name, self.pools)
        return pool
