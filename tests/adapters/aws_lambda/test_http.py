"""HTTP events: the same paths, receipts and problems as `servelite run`, whatever AWS puts before it."""

import base64
import json
from typing import Any

import pytest

from servelite.core.accounts import ApiKey
from servelite.runtime.keyring import hash_of
from tests.adapters.aws_lambda.conftest import Starter
from tests.adapters.aws_lambda.lambdas import FLIP, TOTAL, Lambda, event

KEY = "sl_ada1_" + "k" * 43

POSTS = ["alb_predict", "alb_multi_predict", "furl_predict", "v1_predict", "v2_b64_predict", "v2_predict"]
"""Sample events that post numbers, to a path that is none of ours."""

GETS = ["alb_health", "v1_get_root", "v2_cookies", "v2_encoded_path", "v2_png", "v2_stream"]
OTHERS = [*GETS, "sam_alb", "sam_http_v2", "sam_rest_v1", "v1_base64"]

LONG = """
from servelite import function
@function
def long(count: int) -> dict[str, str]:
    return {"text": '"' * count}
"""


def to_path(sent: dict[str, Any], path: str, **changes: Any) -> dict[str, Any]:
    """Return an event with another path, in each place where its kind has one."""
    for place in ("path", "rawPath"):
        if place in sent:
            sent[place] = path
    if "http" in sent["requestContext"]:
        sent["requestContext"]["http"]["path"] = path
    return {**sent, **changes}


def headers_of(answer: dict[str, Any]) -> dict[str, str]:
    """Return the headers of an answer, wherever they stand."""
    several = {name: values[0] for name, values in answer.get("multiValueHeaders", {}).items()}
    return {**several, **answer.get("headers", {})}


def problem_of(answer: dict[str, Any]) -> dict[str, Any]:
    assert headers_of(answer)["content-type"] == "application/problem+json"
    assert answer["isBase64Encoded"] is False
    told: dict[str, Any] = json.loads(answer["body"])
    assert told["status"] == answer["statusCode"]
    return told


@pytest.mark.parametrize("name", POSTS)
def test_a_call_is_answered_with_its_receipt(total: Lambda, name: str) -> None:
    answer = total(to_path(event(name), "/functions/total"), request_id="11111111-2222-4333-8444-555555555555")
    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == pytest.approx(326.4)
    headers = headers_of(answer)
    assert headers["x-request-id"] == "11111111222243338444555555555555"
    assert headers["servelite-receipt"].startswith("compute-us=")
    assert [call["call"] for call in total.calls] == ["11111111222243338444555555555555"]


@pytest.mark.parametrize("name", [*POSTS, "v2_setcookies"])
def test_another_path_is_told_where_functions_are(total: Lambda, name: str) -> None:
    assert "Functions are called with POST /functions/NAME" in problem_of(total(event(name)))["detail"]


@pytest.mark.parametrize("name", OTHERS)
def test_every_request_is_answered(total: Lambda, name: str) -> None:
    assert total(event(name))["statusCode"] == (200 if name in ("alb_health", "v1_get_root") else 404)


def test_the_stage_of_an_http_api_is_no_part_of_the_path(total: Lambda) -> None:
    sent = to_path(event("v2_stage_path"), "/prod/functions/total")
    assert json.loads(total(sent)["body"])["name"] == "total"
    assert problem_of(total(to_path(event("v2_stage_path"), "/production")))["status"] == 404


def test_bytes_travel_as_base64(flip: Lambda) -> None:
    sent = to_path(event("v2_b64_predict"), "/functions/flip", body=base64.b64encode(b"\x00abc").decode())
    sent["headers"]["content-type"] = "application/octet-stream"
    answer = flip(sent)
    assert (answer["isBase64Encoded"], base64.b64decode(answer["body"])) == (True, b"cba\x00")


def test_an_error_is_a_problem(total: Lambda) -> None:
    told = problem_of(total(to_path(event("v2_predict"), "/functions/total", body="{}")))
    assert (told["code"], told["errors"]) == ("invalid_input", [{"field": "x", "message": "Field required", "rule": "missing"}])


def test_a_page_of_the_function_s_own_origin_may_call(total: Lambda) -> None:
    sent = to_path(event("furl_predict"), "/functions/total")
    sent["headers"]["origin"] = f"https://{sent['headers']['host']}"
    assert total(sent)["statusCode"] == 200
    sent["headers"]["origin"] = "https://elsewhere.example"
    assert problem_of(total(sent))["code"] == "forbidden"


def test_keys_are_asked_for_as_locally(start: Starter) -> None:
    locked = start({"total": TOTAL, "flip": FLIP}, requires_key=True)
    locked.environment.engine.accounts.keyring.replace([ApiKey("ada1", "ada", "laptop", hash_of(KEY.encode()), ("total",))])
    sent = to_path(event("v2_predict"), "/functions/total")
    assert problem_of(locked(sent))["code"] == "unauthorized"
    sent["headers"]["authorization"] = f"Bearer {KEY}"
    assert locked(sent)["statusCode"] == 200
    assert [call["account"] for call in locked.calls] == ["ada"]
    assert problem_of(locked(to_path(sent, "/functions/flip")))["code"] == "forbidden"


@pytest.mark.parametrize("name", ["v1_predict", "v2_predict", "alb_predict"])
def test_an_answer_that_is_too_long_for_lambda_becomes_a_413(start: Starter, name: str) -> None:
    long = start({"long": LONG})
    fits = long(to_path(event(name), "/functions/long", body="1000000"))
    assert len(json.dumps(fits)) > 4_000_000
    answer = long(to_path(event(name), "/functions/long", body="2000000"))
    told = problem_of(answer)
    assert (told["code"], told["status"]) == ("payload_too_large", 413)
    assert told["request_id"] == headers_of(answer)["x-request-id"]
    assert "Lambda takes 6,291,556" in told["detail"]


def test_bytes_that_are_too_long_for_lambda_become_a_413(flip: Lambda) -> None:
    sent = to_path(event("v2_b64_predict"), "/functions/flip", body=base64.b64encode(bytes(4_700_000)).decode())
    sent["headers"]["content-type"] = "application/octet-stream"
    assert flip(sent)["statusCode"] == 200
    sent["body"] = base64.b64encode(bytes(4_720_000)).decode()
    assert problem_of(flip(sent))["code"] == "payload_too_large"


def test_an_id_that_nobody_took_is_not_kept_for_the_next_event(total: Lambda) -> None:
    total(event("v2_predict"), request_id="11111111-2222-4333-8444-555555555555")
    assert total.environment.engine.ids.given == ""
