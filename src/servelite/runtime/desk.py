"""A desk before a ledger's database: one connection, and one thread that uses it for those who ask, one after the other."""

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import AccountBook

Result = TypeVar("Result")

Question = tuple[Callable[[AccountBook], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Desk:
    """Opens the book when it is first asked, and anew after it refused.

    The thread is a daemon: a database that hangs keeps neither the end of the server waiting, nor those who gave up asking.
    """

    def __init__(self, open_book: Callable[[], AccountBook]) -> None:
        self._open_book = open_book
        self._questions: queue.SimpleQueue[Question | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    async def ask(self, question: Callable[[AccountBook], Result]) -> Result:
        """Return what a function says of the book; LedgerUnavailable where the ledger refuses, or the desk is closed."""
        if self._is_closed:  # nobody would answer
            raise LedgerUnavailable("The gateway ends, and has closed its ledger.")
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="servelite-desk", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Result] = loop.create_future()
        self._questions.put((question, loop, answer))
        return await answer

    async def close(self, within_s: float) -> bool:
        """Close the book once all questions are answered, for ever; return whether that was within so many seconds."""
        self._is_closed = True
        if self._thread is None:
            return True
        self._questions.put(None)
        await asyncio.to_thread(self._thread.join, within_s)
        return not self._thread.is_alive()

    def _work(self) -> None:
        book: AccountBook | None = None
        while (asked := self._questions.get()) is not None:
            question, loop, answer = asked
            outcome: Any = None
            error: Exception | None = None
            try:
                book = book or self._open_book()
                outcome = question(book)
            except LedgerUnavailable as refused:
                _close(book)
                book, error = None, refused
            except Exception as fault:  # noqa: BLE001  who asked is told, and the next one is heard
                error = fault
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(_tell, answer, outcome, error)
        _close(book)


class OpenDesk(Desk):
    """A desk without a thread, where the process may be frozen as soon as a call is answered: who asks does the work, and it is done."""

    def __init__(self, open_book: Callable[[], AccountBook]) -> None:
        super().__init__(open_book)
        self._book: AccountBook | None = None

    async def ask(self, question: Callable[[AccountBook], Result]) -> Result:
        """Return what a function says of the book; LedgerUnavailable where the ledger refuses."""
        return self.ask_now(question)

    def ask_now(self, question: Callable[[AccountBook], Result]) -> Result:
        """Do the same at once."""
        try:
            self._book = self._book or self._open_book()
            return question(self._book)
        except LedgerUnavailable:
            self.close_now()
            raise

    async def close(self, within_s: float) -> bool:
        """Close the book."""
        self.close_now()
        return True

    def close_now(self) -> None:
        """Do the same at once; who asks next has it opened anew."""
        _close(self._book)
        self._book = None


def _close(book: AccountBook | None) -> None:
    if book is not None:
        with contextlib.suppress(LedgerUnavailable):
            book.close()


def _tell(answer: "asyncio.Future[Any]", outcome: Any, error: BaseException | None) -> None:
    if answer.done():  # who asked has given up
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(outcome)
