"""Every error that can occur, as a client reads it, and the server goes on."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.adapters.conftest import FUNCTIONS
from tests.adapters.problem import check_problem
from tests.server import Server, read_reply, until

MIB = 1024 * 1024
SECRETS = ("hunter2", "private.pem", "/srv/", str(FUNCTIONS), "RuntimeError", "handler.py")


@pytest.fixture(autouse=True)
def goes_on(server: Server) -> Iterator[None]:
    """Check after each test that the server answers still."""
    yield
    assert server.call("double", 2).body == b"4"


def test_an_unknown_function_is_told_with_those_that_exist(server: Server) -> None:
    for reply in (server.call("doubel", 1), server.get("/functions/doubel")):
        problem = check_problem(reply, 404, "function_not_found")
        assert "'doubel'" in problem["detail"]
        assert "double" in problem["detail"]
        assert "sentiment" in problem["detail"]


@pytest.mark.parametrize("name", ["", "double/x", "%2e%2e/double", "%00", "%f0%9f%8d%8e", "x" * 5000, "%0d%0aX-Bad:%201"])
def test_a_name_that_is_none_is_not_found(server: Server, name: str) -> None:
    reply = server.post(name, b"1")
    check_problem(reply, 404, "function_not_found")
    assert "X-Bad" not in reply.headers


@pytest.mark.parametrize("path", ["/nothing", "/functions/double/more", "/favicon.ico", "/../../etc/passwd"])
def test_an_unknown_page_is_not_found(server: Server, path: str) -> None:
    check_problem(server.get(path), 404, "not_found")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/functions/double", "GET HEAD POST"),
        ("PUT", "/functions/double", "GET HEAD POST"),
        ("POST", "/functions", "GET HEAD"),
        ("POST", "/", "GET HEAD"),
        ("POST", "/livez", "GET HEAD"),
        ("DELETE", "/metrics", "GET HEAD"),
    ],
)
def test_a_wrong_method_is_told_what_is_allowed(server: Server, method: str, path: str, allowed: str) -> None:
    reply = server.request(method, path)
    problem = check_problem(reply, 405, "method_not_allowed")
    assert set(reply.headers["Allow"].split(", ")) == set(allowed.split())
    assert method in problem["detail"]


HEAD = "POST /functions/{function} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media}\r\n{length}\r\n"


def head(function: str, length: str, media: str = "application/octet-stream") -> bytes:
    return HEAD.format(function=function, length=f"{length}\r\n", media=media).encode()


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (head("flip", "Content-Length: 1000000000000"), 413, "payload_too_large"),
        (head("flip", "Content-Length: 1000000000000\r\nExpect: 100-continue"), 413, "payload_too_large"),
        (head("flip", f"Content-Length: {6 * MIB + 1}"), 413, "payload_too_large"),
        (head("nothing", "Content-Length: 1000000000000"), 404, "function_not_found"),
        (head("double", "Content-Length: 1000000000000"), 415, "unsupported_media_type"),
        (head("double", "Transfer-Encoding: chunked"), 415, "unsupported_media_type"),
    ],
    ids=["huge", "huge, expecting 100", "a byte too many", "unknown function", "wrong type", "wrong type, chunked"],
)
def test_a_body_is_refused_before_a_byte_of_it_is_sent(server: Server, sent: bytes, status: int, code: str) -> None:
    with server.socket() as connection:
        connection.sendall(sent)
        check_problem(read_reply(connection), status, code)


@pytest.mark.parametrize("length", ["Transfer-Encoding: chunked", "Content-Length: 1000000000000"], ids=["chunked", "with its length"])
def test_a_body_over_the_limit_is_not_read_in_full_and_its_sender_reads_why(server: Server, length: str) -> None:
    block = bytes(MIB)
    piece = b"%x\r\n%s\r\n" % (len(block), block) if "chunked" in length else block
    with server.socket() as connection:
        connection.sendall(head("flip", length))
        sent = 0
        with suppress(ConnectionError):
            while sent < 200:
                connection.sendall(piece)
                sent += 1
        reply = read_reply(connection)
    problem = check_problem(reply, 413, "payload_too_large")
    assert "6,291,456 bytes" in problem["detail"]
    assert "--max-body" in problem["detail"]
    assert sent < 200, "the server swallowed 200 MiB"


def test_a_client_that_sends_all_before_it_reads_gets_the_413(server: Server) -> None:
    """Twenty in a row: an early close would reset the connection and lose the answer in some of them."""
    body = bytes(6 * MIB + 1)
    for _ in range(20):
        with server.socket() as connection:
            with suppress(ConnectionError):
                connection.sendall(head("flip", f"Content-Length: {len(body)}") + body)
            check_problem(read_reply(connection), 413, "payload_too_large")


def test_an_exception_s_text_stays_in_the_server(server: Server) -> None:
    reply = server.call("misbehave", "fail")
    problem = check_problem(reply, 500, "function_failed")
    everything = f"{reply.headers}{reply.body.decode()}"
    assert not [secret for secret in SECRETS if secret in everything]
    assert "hunter2" in server.errors()
    assert problem["request_id"] in server.errors()


@pytest.mark.parametrize("deed", ["leave", "recurse", "wrong_type"])
def test_whatever_a_handler_raises_is_its_failure(server: Server, deed: str) -> None:
    reply = server.call("misbehave", deed)
    check_problem(reply, 500, "function_failed")
    assert not [secret for secret in SECRETS if secret in reply.body.decode()]


def test_an_error_meant_for_the_caller_is_told(server: Server) -> None:
    problem = check_problem(server.call("misbehave", "told"), 500, "function_failed")
    assert problem["detail"] == "The dictionary is being updated. Try again in a minute."


def test_a_handler_s_refusal_is_told_and_not_billed(server: Server) -> None:
    reply = server.call("misbehave", "refuse")
    problem = check_problem(reply, 422, "invalid_input")
    assert problem["detail"] == "This word is not in the dictionary."
    assert reply.receipt["billed-us"] == 0


@pytest.mark.parametrize(
    ("deed", "how"),
    [("exit_hard", "exited with code 3"), ("abort", "SIGABRT"), ("segfault", "SIGSEGV"), ("be_killed", "SIGKILL")],
)
def test_a_worker_s_death_is_told_and_billed_and_the_next_call_is_answered(server: Server, deed: str, how: str) -> None:
    reply = server.call("misbehave", deed)
    problem = check_problem(reply, 502, "worker_died")
    assert how in problem["detail"]
    assert reply.receipt["billed-us"] == reply.receipt["compute-us"] > 0
    after = server.call("misbehave", "behave")
    assert after.body == b"well"


@pytest.mark.parametrize("deed", ["loop", "sleep", "native_sleep"])
def test_a_handler_past_its_limit_is_stopped_even_in_native_code(server: Server, deed: str) -> None:
    begun_s = time.monotonic()
    reply = server.call("misbehave", deed)
    assert time.monotonic() - begun_s < 20, "it was stopped by something else than its limit"
    problem = check_problem(reply, 504, "timed_out")
    assert "0.3 s" in problem["detail"]
    assert reply.receipt["billed-us"] == reply.receipt["compute-us"] >= 300_000
    after = server.call("misbehave", "behave")
    assert after.body == b"well"


@pytest.mark.parametrize(
    "sent",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        head("double", "Content-Length: -1"),
        head("double", "Content-Length: x"),
        b"\0" * 100,
    ],
    ids=["nonsense", "an unknown version", "a negative length", "a length of letters", "zeros"],
)
def test_what_is_not_http_is_refused(server: Server, sent: bytes) -> None:
    with server.socket() as connection:
        connection.sendall(sent)
        assert read_reply(connection).status == 400


def test_a_client_that_hangs_up_in_its_body_harms_nobody(server: Server) -> None:
    before = server.errors()
    for _ in range(20):
        with server.socket() as connection:
            connection.sendall(head("flip", "Content-Length: 1000") + b"only this")
    assert server.call("double", 1).body == b"2"
    assert server.errors() == before


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve with a small limit for bodies."""
    started = Server(FUNCTIONS / "flip", "--max-body", "1KiB", cwd=tmp_path_factory.mktemp("narrow"))
    try:
        yield started.wait_ready()
    finally:
        started.kill()


@pytest.mark.parametrize(("size", "status"), [(1023, 200), (1024, 200), (1025, 413)])
def test_the_limit_is_exact(narrow: Server, size: int, status: int) -> None:
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (size, bytes(size))
    with narrow.socket() as connection:
        connection.sendall(head("flip", "Transfer-Encoding: chunked") + chunked)
        assert read_reply(connection).status == status
    assert narrow.post("flip", bytes(size), "image/png").status == status


def test_the_openapi_names_every_code_that_these_tests_saw(server: Server) -> None:
    codes = json.loads(server.get("/openapi.json").body)["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]
    source = Path(__file__).read_text(encoding="utf-8")
    for code in ("payload_too_large", "worker_died", "timed_out", "function_failed", "method_not_allowed", "not_found"):
        assert f'"{code}"' in source
        assert code in codes


def test_large_bodies_that_are_held_together_are_bounded(tmp_path: Path) -> None:
    server = Server(FUNCTIONS / "flip", "--max-body", "40MiB", cwd=tmp_path)
    part, more = bytes(39 * MIB), bytes(6 * MIB)
    try:
        server.wait_ready()
        holding = [server.socket() for _ in range(4)]
        for connection in holding:
            connection.sendall(head("flip", f"Content-Length: {len(part) + 1}") + part)
        reply = until(lambda: (reply := server.post("flip", more, "application/octet-stream")).status != 200 and reply)
        check_problem(reply, 429, "overloaded")
        assert server.post("flip", b"ab", "application/octet-stream").body == b"ba"
        for connection in holding:
            connection.close()
        until(lambda: server.post("flip", more, "application/octet-stream").status == 200)
    finally:
        server.kill()
