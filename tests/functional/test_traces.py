"""The waterfall of a call on a running server: found at once, by those whose call it is, and its sums are the receipt's."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.problem import check_problem
from tests.cli.command import servelite
from tests.keys import bearer, make_key
from tests.server import Reply, Server, until

FUNCTIONS = Path(__file__).parent / "functions"

TWICE = """
from servelite import each, sequence

def numbers(count: int) -> list[int]:
    return list(range(count))

def total(found: list[int]) -> int:
    return sum(found)

pipeline = sequence(numbers, each("double"), total)
"""

ASKING = """
from servelite import Context, function

@function
def asking(number: int, context: Context) -> int:
    return context.call("double", number) + 1
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve a function, a pipeline of it and a handler that calls it, to those who show a key."""
    folder = tmp_path_factory.mktemp("traced")
    for name, source in (("twice", TWICE), ("asking", ASKING), ("double", (FUNCTIONS / "double" / "handler.py").read_text())):
        (folder / name).mkdir()
        (folder / name / "handler.py").write_text(source)
    started = Server(folder, "--require-key", cwd=folder)
    try:
        yield started.wait_ready()
    finally:
        started.kill()


@pytest.fixture(scope="module")
def make(server: Server) -> Callable[..., dict[str, str]]:
    def make(*arguments: Any, **options: Any) -> dict[str, str]:
        headers = bearer(make_key(server.cwd, *arguments, **options))
        until(lambda: server.request("GET", "/functions", None, headers).status == 200)
        return headers

    return make


@pytest.fixture(scope="module")
def acme(make: Callable[..., dict[str, str]]) -> dict[str, str]:
    return make("acme")


def called(server: Server, function: str, value: Any, key: dict[str, str]) -> Reply:
    reply = server.request("POST", f"/functions/{function}", json.dumps(value).encode(), key)
    assert reply.status == 200
    return reply


def traced(server: Server, call: str, key: dict[str, str], **headers: str) -> Reply:
    return server.request("GET", f"/calls/{call}", None, {**key, **headers})


def receipt_of(reply: Reply) -> dict[str, int]:
    return {name: int(value) for name, value in re.findall(r"([a-z-]+)=(\d+)", reply.headers["servelite-receipt"])}


def test_a_pipelines_call_is_told_with_its_stages_at_once(server: Server, acme: dict[str, str]) -> None:
    for _ in range(5):
        reply = called(server, "twice", 12, acme)
        said = traced(server, reply.headers["x-request-id"], acme).json()
        whole, *stages = said["calls"]
        assert (whole["request_id"], whole["function"], whole["depth"]) == (reply.headers["x-request-id"], "twice", 0)
        assert sorted({stage["stage"] for stage in stages}) == ["twice/double", "twice/numbers", "twice/total"]
        assert len(stages) == 14
        receipt = receipt_of(reply)
        for name in ("compute_us", "cpu_us", "queue_us", "billed_us"):
            assert sum(stage[name] for stage in stages) == whole[name] == receipt[name.replace("_", "-")]
        assert all(0 <= stage["begins_us"] <= stage["ends_us"] for stage in stages)
        assert said["duration_us"] == whole["ends_us"]


def test_what_a_handler_calls_is_below_it(server: Server, acme: dict[str, str]) -> None:
    said = traced(server, called(server, "asking", 4, acme).headers["x-request-id"], acme).json()
    assert [(one["function"], one["depth"], one["stage"]) for one in said["calls"]] == [("asking", 0, ""), ("double", 1, "")]


def test_people_read_it_as_text(server: Server, acme: dict[str, str]) -> None:
    reply = traced(server, called(server, "twice", 1, acme).headers["x-request-id"], acme, Accept="text/plain")
    assert reply.headers["content-type"] == "text/plain; charset=utf-8"
    lines = reply.body.decode().splitlines()
    assert [line.split()[0] for line in lines] == ["call", "twice", "numbers", "double", "total"]


def test_nobody_is_told_of_others_calls_nor_whether_there_are_any(
    server: Server, acme: dict[str, str], make: Callable[..., dict[str, str]]
) -> None:
    other, admin = make("other"), make("ops", is_admin=True)
    call = called(server, "double", 1, acme).headers["x-request-id"]
    nobodys = "0" * 32
    seen = [traced(server, one, other) for one in (call, nobodys, "x", "%00")]
    for reply, one in zip(seen, (call, nobodys, "x", "\0"), strict=True):
        problem = check_problem(reply, 404, "not_found")
        assert problem["detail"].replace(one, "ID") == json.loads(seen[0].body)["detail"].replace(call, "ID")
    assert traced(server, call, admin).json()["calls"][0]["function"] == "double"
    check_problem(traced(server, call, {}), 401, "unauthorized")
    check_problem(server.request("POST", f"/calls/{call}", b"", acme), 405, "method_not_allowed")


def test_the_command_prints_it_of_a_server(server: Server, acme: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVELITE_KEY", acme["Authorization"].removeprefix("Bearer "))
    done = servelite("call", "twice", "3", "--trace", "--url", server.url, cwd=server.cwd)
    assert (done.returncode, done.stdout) == (0, "6\n")
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["call", "twice", "numbers", *["double"] * 3, "total", "receipt:"]


def test_the_command_prints_it_without_a_server(server: Server, tmp_path: Path) -> None:
    done = servelite("call", server.cwd / "twice", "2", "--trace", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "2\n")
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["call", "twice", "numbers", "double", "double", "total", "receipt:"]
    done = servelite("call", server.cwd / "asking", "2", "--trace", cwd=tmp_path)
    assert [line.split()[0] for line in done.stderr.splitlines()] == ["call", "asking", "double", "receipt:"]


def test_the_command_can_t_print_what_is_not_kept(server: Server, tmp_path: Path) -> None:
    done = servelite("call", server.cwd / "double", "2", "--trace", "--ledger", "none", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--trace is read from the ledger, and --ledger none keeps nothing." in done.stderr
