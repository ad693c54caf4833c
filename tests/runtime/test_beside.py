"""Functions beside one that runs in this process: asked from a thread whose event loop can not turn."""

import threading

import pytest

from servelite.core.call import Call, Outcome, Question, Told
from servelite.core.errors import FunctionNotFound, LedgerUnavailable
from servelite.core.function import JSON
from servelite.runtime.beside import Beside
from servelite.runtime.engine import Engine
from tests.runtime.town import Town

PARENT = Call("id-1", "here")


@pytest.fixture
def made():
    """Return functions beside, and the engines that were made of them."""
    engines: list[Engine] = []

    def make_engine() -> Engine:
        engines.append(Town({"f": {"max_workers": 1}, "g": {}}).engine)
        return engines[-1]

    beside = Beside(make_engine)
    yield beside, engines
    beside.stop()


def question(name: str = "f", errands: bytes = b"[]") -> Question:
    return Question(7, PARENT.id, name, JSON, errands)


def test_an_engine_is_made_for_the_first_question_and_serves_all(made):
    beside, engines = made
    assert engines == []
    assert [beside.ask(PARENT, question()) for _ in range(3)] == [Told(7, Outcome(b"1"), JSON)] * 3
    assert beside.ask(PARENT, question(errands=b'[["f", [["g", []]]]]')).outcome.body == b"3"
    assert len(engines) == 1


def test_several_threads_may_ask_at_once(made):
    beside, engines = made
    told: list[Told] = []
    threads = [threading.Thread(target=lambda: told.append(beside.ask(PARENT, question()))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(told), len(engines)) == (8, 1)


def test_what_is_refused_is_told_with_the_functions_name(made):
    beside, _ = made
    error = beside.ask(PARENT, question("nothing")).outcome.error
    assert (type(error), error.stage) == (FunctionNotFound, "nothing")


def test_an_engine_that_can_not_be_started_is_told_each_time():
    class Locked(Town):
        async def start(self) -> None:
            raise LedgerUnavailable("It is locked.")

    town = Locked({"f": {}})
    town.engine.accounts.start = town.start
    beside = Beside(lambda: town.engine)
    told = [beside.ask(PARENT, question()).outcome.error for _ in range(2)]
    assert [(type(error), error.detail) for error in told] == [(LedgerUnavailable, "f: It is locked.")] * 2
    beside.stop()


def test_what_nobody_asked_is_stopped_at_once():
    Beside(lambda: pytest.fail("nobody asked")).stop()


def test_a_stopped_one_leaves_no_thread_and_no_worker(made):
    beside, engines = made
    beside.ask(PARENT, question())
    beside.stop()
    assert not any(thread.name == "functions beside" for thread in threading.enumerate())
    assert engines[0].pools["f"].workers.lanes == []
