"""What goes on though whoever waited for it may have left: held on to, and let end before the process does."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

LAST_S = 2.0
"""How long the end waits for it."""

Result = TypeVar("Result")


class GoingOn:
    """Tasks that nobody else need hold."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[Any]] = set()

    def begin(self, work: Coroutine[Any, Any, Result]) -> "asyncio.Task[Result]":
        """Go on with something whoever waits for it."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._end)
        return task

    async def end(self) -> None:
        """Wait for all of it, for a while."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=LAST_S)

    def _end(self, task: "asyncio.Task[Any]") -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            task.exception()  # its client may be gone, and nobody else asks
