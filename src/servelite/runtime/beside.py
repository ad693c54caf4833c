"""Functions beside one whose handler runs in this very process: what it calls is served by workers, from a thread of its own."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future

from servelite.core.call import Call, Question, Told
from servelite.core.errors import ServeliteError
from servelite.runtime.children import failed, succeeded
from servelite.runtime.engine import Engine

OWN_TIME_S = 0.0
"""No time limit holds for a handler in this process, so what it calls has the time that it says itself."""


class Beside:
    """An engine on an event loop of its own, because the handler that asks holds the one that it runs on; made for the first question."""

    def __init__(self, make_engine: Callable[[], Engine]) -> None:
        self._make_engine = make_engine
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._begun: Future[tuple[Engine, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    def ask(self, parent: Call, question: Question) -> Told:
        """Answer what a handler asks, while its thread waits."""
        try:
            with self._lock:
                if self._thread is None:
                    self._begin(self._make_engine())
            engine, loop, _ = self._begun.result()
            work = engine.children.call(parent, question, OWN_TIME_S)
            return succeeded(question, asyncio.run_coroutine_threadsafe(work, loop).result())
        except ServeliteError as error:
            return failed(question, error)

    def stop(self) -> None:
        """End what was begun; another question begins anew."""
        if self._thread is None:
            return
        if not self._begun.cancelled() and self._begun.exception() is None:
            _, loop, is_over = self._begun.result()
            loop.call_soon_threadsafe(is_over.set)
        self._thread.join()
        self._thread, self._begun = None, Future()

    def _begin(self, engine: Engine) -> None:
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live(engine)), name="functions beside", daemon=True)
        self._thread.start()

    async def _live(self, engine: Engine) -> None:
        is_over = asyncio.Event()
        try:
            await engine.start()
            self._begun.set_result((engine, asyncio.get_running_loop(), is_over))
            await is_over.wait()
        except ServeliteError as error:
            self._begun.set_exception(error)
        finally:
            self._begun.cancel()  # whatever went wrong, nobody waits
            await engine.stop()
