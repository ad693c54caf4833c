"""Starts the functions of a server, a few at the same time; those that take long go on starting while others are served."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from servelite.core.errors import NoWorker, ServeliteError
from servelite.core.function import Description
from servelite.runtime.pool import Pool
from servelite.runtime.resolution import Resolution

STARTS_AT_ONCE = 4
"""Workers that are started at the same time: enough to overlap reading and importing on a few cores."""

FindStage = Callable[[str, str], Pool | None]
"""Finds a function that a pipeline names, by name and pipeline; None where there is none."""

TakeIn = Callable[[Mapping[str, Pool]], None]
"""Puts pools among those that are served, by name."""

logger = logging.getLogger("servelite.engine")


class Starting:
    """Starts pools, and takes in the functions that pipelines name."""

    def __init__(self, pools: Mapping[str, Pool], resolution: Resolution, find_stage: FindStage, take_in: TakeIn) -> None:
        self._pools = pools
        self._resolution = resolution
        self._find_stage = find_stage
        self._put_in = take_in
        self._starts: dict[Pool, asyncio.Task[ServeliteError | None]] = {}
        self._looked_at: dict[str, Description | None] = {}
        self._incomplete: set[str] = set()
        self._turn = asyncio.Semaphore(STARTS_AT_ONCE)
        self._is_waited_for = True
        self._is_over = False

    async def start(self, patience_s: float | None) -> list[ServeliteError]:
        """Start all pools and return what failed; of those that take longer than `patience_s` the log tells, once one is ready."""
        try:
            late = await self._start_all(patience_s)
        except asyncio.CancelledError:
            self.cancel()
            raise
        failed = {pool: error for pool, task in self._starts.items() if task.done() and (error := task.result())}
        if not late:  # those without memory may have it now, for others may sleep for it
            failed = {pool: again for pool, error in failed.items() if (again := await self._again(pool, error))}
        self._is_waited_for = False
        return list(failed.values())

    async def add(self, name: str, beside: str) -> None:
        """Serve one more function, if there is one of this name beside another one; ServeliteError where it can't be started."""
        pool = self._find_stage(name, beside)
        if pool is None or self._is_over:
            return
        self._put_in({name: pool})
        (task,) = starting = self._begin([pool])
        while starting:  # with the stages that it names, if it is a pipeline
            await asyncio.wait(starting)
            self.look()
            starting = [one for one in self._starts.values() if not one.done()]
        if error := task.result():
            raise error

    async def take_in(self) -> None:
        """Start the functions that pipelines name and that are not served yet: one was saved anew."""
        await asyncio.gather(*self.look())

    def look(self) -> list[asyncio.Task[ServeliteError | None]]:
        """Look at the functions that have become others, and at those that name what was not there; begin to start what is."""
        begun: list[asyncio.Task[ServeliteError | None]] = []
        if self._is_over:
            return begun
        for name, pool in list(self._pools.items()):
            description = pool.workers.description
            if description is not self._looked_at.get(name) or name in self._incomplete:
                self._looked_at[name] = description
                begun += self._begin(self._add_stages(name))
        return begun

    def cancel(self) -> None:
        """Start nothing more, from now on."""
        self._is_over = True
        for task in self._starts.values():
            task.cancel()

    async def _start_all(self, patience_s: float | None) -> list[asyncio.Task[ServeliteError | None]]:
        """Start all pools, and return what still goes on when patience is at its end and one is ready."""
        now_s = asyncio.get_running_loop().time
        until_s = float("inf") if patience_s is None else now_s() + patience_s
        starting = self._begin(self._pools.values())
        while starting and (now_s() < until_s or not any(pool.is_ready for pool in self._starts)):
            left_s = until_s - now_s()
            await asyncio.wait(starting, timeout=left_s if 0 < left_s < float("inf") else None, return_when=asyncio.FIRST_COMPLETED)
            self.look()
            starting = [task for task in self._starts.values() if not task.done()]
        return starting

    def _begin(self, pools: Iterable[Pool]) -> list[asyncio.Task[ServeliteError | None]]:
        begun = {pool: asyncio.create_task(self._start(pool)) for pool in pools}
        self._starts.update(begun)
        return list(begun.values())

    async def _start(self, pool: Pool) -> ServeliteError | None:
        async with self._turn:
            try:
                await pool.start()
            except ServeliteError as error:
                if not self._is_waited_for:
                    logger.error("%s can't be started: %s It is tried again.", pool.name, error.detail, extra={"function": pool.name})
                return error
        return None

    async def _again(self, pool: Pool, error: ServeliteError) -> ServeliteError | None:
        return await self._start(pool) if isinstance(error, NoWorker) else error

    def _add_stages(self, pipeline: str) -> list[Pool]:
        """Take in the functions that a pipeline names and that stand beside it; return what is new."""
        missing = [name for name in self._resolution.stages(pipeline) if name not in self._pools]
        added = {name: pool for name in missing if (pool := self._find_stage(name, pipeline))}
        self._put_in(added)
        (self._incomplete.add if len(added) < len(missing) else self._incomplete.discard)(pipeline)
        return list(added.values())
