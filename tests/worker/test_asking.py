"""A handler's questions: as values go in and out, and over a real socket pair whose other end plays the gateway."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pytest

from servelite.core import frames
from servelite.core.call import Call, Outcome, Question, Told
from servelite.core.errors import DefinitionError, FrameError, FunctionFailed, FunctionNotFound, InvalidInput
from servelite.core.frames import HEAD, MOST_QUESTIONS, Kind
from servelite.core.function import BINARY, JSON, TEXT
from servelite.worker.asking import Asking, Socket
from tests.server import until

CALLS = [Call("id-1", "f"), Call("id-2", "f")]


class Gateway:
    """The other end of a worker's socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.reader = connection.makefile("rb")

    def asked(self) -> Question:
        size, kind = frames.parse_head(self.reader.read(HEAD.size))
        assert kind is Kind.ASK
        return frames.unpack_ask(self.reader.read(size))

    def tell(self, question: Question, body: bytes = b"told") -> None:
        self.connection.sendall(frames.pack_told(Told(question.number, Outcome(body), TEXT)))


class Interrupted:
    """A reader whose first read is interrupted, as by a signal's handler that raises."""

    def __init__(self, reader: BinaryIO) -> None:
        self.reader = reader
        self.is_interrupted = False

    def read(self, size: int) -> bytes:
        if not self.is_interrupted:
            self.is_interrupted = True
            raise TimeoutError
        return self.reader.read(size)


@pytest.fixture
def ends() -> Iterator[tuple[Socket, Gateway]]:
    """Return a worker's questions and the gateway that they go to."""
    ours, theirs = socket.socketpair()
    with ours, theirs, theirs.makefile("rb") as reader:
        gateway = Gateway(ours)
        yield Socket(reader, theirs), gateway
        gateway.reader.close()


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(MOST_QUESTIONS + 1) as pool:
        yield pool


def question(number: int, parent: str = "id-1") -> Question:
    return Question(number, parent, "embed", JSON, b"1")


def told(body: bytes = b"", media_type: str = JSON, error: Exception | None = None):
    """Return an exchange that tells the same each time, and the questions that it got."""
    asked: list[Question] = []

    def exchange(question: Question) -> Told:
        asked.append(question)
        return Told(question.number, Outcome(body, error), media_type)

    return exchange, asked


@pytest.mark.parametrize(
    ("value", "media_type", "body"), [(b"\x00", BINARY, b"\x00"), ({"a": 1}, JSON, b'{"a":1}')], ids=["bytes", "anything else"]
)
def test_a_value_is_asked_with_its_media_type(value, media_type, body):
    exchange, asked = told(b"1")
    assert Asking(exchange).ask("id-1", "embed", value) == 1
    assert asked == [Question(0, "id-1", "embed", media_type, body)]


@pytest.mark.parametrize(
    ("body", "media_type", "value"), [(b"[1]", JSON, [1]), (b"a", TEXT, "a"), (b"\xff", BINARY, b"\xff")], ids=["json", "text", "bytes"]
)
def test_what_is_told_becomes_a_value(body, media_type, value):
    assert Asking(told(body, media_type)[0]).ask("id-1", "embed", 1) == value


def test_an_error_is_raised_as_the_one_that_it_is():
    error = InvalidInput("embed: too long", [{"field": "text", "message": "too long", "rule": "max_length"}])
    with pytest.raises(InvalidInput, match="embed: too long") as caught:
        Asking(told(error=error)[0]).ask("id-1", "embed", 1)
    assert caught.value.errors == error.errors


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "../a"], ids=["nothing", "a blank", "too long", "a path"])
def test_what_can_not_name_a_function_is_not_asked_for(name):
    exchange, asked = told()
    with pytest.raises(FunctionNotFound, match="can't name a function"):
        Asking(exchange).ask("id-1", name, 1)
    assert asked == []


def test_an_input_that_can_not_be_sent_is_told_with_the_functions_name():
    with pytest.raises(FunctionFailed, match="embed was not called: object can't be written as JSON"):
        Asking(told()[0]).ask("id-1", "embed", object())


def test_where_nobody_is_there_to_be_asked_the_cure_is_told():
    with pytest.raises(DefinitionError, match=r"embed was not called: nothing is served here.*servelite run"):
        Asking().ask("id-1", "embed", 1)


def test_the_wait_is_timed_once_for_all_threads(threads):
    """A clock that goes on by one each time it is looked at: begin and end of the one wait are what counts."""
    ticks = iter(range(100))
    inside = threading.Barrier(3)

    def exchange(question: Question) -> Told:
        inside.wait()
        return Told(question.number, Outcome(b"1"), JSON)

    asking = Asking(exchange, lambda: next(ticks))
    list(threads.map(lambda _: asking.ask("id-1", "embed", 1), range(3)))
    assert asking.waited_ns == 1
    asking.begin()
    assert asking.waited_ns == 0


def test_the_busy_clock_stands_still_while_the_handler_waits_and_never_goes_back(threads):
    now_ns, asked, may_tell = [100], threading.Event(), threading.Event()

    def exchange(question: Question) -> Told:
        asked.set()
        may_tell.wait()
        return Told(question.number, Outcome(b"1"), JSON)

    asking = Asking(exchange, lambda: now_ns[0])
    clock_ns = asking.busy_clock(lambda: now_ns[0])
    assert clock_ns() == 100
    task = threads.submit(asking.ask, "id-1", "embed", 1)
    asked.wait()
    now_ns[0] = 130
    assert clock_ns() == 100
    may_tell.set()
    task.result()
    now_ns[0] = 140
    assert clock_ns() == 110
    now_ns[0] = 120
    assert clock_ns() == 110


def test_what_the_process_computes_meanwhile_is_no_wait():
    def exchange(question: Question) -> Told:
        end_ns = time.process_time_ns() + 30_000_000
        while time.process_time_ns() < end_ns:
            ...
        return Told(question.number, Outcome(b"1"), JSON)

    asking = Asking(exchange)
    began_ns = time.perf_counter_ns()
    asking.ask("id-1", "embed", 1)
    assert asking.waited_ns <= time.perf_counter_ns() - began_ns - 29_000_000


def test_a_question_is_answered_over_the_socket(ends, threads):
    worker, gateway = ends
    with worker.open_for(CALLS):
        answer = threads.submit(worker.exchange, question(7))
        assert gateway.asked() == question(7)
        gateway.tell(question(7))
        assert answer.result() == Told(7, Outcome(b"told"), TEXT)


def test_questions_of_several_threads_are_answered_in_any_order(ends, threads):
    worker, gateway = ends
    with worker.open_for(CALLS):
        answers = {number: threads.submit(worker.exchange, question(number, f"id-{number % 2 + 1}")) for number in range(10)}
        asked = [gateway.asked() for _ in answers]
        for one in reversed(asked):
            gateway.tell(one, str(one.number).encode())
        assert {number: answer.result().outcome.body for number, answer in answers.items()} == {n: str(n).encode() for n in range(10)}


def test_who_is_told_first_goes_on_first(ends, threads):
    worker, gateway = ends
    with worker.open_for(CALLS):
        slow = threads.submit(worker.exchange, question(1))
        gateway.asked()  # so this one reads
        fast = threads.submit(worker.exchange, question(2))
        gateway.asked()
        gateway.tell(question(2))
        assert fast.result().number == 2
        assert not slow.done()
        gateway.tell(question(1))
        assert slow.result().number == 1


def test_one_question_more_than_may_be_open_waits(ends, threads):
    worker, gateway = ends
    with worker.open_for(CALLS):
        answers = [threads.submit(worker.exchange, question(number)) for number in range(MOST_QUESTIONS + 1)]
        asked = [gateway.asked() for _ in range(MOST_QUESTIONS)]
        assert len(worker._open) == MOST_QUESTIONS
        for one in asked:
            gateway.tell(one)
        gateway.tell(gateway.asked())
        assert all(answer.result() for answer in answers)


def test_a_batch_is_not_over_before_its_questions_are_answered(ends, threads):
    worker, gateway = ends
    is_asked, is_over = threading.Event(), threading.Event()

    def run() -> None:
        with worker.open_for(CALLS):
            answer = threads.submit(worker.exchange, question(1))
            is_asked.wait()
        is_over.set()
        assert answer.result().number == 1

    running = threads.submit(run)
    gateway.asked()
    is_asked.set()
    until(lambda: not worker._calls)
    assert not is_over.is_set()
    gateway.tell(question(1))
    running.result()


def test_a_thread_that_outlives_its_call_asks_no_more(ends):
    worker, _ = ends
    with worker.open_for(CALLS):
        pass
    with pytest.raises(FunctionFailed, match="embed was not called: the call that it was to be part of has been answered"):
        worker.exchange(question(1))


def test_a_call_of_another_batch_can_not_be_asked_for(ends):
    worker, _ = ends
    with worker.open_for(CALLS), pytest.raises(FunctionFailed, match="has been answered"):
        worker.exchange(question(1, "id-3"))


def test_a_process_that_a_handler_started_can_not_ask(ends):
    worker, _ = ends
    worker._own_pid = os.getppid()
    with worker.open_for(CALLS), pytest.raises(FunctionFailed, match="a process that the handler started can't"):
        worker.exchange(question(1))


def test_an_input_that_fits_no_frame_is_told(ends, monkeypatch):
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 100)
    worker, _ = ends
    with worker.open_for(CALLS), pytest.raises(FunctionFailed, match=r"embed was not called: .* over the limit of 100\. Send less"):
        worker.exchange(question(1)._replace(body=bytes(200)))


def test_a_gateway_that_hangs_up_is_waited_for_no_longer(ends, threads):
    worker, gateway = ends
    worker._calls = frozenset({"id-1"})
    answers = [threads.submit(worker.exchange, question(number)) for number in range(3)]
    for _ in answers:
        gateway.asked()
    gateway.reader.close()
    gateway.connection.close()
    assert [type(answer.exception()) for answer in answers] == [ConnectionError] * 3


def test_a_question_that_was_given_up_does_not_disturb_the_next(ends, threads):
    worker, gateway = ends
    worker._reader = Interrupted(worker._reader)
    with worker.open_for(CALLS):
        assert isinstance(threads.submit(worker.exchange, question(1)).exception(), TimeoutError)
        answer = threads.submit(worker.exchange, question(2))
        for one in [gateway.asked(), gateway.asked()]:
            gateway.tell(one, str(one.number).encode())
        assert answer.result().outcome.body == b"2"
    assert (worker._open, worker._told) == (set(), {})


def test_a_frame_of_another_kind_is_a_frame_error(ends, threads):
    worker, gateway = ends
    worker._calls = frozenset({"id-1"})
    answer = threads.submit(worker.exchange, question(1))
    gateway.asked()
    gateway.connection.sendall(frames.frame(Kind.BATCH, b""))
    assert isinstance(answer.exception(), FrameError)
