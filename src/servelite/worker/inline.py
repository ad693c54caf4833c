"""A worker in this very process: for one call from the command line, a notebook, a test, or AWS Lambda."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from servelite.core.call import BatchReply, Call, Question, Told
from servelite.core.errors import ServeliteError
from servelite.core.function import Description
from servelite.worker.asking import Asking, ask_nobody
from servelite.worker.description import describe
from servelite.worker.loader import load
from servelite.worker.runner import Runner


def ask_no_one(_parent: Call, question: Question) -> Told:
    """Refuse, where nobody is there to be asked."""
    return ask_nobody(question)


class InlineWorker:
    """The `Worker` port without a process: no isolation, no limits, no start-up cost.

    Its handler holds the event loop, so what that asks of other functions goes to `ask`, which answers from elsewhere; `stop` ends that.
    """

    def __init__(
        self, folder: Path, ask: Callable[[Call, Question], Told] = ask_no_one, stop_asked: Callable[[], None] = lambda: None
    ) -> None:
        self._folder = folder
        self._ask = ask
        self._stop_asked = stop_asked
        self._calls: dict[str, Call] = {}
        self.on_end: Callable[[], None] = lambda: None  # it never ends by itself
        self.on_ask: Callable[[Question], None] = lambda _: None  # nor does it ask there

    is_alive = True
    pid = os.getpid()

    async def start(self) -> Description:
        """Import the function here; DefinitionError where it can't be loaded."""
        function = load(self._folder)
        asking = Asking(lambda question: self._ask(self._calls[question.parent], question), time.perf_counter_ns)
        self._runner = Runner(function, asking)
        return describe(function)

    async def run(self, calls: Sequence[Call]) -> BatchReply:
        """Answer a batch; blocks the event loop meanwhile."""
        self._calls = {call.id: call for call in calls}
        return self._runner.run(calls)

    def tell(self, told: Told) -> None:
        """Do nothing: who asked has been told."""

    def memory_kib(self, suspicious_kib: int) -> int:
        """Return 0: this process is not the worker's alone."""
        return 0

    def kill(self, error: ServeliteError) -> None:
        """Do nothing: it can't be ended without this process."""

    async def stop(self) -> None:
        """End what its handler asked; it ends itself with this process."""
        self._stop_asked()
