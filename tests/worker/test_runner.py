import json
import logging
import time

import pytest

from servelite.core.call import Call, Outcome, Question, Told
from servelite.core.errors import FunctionFailed, InvalidInput, MalformedJson, NoWorker, ServeliteError, TimedOut
from servelite.core.function import JSON
from servelite.worker.asking import Asking
from servelite.worker.loader import load
from servelite.worker.runner import Runner

HALF = """
    from servelite import InvalidInput, ServeliteError, function

    runs = []

    @function(max_batch=64)
    def half(numbers: list[int]) -> list[float]:
        runs.append(list(numbers))
        if 0 in numbers:
            raise {error}
        return [number / 2 for number in numbers]
"""

SECRET = "postgres://admin:hunter2@db"


def calls(*values: object) -> list[Call]:
    return [Call(f"id-{index}", "f", body=json.dumps(value).encode()) for index, value in enumerate(values)]


def said(outcome: Outcome) -> object:
    """Return what a call was told: its output, or its error's class."""
    return type(outcome.error) if outcome.error else json.loads(outcome.body)


@pytest.fixture
def runner(write_function):
    """Return a maker of runners: runner(handler source, what its handler asks by)."""

    def make(source: str, asking: Asking | None = None) -> Runner:
        return Runner(load(write_function("f", source)), asking)

    return make


@pytest.fixture
def half(runner):
    """Return a runner that halves numbers and raises an error on 0, and the batches its handler saw."""

    def make(error: str = "ValueError('zero')") -> tuple[Runner, list[list[int]]]:
        made = runner(HALF.format(error=error))
        return made, made._function.handler.run.__globals__["runs"]

    return make


def test_a_batch_is_answered_in_order_by_one_run(half):
    made, runs = half()
    reply = made.run(calls(3, 1, 2))
    assert [said(outcome) for outcome in reply.outcomes] == [1.5, 0.5, 1.0]
    assert runs == [[3, 1, 2]]


def test_a_reply_says_what_the_batch_took(runner):
    source = """
        from time import process_time_ns
        from servelite import function

        @function
        def work(ms: int) -> int:
            end = process_time_ns() + ms * 1_000_000
            while process_time_ns() < end: ...
            return ms
    """
    reply = runner(source).run(calls(5, 10))
    assert reply.compute_us >= 15_000
    assert reply.cpu_us >= 15_000
    assert reply.peak_kib > 1000
    assert all(type(number) is int for number in (reply.compute_us, reply.cpu_us, reply.peak_kib))


@pytest.mark.parametrize("place", range(8))
def test_a_batch_is_halved_until_the_poisoned_call_is_alone(half, place):
    made, runs = half()
    numbers = [2] * 8
    numbers[place] = 0
    reply = made.run(calls(*numbers))
    assert [said(outcome) for outcome in reply.outcomes] == [FunctionFailed if number == 0 else 1.0 for number in numbers]
    assert sorted(map(len, runs)) == [1, 1, 2, 2, 4, 4, 8]
    assert [0] in runs


def test_two_poisoned_calls_are_both_found(half):
    made, _ = half()
    reply = made.run(calls(0, 2, 2, 0, 2))
    assert [said(outcome) for outcome in reply.outcomes] == [FunctionFailed, 1.0, 1.0, FunctionFailed, 1.0]


@pytest.mark.parametrize(
    ("error", "told"),
    [
        ("ValueError('zero')", FunctionFailed),
        ("SystemExit(3)", FunctionFailed),
        ("StopIteration", FunctionFailed),
        ("RecursionError", FunctionFailed),
        ("MemoryError", FunctionFailed),
        ("InvalidInput('Not 0.')", InvalidInput),
        ("ServeliteError('Out of ink.')", ServeliteError),
    ],
)
def test_whatever_a_handler_raises_fails_its_call_alone(half, error, told):
    made, _ = half(error)
    assert [said(outcome) for outcome in made.run(calls(2, 0)).outcomes] == [1.0, told]


@pytest.mark.parametrize("error", ["InvalidInput('Not 0.')", "ServeliteError('Not 0.')"])
def test_an_error_meant_for_the_caller_keeps_its_message(half, error):
    made, _ = half(error)
    (outcome,) = made.run(calls(0)).outcomes
    assert outcome.error is not None
    assert outcome.error.detail == "Not 0."


@pytest.mark.parametrize("error", [f"KeyError('{SECRET}')", f"SystemExit('{SECRET}')"])
def test_any_other_error_is_told_to_the_log_only(half, caplog, error):
    made, _ = half(error)
    (outcome,) = made.run(calls(0)).outcomes
    assert outcome.error is not None
    assert outcome.error.detail == "f failed on this input. Its log has the reason under request id-0."
    assert SECRET in caplog.text
    assert "id-0" in caplog.text


def test_an_invalid_input_does_not_disturb_its_mates(half):
    made, runs = half()
    bodies = [b"4", b'"many"', b"{", b"6", b"\xff"]
    reply = made.run([Call(str(index), "f", body=body) for index, body in enumerate(bodies)])
    assert [said(outcome) for outcome in reply.outcomes] == [2.0, InvalidInput, MalformedJson, 3.0, MalformedJson]
    assert runs == [[4, 6]]


def test_a_batch_of_invalid_inputs_runs_nothing(half):
    made, runs = half()
    assert [said(outcome) for outcome in made.run(calls("x", None)).outcomes] == [InvalidInput, InvalidInput]
    assert runs == []


def test_no_calls_run_nothing(half):
    made, runs = half()
    assert (made.run([]).outcomes, runs) == ([], [])


def test_an_item_that_is_an_exception_fails_alone(runner):
    source = """
        from servelite import InvalidInput, function

        @function(max_batch=8)
        def root(numbers: list[int]) -> list[float | InvalidInput]:
            return [number**0.5 if number >= 0 else InvalidInput(f"{number} is below 0.") for number in numbers]
    """
    reply = runner(source).run(calls(4, -1, 9))
    assert [said(outcome) for outcome in reply.outcomes] == [2.0, InvalidInput, 3.0]
    assert str(reply.outcomes[1].error) == "-1 is below 0."


WRONG = """
    from servelite import function

    @function(max_batch=8)
    def wrong(numbers: list[int]) -> list[int]:
        return {returned}
"""


@pytest.mark.parametrize(
    ("returned", "got"),
    [
        ("[]", "0 outputs"),
        ("numbers + numbers", "2 outputs"),
        ("None", "NoneType"),
        ("tuple(numbers)", "tuple"),
        ("(number for number in numbers)", "generator"),
    ],
)
def test_outputs_that_are_not_one_for_each_input_are_the_functions_failure(runner, caplog, returned, got):
    reply = runner(WRONG.format(returned=returned)).run(calls(1, 2))
    assert [said(outcome) for outcome in reply.outcomes] == [FunctionFailed, FunctionFailed]
    assert f"The handler got 1 inputs and returned {got}; it must return a list, one output each." in caplog.text


def test_an_output_that_does_not_fit_fails_alone_and_is_logged(runner, caplog):
    source = """
        from servelite import function

        @function(max_batch=8)
        def label(numbers: list[int]) -> list[str]:
            return [None if number == 2 else "ok" for number in numbers]
    """
    reply = runner(source).run(calls(1, 2, 3))
    assert [one.error and type(one.error) for one in reply.outcomes] == [None, FunctionFailed, None]
    assert "The output does not fit the return type" in caplog.text
    assert "return type" not in str(reply.outcomes[1].error)


def test_a_handler_of_one_call_runs_once_for_each(runner):
    source = """
        from servelite import function

        @function
        def shout(text: str) -> str:
            return text.upper() if text else 1 / 0
    """
    reply = runner(source).run([Call("1", "f", "text/plain", body) for body in (b"a", b"", b"c")])
    assert [outcome.body for outcome in reply.outcomes] == [b"A", b"", b"C"]
    assert isinstance(reply.outcomes[1].error, FunctionFailed)


SEEN = """
    from servelite import Context, function

    @function(max_batch={most})
    def seen(given: {given}, context: {context}) -> {gives}:
        {body}
"""


@pytest.mark.parametrize(
    "source",
    [
        pytest.param(
            SEEN.format(
                most=1,
                given="int",
                context="Context",
                gives="list[str]",
                body="context.logger.info('hi'); return [context.request_id, context.account, str(context.deadline_s), context.media_type]",
            ),
            id="one",
        ),
        pytest.param(
            SEEN.format(
                most=8,
                given="list[int]",
                context="list[Context]",
                gives="list[list[str]]",
                body="return [c.logger.info('hi') or [c.request_id, c.account, str(c.deadline_s), c.media_type] for c in context]",
            ),
            id="list",
        ),
    ],
)
def test_a_context_tells_of_its_own_call(runner, caplog, source):
    caplog.set_level(logging.INFO)
    batch = [Call("a", "f", "application/json", b"1", "ada", 2.5), Call("b", "f", "application/json", b"2", "bob", 3.5)]
    reply = runner(source).run(batch)
    assert [said(one) for one in reply.outcomes] == [["a", "ada", "2.5", "application/json"], ["b", "bob", "3.5", "application/json"]]
    assert ("servelite.function.f", logging.INFO, "hi") in caplog.record_tuples


def test_contexts_stay_with_their_calls_where_an_input_is_invalid_or_a_batch_is_halved(runner):
    source = """
        from servelite import Context, function

        @function(max_batch=8)
        def seen(numbers: list[int], contexts: list[Context]) -> list[str]:
            if 0 in numbers:
                raise ValueError
            return [f"{number} {context.request_id}" for number, context in zip(numbers, contexts, strict=True)]
    """
    reply = runner(source).run(calls(1, "x", 0, 3))
    assert [one.body for one in reply.outcomes] == [b"1 id-0", b"", b"", b"3 id-3"]


def test_an_authors_validator_that_raises_fails_its_call_alone(runner):
    source = """
        from pydantic import BaseModel, field_validator
        from servelite import function

        class Ratio(BaseModel):
            number: float

            @field_validator("number")
            @classmethod
            def invert(cls, number: float) -> float:
                return 1 / number

        @function(max_batch=8)
        def ratio(ratios: list[Ratio]) -> list[float]:
            return [one.number for one in ratios]
    """
    reply = runner(source).run(calls({"number": 2}, {"number": 0}))
    assert [said(outcome) for outcome in reply.outcomes] == [0.5, FunctionFailed]


ASKS = """
    from servelite import Context, InvalidInput, function

    @function
    def asks(value: int, context: Context) -> int:
        try:
            return context.call("other", value)
        except InvalidInput:
            return -1
"""

ASKS_IN_BATCHES = """
    from servelite import Context, function

    @function(max_batch=8)
    def asks(values: list[int], contexts: list[Context]) -> list[int]:
        return [context.call("other", value) for value, context in zip(values, contexts, strict=True)]
"""


def failing(error: ServeliteError, stage: str = "other") -> Asking:
    """Return what asks a function that fails, as it comes over the socket."""
    error.stage = stage
    return Asking(lambda question: Told(question.number, Outcome(error=error), ""))


def test_a_handler_calls_other_functions_each_call_by_its_own_context(runner):
    asked: list[Question] = []

    def exchange(question: Question) -> Told:
        asked.append(question)
        return Told(question.number, Outcome(question.body + b"0"), JSON)

    reply = runner(ASKS_IN_BATCHES, Asking(exchange)).run(calls(1, 2))
    assert [said(outcome) for outcome in reply.outcomes] == [10, 20]
    assert [(one.parent, one.function, one.body) for one in asked] == [("id-0", "other", b"1"), ("id-1", "other", b"2")]


def test_a_handler_may_catch_what_another_function_raised(runner):
    reply = runner(ASKS, failing(InvalidInput("other: no"))).run(calls(1))
    assert said(reply.outcomes[0]) == -1


@pytest.mark.parametrize("kind", [NoWorker, TimedOut, FunctionFailed, MalformedJson])
def test_an_error_of_another_function_that_is_not_caught_is_the_calls_own(runner, caplog, kind):
    (outcome,) = runner(ASKS, failing(kind("other: it was so"))).run(calls(1)).outcomes
    assert (type(outcome.error), outcome.error.detail, outcome.error.stage) == (kind, "other: it was so", "other")
    assert caplog.records == []


def test_what_is_waited_for_another_function_is_not_the_calls_compute(runner):
    def exchange(question: Question) -> Told:
        time.sleep(0.05)
        return Told(question.number, Outcome(b"1"), JSON)

    began = time.perf_counter()
    reply = runner(ASKS, Asking(exchange)).run(calls(1))
    assert reply.compute_us / 1e6 <= time.perf_counter() - began - 0.045
    assert reply.compute_us >= 0


ASKS_ONE_BY_ONE = """
    from servelite import Context, function

    @function
    def asks(value: int, context: Context) -> int:
        return context.call("other", value)
"""


@pytest.mark.parametrize("source", [ASKS_IN_BATCHES, ASKS_ONE_BY_ONE], ids=["a batch", "one by one"])
def test_what_is_waited_is_charged_to_no_call_of_a_run_and_their_times_add_up(runner, source):
    def exchange(question: Question) -> Told:
        time.sleep(0.05)
        return Told(question.number, Outcome(b"1"), JSON)

    began = time.perf_counter()
    reply = runner(source, Asking(exchange)).run(calls(1, 2, 3))
    took_us = [outcome.compute_us for outcome in reply.outcomes]
    assert min(took_us) >= 0
    assert sum(took_us) == reply.compute_us <= (time.perf_counter() - began - 3 * 0.045) * 1e6


def test_a_handler_that_asks_where_nobody_is_there_fails_with_the_reason_in_the_log(runner, caplog):
    (outcome,) = runner(ASKS).run(calls(1)).outcomes
    assert isinstance(outcome.error, FunctionFailed)
    assert "other was not called: nothing is served here" in caplog.text
