"""What a handler asks of other functions: sent over the worker's socket, and answered while the handler waits, in any of its threads."""

import itertools
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, NoReturn

from servelite.core import frames
from servelite.core.call import Call, Question, Told
from servelite.core.errors import DefinitionError, FrameError, FunctionFailed, FunctionNotFound
from servelite.core.frames import MOST_QUESTIONS, Kind
from servelite.core.function import NAME
from servelite.core.schema import from_body, to_body

Exchange = Callable[[Question], Told]
"""Sends a question, and waits for what is told."""


def ask_nobody(question: Question) -> NoReturn:
    """Refuse, where nobody is there to be asked."""
    raise DefinitionError(f"{question.function} was not called: nothing is served here. Serve both: servelite run FOLDER FOLDER")


def idle_ns() -> int:
    """Return a clock that stands still while this process computes."""
    return time.perf_counter_ns() - time.process_time_ns()


class Asking:
    """Makes questions of a handler's calls, and values of what it is told.

    waited_ns  for how long the handler only waited for that, since `begin`
    """

    def __init__(self, exchange: Exchange = ask_nobody, idle_ns: Callable[[], int] = idle_ns) -> None:
        """Ask by `exchange`; `idle_ns` is a clock that runs as long as nothing is computed here."""
        self._exchange = exchange
        self._idle_ns = idle_ns
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._waiting = 0
        self._began_ns = self.waited_ns = 0

    def begin(self) -> None:
        """Set the stopwatch to 0; a thread of the run before may just be leaving it."""
        with self._lock:
            self.waited_ns = 0
            if self._waiting:
                self._began_ns = self._idle_ns()

    def busy_clock(self, clock_ns: Callable[[], int]) -> Callable[[], int]:
        """Return a clock that stands still while the handler only waits, and never goes back."""
        last_ns = -sys.maxsize

        def busy_ns() -> int:
            nonlocal last_ns
            last_ns = max(last_ns, clock_ns() - self._waited_so_far_ns())
            return last_ns

        return busy_ns

    def _waited_so_far_ns(self) -> int:
        if not self._waiting:
            return self.waited_ns
        with self._lock:
            return self.waited_ns + (max(0, self._idle_ns() - self._began_ns) if self._waiting else 0)

    def ask(self, request_id: str, name: str, value: Any) -> Any:
        """Return another function's output; see `Context.call`."""
        if not NAME.fullmatch(name):
            raise FunctionNotFound(f"'{name:.80}' can't name a function, so there is none.")
        try:
            media_type, body = to_body(value)
        except FunctionFailed as error:
            raise FunctionFailed(f"{name} was not called: {error.detail}") from error
        question = Question(next(self._numbers) % 2**32, request_id, name, media_type, body)
        with self._stopwatch():
            told = self._exchange(question)
        if told.outcome.error is not None:
            raise told.outcome.error
        return from_body(told.outcome.body, told.media_type)

    @contextmanager
    def _stopwatch(self) -> Iterator[None]:
        """Time what is waited, once where several threads wait; what others compute meanwhile is no wait."""
        with self._lock:
            if not self._waiting:
                self._began_ns = self._idle_ns()
            self._waiting += 1
        try:
            yield
        finally:
            with self._lock:
                self._waiting -= 1
                if not self._waiting:
                    self.waited_ns += max(0, self._idle_ns() - self._began_ns)


CLOSING = -1
"""The number by which the end of a batch waits for its last question."""


class Socket:
    """Questions over a worker's socket, from several threads at once: one that waits reads, for itself and for the others.

    What is told comes in any order. A batch is over only when all its questions are answered, for until then somebody else may read.
    """

    def __init__(self, reader: BinaryIO, connection: socket.socket) -> None:
        self._reader = reader
        self._connection = connection
        self._own_pid = os.getpid()
        self._lock = threading.Lock()  # for all that follows
        self._calls: frozenset[str] = frozenset()
        self._open: set[int] = set()
        self._told: dict[int, Told | None] = {}
        self._sleepers: dict[int, threading.Condition] = {}
        self._is_reading = False

    @contextmanager
    def open_for(self, calls: Sequence[Call]) -> Iterator[None]:
        """Let the handler ask for these calls meanwhile."""
        self._calls = frozenset(call.id for call in calls)
        yield
        if os.getpid() == self._own_pid:  # not in a child that the handler forked
            with self._lock:
                self._calls = frozenset()
                self._wait(CLOSING, lambda: not self._open)

    def exchange(self, question: Question) -> Told:
        """Send a question, and wait for what is told.

        Raises:
            FunctionFailed: it may not be asked here or now.
            ConnectionError: the gateway hung up.
        """
        if os.getpid() != self._own_pid:
            raise FunctionFailed(f"{question.function} was not called: a process that the handler started can't. Its own threads can.")
        frame, number = _packed(question), question.number
        with self._lock:
            self._wait(number, lambda: len(self._open) < MOST_QUESTIONS)
            if question.parent not in self._calls:
                raise FunctionFailed(f"{question.function} was not called: the call that it was to be part of has been answered.")
            self._connection.sendall(frame)
            self._open.add(number)
            self._told[number] = None
            try:
                self._wait(number, lambda: self._told[number] is not None)
            finally:
                told = self._told.pop(number)
        assert told is not None
        return told

    def _wait(self, number: int, condition: Callable[[], bool]) -> None:
        """Wait until a condition holds: read as long as nobody else does, and then leave that to one who sleeps."""
        try:
            while not condition():
                if self._is_reading:
                    self._sleep(number)
                else:
                    self._read()
        finally:
            if self._sleepers and not self._is_reading:
                self._wake(next(iter(self._sleepers)))

    def _sleep(self, number: int) -> None:
        turn = self._sleepers[number] = threading.Condition(self._lock)
        try:
            turn.wait()
        finally:
            del self._sleepers[number]

    def _wake(self, number: int) -> None:
        if number in self._sleepers:
            self._sleepers[number].notify()

    def _read(self) -> None:
        self._is_reading = True
        self._lock.release()
        try:
            told = _next_told(self._reader)
        finally:
            self._lock.acquire()
            self._is_reading = False
        if len(self._open) == MOST_QUESTIONS:  # so there is room for another
            for number in self._sleepers:
                self._wake(number)
        self._open.discard(told.number)
        if told.number in self._told:  # else its thread gave up waiting
            self._told[told.number] = told
            self._wake(told.number)


def _packed(question: Question) -> bytes:
    try:
        return frames.pack_ask(question)
    except FrameError as error:
        raise FunctionFailed(f"{question.function} was not called: {error.detail} Send less.") from error


def _next_told(reader: BinaryIO) -> Told:
    head = reader.read(frames.HEAD.size)
    if not head:
        raise ConnectionError("the gateway hung up")
    size, kind = frames.parse_head(head)
    payload = reader.read(size)
    if kind is not Kind.TOLD or len(payload) < size:
        raise FrameError(f"A worker that asks takes whole TOLD frames; it got {len(payload)} of {size} bytes of {kind.name}.")
    return frames.unpack_told(payload)
