"""The watch over all workers: it looks around several times a second, and a fault there is told and does not end it."""

import asyncio
import logging
from collections.abc import Callable

LOOK_EVERY_S = 0.1
"""How often workers are looked at: a process that fills memory at 4 GB/s is over its limit by 400 MB when it is found."""

logger = logging.getLogger("servelite.engine")


class Watch:
    """Looks around by `look`, from `begin` until `stop`."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look = look
        self._task: asyncio.Task[None] | None = None

    def begin(self, ended: asyncio.Task[None] | None = None) -> None:
        """Look around from now on, or again after a look that failed."""
        if ended is not None:
            if ended.cancelled():
                return
            logger.critical("the watch over the workers failed and begins anew, by a fault of servelite", exc_info=ended.exception())
        self._task = asyncio.create_task(self._look_around())
        self._task.add_done_callback(self.begin)

    def stop(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()

    async def _look_around(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._look()
