"""What workers are started and ended in: tasks of their own, which whoever waits can't cut off, and the end waits for."""

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from servelite.core.errors import ServeliteError

logger = logging.getLogger("servelite.workers")


class Tasks:
    """The tasks of one function's workers.

    Each sees to the end of what it began: cut off in the middle of that, it would leave a process that nobody waits for.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Do something that nobody waits for."""
        task = asyncio.create_task(work, name=f"workers of {self._name}")
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that somebody waits for; when that one leaves it is cancelled, and ends what it began behind its back."""
        task = self.begin(work)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            task.cancel()
            raise

    async def finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that somebody waits for, to its end though that one leaves."""
        await asyncio.shield(self.begin(work))

    async def end(self) -> None:
        """Wait for all, and for those that they begin."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, ServeliteError):
            logger.critical("%s lost a worker by a fault of servelite", self._name, exc_info=error)
