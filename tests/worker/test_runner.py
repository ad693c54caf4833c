import json
import logging

import pytest

from servelite.core.call import Call, Outcome
from servelite.core.errors import FunctionFailed, InvalidInput, MalformedJson, ServeliteError
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
    """Return a maker of runners: runner(handler source)."""

    def make(source: str) -> Runner:
        return Runner(load(write_function("f", source)))

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
