"""Starts the functions of a server, a few at the same time; those that take long go on starting while others are served."""

import asyncio
import logging
from collections.abc import Sequence

from servelite.core.errors import NoWorker, ServeliteError
from servelite.runtime.pool import Pool

STARTS_AT_ONCE = 4
"""Workers that are started at the same time: enough to overlap reading and importing on a few cores."""

logger = logging.getLogger("servelite.engine")


class Starting:
    """Starts pools; `late` are the starts that nobody waits for any more."""

    def __init__(self) -> None:
        self.late: set[asyncio.Task[ServeliteError | None]] = set()
        self._turn = asyncio.Semaphore(STARTS_AT_ONCE)

    async def start(self, pools: Sequence[Pool], patience_s: float | None) -> list[ServeliteError | None]:
        """Start pools and return what came of it; of those that take longer than `patience_s` the log tells, once one is ready."""
        starts = {pool: asyncio.create_task(self._start(pool)) for pool in pools}
        try:
            _, late = await asyncio.wait(starts.values(), timeout=patience_s)
            while late and not any(pool.is_ready for pool in starts):
                _, late = await asyncio.wait(late, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            for task in starts.values():
                task.cancel()
            raise
        self.late |= {task for task in starts.values() if not task.done()}
        errors = {pool: task.result() for pool, task in starts.items() if task.done()}
        if self.late:
            return list(errors.values())
        # those without memory may have it now, for others may sleep for it
        return [await self._start(pool) if isinstance(error, NoWorker) else error for pool, error in errors.items()]

    async def _start(self, pool: Pool) -> ServeliteError | None:
        async with self._turn:
            try:
                await pool.start()
            except ServeliteError as error:
                if self.late:
                    logger.error("%s can't be started: %s It is tried again.", pool.name, error.detail, extra={"function": pool.name})
                return error
        return None
