"""Calls over HTTP: bodies in and out, and the headers that every answer has."""

import base64
import json
import re
from collections.abc import Iterator

import pytest

from tests.adapters.problem import check_problem
from tests.server import RECEIPT_KEYS, Server, parse_dictionary, read_reply

MIB = 1024 * 1024
REQUEST_ID = re.compile(r"[0-9a-f]{32}")


@pytest.fixture(autouse=True, params=[True, False], ids=["whole", "in two pieces"])
def way(server: Server, request: pytest.FixtureRequest) -> Iterator[None]:
    """Each call is made both ways that it may take through the gateway's door."""
    server.sends_whole = request.param
    yield
    server.sends_whole = True


def test_json_goes_in_and_comes_out(server: Server) -> None:
    reply = server.call("double", 21)
    assert (reply.status, reply.headers["Content-Type"], reply.body) == (200, "application/json", b"42")


def test_models_in_models_go_in_and_come_out(server: Server) -> None:
    line = {"category": {"name": "pears", "parent": {"name": "fruit"}}, "amount": {"kind": "weight", "grams": 250}, "price_cents": 400}
    reply = server.call("order", {"lines": [line, line]})
    assert reply.json() == {"sums": [{"root": "fruit", "cents": 100}] * 2, "cents": 200}


def test_a_real_model_answers(server: Server) -> None:
    reply = server.call("sentiment", {"text": "I loved every minute of this wonderful film"})
    assert reply.json()["label"] == "positive"
    assert reply.json()["score"] > 0.5


@pytest.mark.parametrize(
    ("media_type", "body", "status"),
    [
        ("text/plain", "grüße".encode(), 200),
        ("text/plain; charset=utf-8", "grüße".encode(), 200),
        ("TEXT/PLAIN", "grüße".encode(), 200),
        ("application/json", b'"gr\\u00fc\xc3\x9fe"', 200),
        ("", "grüße".encode(), 200),
        ("text/plain", "grüße".encode("latin-1"), 400),
        ("application/xml", b"<text/>", 415),
    ],
    ids=str,
)
def test_a_text_function_takes_plain_text_and_json(server: Server, media_type: str, body: bytes, status: int) -> None:
    reply = server.request("POST", "/functions/shout", body, {"Content-Type": media_type} if media_type else {})
    assert reply.status == status
    if status == 200:
        assert reply.body == "GRÜSSE!".encode()
        assert reply.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("media_type", ["application/octet-stream", "image/png", "image/x-unheard-of", "audio/ogg", ""])
def test_a_bytes_function_takes_any_bytes(server: Server, media_type: str) -> None:
    body = bytes(range(256)) * 4096
    reply = server.request("POST", "/functions/flip", body, {"Content-Type": media_type} if media_type else {})
    assert reply.status == 200
    assert reply.body == body[::-1]
    assert reply.headers["Content-Type"] == "application/octet-stream"


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "text/plain",
        "video/mp4",
        "image",
        "nonsense",
    ],
)
def test_a_bytes_function_refuses_what_is_not_bytes(server: Server, media_type: str) -> None:
    problem = check_problem(server.post("flip", b"abc", media_type), 415, "unsupported_media_type")
    assert "application/octet-stream or image/* or audio/*" in problem["detail"]


@pytest.mark.parametrize("media_type", ["application/x-www-form-urlencoded", "text/plain", "application/octet-stream", "json"])
def test_a_json_function_refuses_what_is_not_json(server: Server, media_type: str) -> None:
    problem = check_problem(server.post("double", b"21", media_type), 415, "unsupported_media_type")
    assert "Content-Type: application/json" in problem["detail"]


def test_a_compressed_body_is_refused(server: Server) -> None:
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    check_problem(server.request("POST", "/functions/double", b"\x1f\x8b", headers), 415, "unsupported_media_type")


def test_json_without_a_content_type_is_taken(server: Server) -> None:
    assert server.request("POST", "/functions/double", b"4").body == b"8"


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 6 * MIB], ids=lambda size: f"{size} bytes")
def test_a_body_of_any_size_up_to_the_limit_comes_back_whole(server: Server, size: int) -> None:
    body = (b"0123456789abcdef" * (size // 16 + 1))[:size]
    assert server.post("flip", body, "application/octet-stream").body == body[::-1]


def test_a_chunked_body_is_put_together(server: Server) -> None:
    with server.socket() as connection:
        head = b"POST /functions/flip HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head + b"3\r\nabc\r\n" + b"1\r\nd\r\n" + b"0\r\n\r\n")
        assert read_reply(connection).body == b"dcba"


def test_a_connection_serves_many_calls(server: Server) -> None:
    connection = server.connect()
    for number in range(20):
        connection.request("POST", "/functions/double", str(number).encode(), {"Content-Type": "application/json"})
        assert connection.getresponse().read() == str(2 * number).encode()
    connection.close()


ANSWERED = {
    "an output": ("double", b"1", 200),
    "a text": ("shout", b'"a"', 200),
    "malformed JSON": ("double", b"{", 400),
    "invalid input": ("double", b'"x"', 422),
    "a failure": ("misbehave", b'"fail"', 500),
    "a crash": ("misbehave", b'"exit_hard"', 502),
    "a time limit": ("misbehave", b'"loop"', 504),
}
REFUSED = {
    "an unknown function": ("POST", "/functions/nothing", "application/json", 404),
    "a wrong media type": ("POST", "/functions/double", "text/plain", 415),
    "a body over the limit": ("POST", "/functions/flip", "image/png", 413),
    "an unknown page": ("GET", "/nothing", "application/json", 404),
    "a wrong method": ("DELETE", "/functions/double", "application/json", 405),
    "a wrong description": ("GET", "/functions/nothing", "application/json", 404),
}
PAGES = ["/", "/functions", "/functions/double", "/openapi.json", "/livez", "/readyz", "/metrics", "/usage"]


@pytest.mark.parametrize("name", ANSWERED)
def test_what_a_worker_answered_has_id_receipt_and_timing(server: Server, name: str) -> None:
    function, body, status = ANSWERED[name]
    reply = server.post(function, body)
    assert reply.status == status
    assert REQUEST_ID.fullmatch(reply.headers["X-Request-Id"])
    receipt = reply.receipt
    assert receipt.keys() == RECEIPT_KEYS
    assert receipt["batch"] == 1
    assert isinstance(receipt["cold"], bool)
    assert receipt["compute-us"] > 0
    assert receipt["billed-us"] == (receipt["compute-us"] if status in (200, 500, 502, 504) else 0)
    timing = re.fullmatch(r"queue;dur=(\d+\.\d+), init;dur=(\d+\.\d+), compute;dur=(\d+\.\d+)", reply.headers["Server-Timing"])
    assert timing
    assert float(timing[1]) == receipt["queue-us"] / 1000
    assert (float(timing[2]) > 0) == receipt["cold"]
    assert float(timing[3]) == receipt["compute-us"] / 1000


@pytest.mark.parametrize("name", REFUSED)
def test_what_reached_no_worker_has_an_id(server: Server, name: str) -> None:
    method, path, media_type, status = REFUSED[name]
    body = bytes(6 * MIB + 1 if status == 413 else 1)
    reply = server.request(method, path, body if method == "POST" else None, {"Content-Type": media_type})
    assert reply.status == status
    assert REQUEST_ID.fullmatch(reply.headers["X-Request-Id"])


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_an_id(server: Server, path: str) -> None:
    assert REQUEST_ID.fullmatch(server.get(path).headers["X-Request-Id"])


def test_no_two_answers_share_an_id(server: Server) -> None:
    ids = {server.call("double", 1).headers["X-Request-Id"] for _ in range(50)}
    assert len(ids) == 50


@pytest.mark.parametrize(
    "header", ["", "a", "a=", "a=1.5", 'a="b"', "A=1", "a=1,", "a=1 b=2", "a=1, a=2", "a=?2", "a=1234567890123456", "a=1;b", "a=\u0661"]
)
def test_the_reader_of_receipts_is_strict(header: str) -> None:
    with pytest.raises(ValueError, match="not a member"):
        parse_dictionary(header)


def test_the_examples_of_every_function_come_out_as_written(server: Server) -> None:
    for one in server.get("/functions").json()["functions"]:
        described = server.get(one["url"]).json()
        for example in described["examples"]:
            text, binary = described["takes"][0] == "text/plain", described["takes"][0] == "application/octet-stream"
            value = example["input"]
            body = value.encode() if text else base64.b64decode(value) if binary else json.dumps(value).encode()
            reply = server.post(one["name"], body, described["takes"][0])
            assert reply.status == 200, reply.body
            if "output" in example:
                output = base64.b64encode(reply.body).decode() if binary else reply.body.decode() if text else reply.json()
                assert output == example["output"]
