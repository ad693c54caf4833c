"""The one road every call takes, whatever door it came through: find, check the quota, admit, read, run, meter, answer."""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping

from servelite.core.call import Answer, Call, call_id
from servelite.core.errors import (
    DefinitionError,
    FunctionNotFound,
    NoWorker,
    Overloaded,
    PayloadTooLarge,
    ServeliteError,
    UnsupportedMediaType,
)
from servelite.core.function import Description
from servelite.runtime.children import Children
from servelite.runtime.machine import Memory
from servelite.runtime.metering import Meter
from servelite.runtime.pipelines import Pipelines
from servelite.runtime.pool import Pool
from servelite.runtime.refusals import not_run
from servelite.runtime.starting import Starting
from servelite.runtime.watch import Watch

MIB = 1024 * 1024

BODIES_BYTES = 64 * MIB
"""What large bodies of calls that are read, wait or run may take together: ten of the default limit."""

OTHERS_START_S = 10.0
"""A server waits so long for all of its functions; then it serves those that are ready, while the others go on starting."""

ReadBody = Callable[[], Awaitable[bytes]]

logger = logging.getLogger("servelite.engine")


class Engine:
    """Answers calls to a set of functions."""

    def __init__(
        self,
        pools: Mapping[str, Pool],
        meter: Meter,
        memory: Memory,
        *,
        now_s: Callable[[], float],
        random_bits: Callable[[int], int],
        max_body_bytes: int = 6 * MIB,
        find_stage: Callable[[str, str], Pool | None] = lambda _name, _pipeline: None,
    ) -> None:
        """Answer calls to the functions of some pools; `find_stage` finds one that a pipeline names, by name and pipeline."""
        self.pools: dict[str, Pool] = {}
        self.children = Children(self.pools, self.new_id, self.call)
        self._take_in(pools)
        self.pipelines = Pipelines(self.pools, meter, self.new_id)
        self._find_stage = find_stage
        self.accounts = meter.accounts
        self.max_body_bytes = max_body_bytes
        self._ledger = meter.ledger
        self._memory = memory
        self._watch = Watch(self._look)
        self._now_s = now_s
        self._random_bits = random_bits
        self._running = 0
        self._held_bytes = 0
        self._starting = Starting()
        self.refused: Counter[str] = Counter()
        self._is_draining = False
        self._drained = asyncio.Event()

    async def start(self, *, is_lenient: bool = False) -> None:
        """Start a worker for each function, STARTS_AT_ONCE at the same time, and watch over them from then on.

        If lenient, a function that can't be started is told in the log and tried again while others go on;
        only where no function can be loaded, or none fits into the memory, there is nothing to wait for.

        Raises:
            DefinitionError: a function can't be loaded; if lenient, none can.
            ServeliteError: a worker can't be started; not if lenient.
        """
        await self.accounts.start()
        self._watch.begin()
        patience_s = OTHERS_START_S if is_lenient else None
        failed = await self._start(list(self.pools.values()), patience_s)
        failed += self._misfits()
        is_lost = len(failed) == len(self.pools) and all(isinstance(error, (DefinitionError, NoWorker)) for error in failed)
        if is_lost and is_lenient:
            raise DefinitionError("\n".join(error.detail for error in failed))
        if failed and not is_lenient:
            raise failed[0]
        for error in failed:
            logger.error("not every function is served: %s It is tried again.", error.detail)

    async def add(self, name: str, beside: str) -> None:
        """Serve one more function, if there is one of this name beside another one; ServeliteError where it can't be started."""
        if pool := self._find_stage(name, beside):
            self._take_in({name: pool})
            for error in await self._start([pool], None):
                raise error

    async def _start(self, pools: list[Pool], patience_s: float | None) -> list[ServeliteError]:
        """Start pools, and the stages that they name; return what went wrong."""
        failed: list[ServeliteError] = []
        while pools:
            failed += filter(None, await self._starting.start(pools, patience_s))
            pools = self._add_stages()
        return failed

    def _take_in(self, pools: Mapping[str, Pool]) -> None:
        self.pools.update(pools)
        for pool in pools.values():
            pool.make_call = self.children.call

    def _add_stages(self) -> list[Pool]:
        """Take in the functions that pipelines name and that stand beside them; return what is new."""
        added = {}
        for pipeline in self.pools:
            for name in self.pipelines.stages(pipeline):
                if name not in self.pools and name not in added and (pool := self._find_stage(name, pipeline)):
                    added[name] = pool
        self._take_in(added)
        return list(added.values())

    def _misfits(self) -> list[ServeliteError]:
        """Return what is wrong with pipelines, as far as their stages are known."""
        found: list[ServeliteError] = []
        for name in self.pools:
            if self.pipelines.is_pipeline(name):
                try:
                    self.pipelines.describe(name)
                except DefinitionError as error:
                    found.append(error)
                except NoWorker:  # a stage still starts, or its error is told
                    continue
        return found

    async def call(self, call: Call, read_body: ReadBody | None = None) -> Answer:
        """Answer a call; its body is read only once it is admitted, unless it may repeat another, which only its body can tell.

        What the function did, its errors too, is an Answer with a receipt. What never reached a worker
        is raised, and has no row in the ledger.

        Raises:
            CallerError: there is no such function, or it does not take such a body.
            ServiceError: the call could not be run or recorded.
        """
        pool = self._find(call.function)
        if self._is_draining and call.above is None:  # what runs is let end, with the calls that it makes
            raise not_run(call.function)
        is_pipeline = self.pipelines.is_pipeline(call.function)
        description = self.describe(call.function) if is_pipeline else pool.description
        _check_media_type(description, call)
        self._running += 1
        try:
            if not call.repeat_key:
                return await self._run(pool, description, call, read_body)
            await self._read(call, read_body)
            answer = await self.accounts.repeats.answer(call, lambda: self._run(pool, description, call))
            answer.receipt.free_left_us = self.accounts.quotas.free_left_us(call.account)
            return answer
        finally:
            self._held_bytes -= call.held_bytes
            self._running -= 1
            if self._is_draining and not self._running:
                self._drained.set()

    async def _run(self, pool: Pool, description: Description, call: Call, read_body: ReadBody | None = None) -> Answer:
        """Let a call in, as far as its account and the queues go, and have it answered."""
        answering = self.pipelines if description.pipeline else pool
        self.accounts.quotas.admit(call, description.limits)
        try:
            answering.admit(call)
            await self._read(call, read_body)
            return await answering.answer(call)
        finally:
            self.accounts.quotas.release(call)

    async def _read(self, call: Call, read_body: ReadBody | None) -> None:
        if read_body is not None:
            call.body = await read_body()
        elif call.above is not None:  # it came from a handler
            self.hold(call, len(call.body))
        if len(call.body) > self.max_body_bytes:
            raise too_large(self.max_body_bytes)

    def hold(self, call: Call, size: int) -> None:
        """Count the `size` bytes that have come of a large body; Overloaded where all bodies together would take too much memory."""
        self._held_bytes += size - call.held_bytes
        call.held_bytes = size
        if self._held_bytes > max(BODIES_BYTES, 4 * self.max_body_bytes) and self._held_bytes > size:
            raise Overloaded("The server holds as many large bodies as it has memory for. Try again later, or send less at a time.")

    def new_id(self) -> str:
        """Return a request id that no other call has."""
        return call_id(int(self._now_s() * 1000), self._random_bits(80))

    def describe(self, name: str) -> Description:
        """Return what may be known of a function.

        Raises:
            FunctionNotFound: there is none of this name.
            NoWorker: it could not be loaded yet, or it is a pipeline whose stages do not fit.
        """
        pool = self._find(name)
        if not self.pipelines.is_pipeline(name):
            return pool.description
        try:
            return self.pipelines.describe(name)
        except DefinitionError as error:
            raise NoWorker(error.detail) from error

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
            if name not in told and self.pipelines.is_pipeline(name):
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
        await self._find(name).workers.reload()

    async def drain(self) -> None:
        """Refuse new calls, and wait until those that run are answered."""
        self._is_draining = True
        if self._running:
            await self._drained.wait()

    async def stop(self) -> None:
        """End all workers and close the ledger."""
        self._watch.stop()
        for task in self._starting.late:
            task.cancel()
        try:
            await asyncio.gather(*(pool.stop() for pool in self.pools.values()))
        finally:
            await self.accounts.stop()
            self._ledger.close()

    def _look(self) -> None:
        for pool in self.pools.values():
            pool.look()
        self._memory.look()

    def _find(self, name: str) -> Pool:
        pool = self.pools.get(name)
        if pool is None:
            raise FunctionNotFound(f"No function named '{name}'. Functions here: {', '.join(sorted(self.pools))}.")
        return pool


def too_large(limit: int) -> PayloadTooLarge:
    """Return the error for a body over the limit, in bytes."""
    return PayloadTooLarge(f"The body is longer than {limit:,} bytes. Send less, or have the server started with a larger --max-body.")


def _check_media_type(function: Description, call: Call) -> None:
    if not function.accepts(call.media_type):
        raise UnsupportedMediaType(f"{function.name} does not take '{call.media_type}'. Send Content-Type: {' or '.join(function.takes)}.")
    if not call.media_type:
        call.media_type = function.takes[0]
