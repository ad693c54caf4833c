"""A worker in this very process: for one call from the command line, a notebook, a test, or AWS Lambda."""

import os
from collections.abc import Sequence
from pathlib import Path

from servelite.core.call import BatchReply, Call
from servelite.core.errors import ServeliteError
from servelite.core.function import Description
from servelite.worker.description import describe
from servelite.worker.loader import load
from servelite.worker.runner import Runner


class InlineWorker:
    """The `Worker` port without a process: no isolation, no limits, no start-up cost."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    is_alive = True
    pid = os.getpid()
    on_end = staticmethod(lambda: None)  # it never ends by itself

    async def start(self) -> Description:
        """Import the function here; DefinitionError where it can't be loaded."""
        function = load(self._folder)
        self._runner = Runner(function)
        return describe(function)

    async def run(self, calls: Sequence[Call]) -> BatchReply:
        """Answer a batch; blocks the event loop meanwhile."""
        return self._runner.run(calls)

    def memory_kib(self, suspicious_kib: int) -> int:
        """Return 0: this process is not the worker's alone."""
        return 0

    def kill(self, error: ServeliteError) -> None:
        """Do nothing: it can't be ended without this process."""

    async def stop(self) -> None:
        """Do nothing: it ends with this process."""
