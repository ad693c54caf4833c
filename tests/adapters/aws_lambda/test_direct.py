"""Direct invocations: the payload is the input, what is returned the output, and errors are named by our codes."""

import asyncio
import base64
import math

import pytest

from servelite.core.errors import ServeliteError
from tests.adapters.aws_lambda.conftest import Starter
from tests.adapters.aws_lambda.lambdas import SHOUT, TOTAL, Lambda, event

FAILS = """
from servelite import function
@function
def fails(text: str) -> str:
    raise ValueError("a secret")
"""

LONG = """
from servelite import function
@function
def long(count: int) -> str:
    return "é" * count
"""

DEADLINE = """
import time
from servelite import Context, function
@function(timeout_s=9)
def deadline(text: str, context: Context) -> float:
    return context.deadline_s - time.monotonic()
"""


def error_of(answers: Lambda, sent: object, **more: str) -> tuple[str, str]:
    """Return the type's name and the message of what the handler raises, as Lambda's runtime tells them."""
    with pytest.raises(ServeliteError) as caught:
        answers(sent, **more)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    return type(caught.value).__name__, str(caught.value)


def test_the_payload_is_the_input_and_the_output_is_returned(total: Lambda) -> None:
    assert total({"x": [1, 2.5]}) == 3.5


def test_text_is_sent_as_it_is(shout: Lambda) -> None:
    assert shout("bold é text") == "BOLD É TEXT"


def test_bytes_travel_as_base64(flip: Lambda) -> None:
    assert flip(base64.b64encode(b"\x00abc").decode()) == base64.b64encode(b"cba\x00").decode()


def test_bytes_that_are_no_base64_are_refused(flip: Lambda) -> None:
    assert error_of(flip, "not base64!") == (
        "invalid_input",
        "flip takes bytes, and the payload is not base64: 'not base64!'. Encode it.",
    )


@pytest.mark.parametrize("sent", [{"x": [math.nan]}, {"x": [math.inf]}, {"x": "\ud800"}], ids=["NaN", "Infinity", "half a character"])
def test_what_strict_json_can_t_say_never_reaches_a_handler(total: Lambda, sent: object) -> None:
    code, told = error_of(total, sent)
    assert code == "malformed_json"
    assert told.startswith("The payload can't be said in strict JSON")


def test_an_input_that_does_not_fit_is_named_by_its_code(total: Lambda) -> None:
    assert error_of(total, {}) == ("invalid_input", "x: Field required.")


def test_a_handler_s_exception_is_named_by_its_code_and_keeps_its_secret(start: Starter) -> None:
    assert error_of(start({"fails": FAILS}), "x", request_id="aaaaaaaa-0000-4000-8000-000000000001") == (
        "function_failed",
        "fails failed on this input. Its log has the reason under request aaaaaaaa000040008000000000000001.",
    )


def test_a_call_has_lambda_s_request_id(total: Lambda) -> None:
    total({"x": []}, request_id="11111111-2222-4333-8444-555555555555")
    (call,) = total.calls
    assert (call["call"], call["request_id"]) == ("11111111222243338444555555555555", "11111111-2222-4333-8444-555555555555")


@pytest.mark.parametrize(("is_ascii", "most"), [(True, 1_048_592), (False, 3_145_777)], ids=["ASCII", "UTF-8"])
def test_an_answer_that_is_too_long_for_lambda_is_refused_before_it_ends_the_process(start: Starter, is_ascii: bool, most: int) -> None:
    function = start({"long": LONG}, is_ascii=is_ascii)
    assert len(function(most)) == most
    code, told = error_of(function, most + 1)
    assert code == "payload_too_large"
    assert "6,291,55" in told
    assert function(1) == "é"


def test_a_client_may_name_the_function(start: Starter) -> None:
    both = start({"total": TOTAL, "shout": SHOUT})
    assert both("loud", function="shout") == "LOUD"
    assert both({"x": [1]}, function="total") == 1
    assert error_of(both, "x", function="whisper") == (
        "function_not_found",
        "No function named 'whisper'. Functions here: shout, total.",
    )


def test_among_several_functions_one_is_said_to_be_meant(start: Starter) -> None:
    assert start({"total": TOTAL, "shout": SHOUT}, function="shout")("loud") == "LOUD"


def test_among_several_functions_none_is_guessed(start: Starter) -> None:
    assert error_of(start({"total": TOTAL, "shout": SHOUT}), "x") == (
        "definition_error",
        "The event names no function, and there are several: shout, total. Say which in SERVELITE_FUNCTION.",
    )


@pytest.mark.parametrize(("left_s", "limit_s"), [(60.0, 9.0), (4.0, 4.0)], ids=["the function's limit", "lambda's deadline"])
def test_a_handler_knows_when_its_time_ends(start: Starter, left_s: float, limit_s: float) -> None:
    assert limit_s - 1 < start({"deadline": DEADLINE})("x", left_s=left_s) <= limit_s


def test_a_task_of_step_functions_may_send_its_execution_along(total: Lambda) -> None:
    assert total(event("sfn_task")) == pytest.approx(326.4)


def test_a_destination_hands_on_an_output_or_the_input_that_failed(total: Lambda) -> None:
    handed = event("lambda_destination_onfailure")
    assert total(handed) == 1
    handed["requestContext"]["condition"] = "Success"
    handed["responsePayload"] = {"x": [2, 3]}
    assert total(handed) == 5


@pytest.mark.parametrize("name", ["warmup", "eventbridge_schedule", "sam_eventbridge_schedule"])
def test_a_ping_is_answered_without_a_call(total: Lambda, name: str) -> None:
    assert total(event(name)) == {"warm": True, "functions": ["total"], "init_us": 0}
    assert total.calls == []


def test_the_first_call_is_told_how_long_the_process_took_to_start(total: Lambda) -> None:
    total.environment.engine.meter.start_us = 250_000
    total({"x": [1]})
    total({"x": [1]})
    first, second = total.calls
    assert (first["init_us"], second["init_us"]) == (250_000, 0)
    assert first["billed_ms"] == -(-(250_000 + first["compute_us"]) // 1000)


def test_a_ping_takes_the_start_upon_itself(total: Lambda) -> None:
    total.environment.engine.meter.start_us = 250_000
    assert total({"warmup": True})["init_us"] == 250_000
    total({"x": [1]})
    assert total.calls[0]["init_us"] == 0


def test_nothing_watches_over_a_process_that_is_frozen_between_events(total: Lambda) -> None:
    total({"x": [1]})
    left = {task.get_coro().__qualname__ for task in asyncio.all_tasks(total.environment.loop)}
    assert left == {"Workers._live"}
