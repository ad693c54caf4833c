"""A request becomes the event that a Function URL would make of it."""

import base64
import json

import pytest

from servelite.tools.emulator.front import function_url_event
from tests.adapters.aws_lambda.lambdas import event

HEADERS = {"Host": "127.0.0.1:8080", "Content-Type": "application/json", "User-Agent": "test"}


def test_an_event_has_all_that_a_function_url_s_has() -> None:
    made, real = function_url_event("POST", "/functions/a%20b?x=1", HEADERS, b"{}", "127.0.0.1"), event("furl_predict")
    assert real.keys() - made.keys() == {"queryStringParameters"}  # which repeats the raw one
    assert real["requestContext"].keys() - made["requestContext"].keys() == {"authorizer", "time"}
    assert real["requestContext"]["http"].keys() == made["requestContext"]["http"].keys()


def test_path_query_headers_and_cookies_stand_where_they_belong() -> None:
    made = function_url_event("POST", "/functions/a%20b?x=1&y=%2B", {**HEADERS, "Cookie": "a=1; b=2"}, b"{}", "127.0.0.1")
    assert (made["rawPath"], made["rawQueryString"]) == ("/functions/a b", "x=1&y=%2B")
    assert made["requestContext"]["http"]["path"] == "/functions/a%20b"
    assert made["headers"]["content-type"] == "application/json"
    assert "cookie" not in made["headers"]
    assert made["cookies"] == ["a=1", "b=2"]


@pytest.mark.parametrize(
    ("body", "media_type", "is_text"),
    [
        (b'{"text": "\xc3\xa9"}', "application/json", True),
        (b"hey", "text/plain; charset=utf-8", True),
        (b"hey", "", True),
        (b"\xff", "text/plain", False),
        (b"hey", "application/octet-stream", False),
        (b"\x89PNG", "image/png", False),
    ],
)
def test_what_is_no_text_travels_as_base64(body: bytes, media_type: str, is_text: bool) -> None:
    made = function_url_event("POST", "/", {**HEADERS, "Content-Type": media_type}, body, "127.0.0.1")
    assert made["isBase64Encoded"] is not is_text
    assert (made["body"].encode() if is_text else base64.b64decode(made["body"])) == body
    json.dumps(made)
