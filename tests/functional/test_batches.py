"""Batches form by themselves under load; answers are never crossed, and shares add up."""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.functional.ledger import check_rows, wait_for_rows
from tests.server import Reply, Server

CLIENTS = 64
CALLS_EACH = 15

Asked = list[tuple[str, Reply]]


def ask(server: Server, client: int) -> Asked:
    """Make one client's calls over one connection."""
    connection = server.connect()
    asked = []
    for number in range(CALLS_EACH):
        payload = f"client {client} call {number} " + "x" * (client * 7 + number)
        connection.request("POST", "/functions/tag", f'"{payload}"'.encode(), {"Content-Type": "application/json"})
        response = connection.getresponse()
        asked.append((payload, Reply(response.status, response.headers, response.read())))
    connection.close()
    return asked


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Asked]]:
    """Return a server and what 64 clients asked it at the same time, with its answers."""
    server = Server(Path(__file__).parent / "functions" / "tag", cwd=tmp_path_factory.mktemp("crowd"))
    try:
        server.wait_ready()
        with ThreadPoolExecutor(CLIENTS) as threads:
            asked = list(itertools.chain.from_iterable(threads.map(lambda client: ask(server, client), range(CLIENTS))))
        yield server, asked
    finally:
        server.kill()


def by_run(asked: Asked) -> dict[int, list[Reply]]:
    """Group replies by the run of the handler that made them."""
    runs = defaultdict(list)
    for _, reply in asked:
        runs[reply.json()["run"]].append(reply)
    return runs


def test_no_answers_are_crossed(crowd: tuple[Server, Asked]) -> None:
    assert len(crowd[1]) == CLIENTS * CALLS_EACH
    for payload, reply in crowd[1]:
        assert (reply.status, reply.json()["payload"]) == (200, payload)


def test_calls_that_wait_together_run_together(crowd: tuple[Server, Asked]) -> None:
    sizes = [reply.receipt["batch"] for _, reply in crowd[1]]
    assert max(sizes) > 8
    assert all(1 <= size <= 64 for size in sizes)


def test_a_receipt_tells_the_size_of_its_batch(crowd: tuple[Server, Asked]) -> None:
    for replies in by_run(crowd[1]).values():
        assert {reply.receipt["batch"] for reply in replies} == {len(replies)}


def test_calls_that_are_alike_have_equal_parts_of_their_run(crowd: tuple[Server, Asked]) -> None:
    own_us = [
        reply.receipt["compute-us"] - reply.json()["run_us"] // len(replies) for replies in by_run(crowd[1]).values() for reply in replies
    ]
    assert min(own_us) >= 0
    assert median(own_us) < 10_000  # decoding and encoding a line of text, on a busy machine
    assert all(reply.receipt["billed-us"] == reply.receipt["compute-us"] for _, reply in crowd[1])


def test_a_call_has_as_large_a_part_of_its_batchs_cpu_time_as_of_its_time(crowd: tuple[Server, Asked]) -> None:
    for replies in by_run(crowd[1]).values():
        compute_us, cpu_us = (sum(reply.receipt[key] for reply in replies) for key in ("compute-us", "cpu-us"))
        assert all(abs(reply.receipt["cpu-us"] - cpu_us * reply.receipt["compute-us"] / compute_us) <= 1 for reply in replies)


def test_the_shares_of_a_batch_cover_its_handler_s_time(crowd: tuple[Server, Asked]) -> None:
    for replies in by_run(crowd[1]).values():
        assert sum(reply.receipt["compute-us"] for reply in replies) >= replies[0].json()["run_us"] >= 2000


def test_the_shares_of_all_batches_add_up_to_the_time_workers_were_occupied(crowd: tuple[Server, Asked]) -> None:
    server, asked = crowd
    metrics = dict(line.rsplit(" ", 1) for line in server.get("/metrics").body.decode().splitlines() if not line.startswith("#"))
    shares = sum(reply.receipt["compute-us"] for _, reply in asked)
    assert round(float(metrics['servelite_compute_seconds_total{function="tag"}']) * 1e6) == shares
    assert round(float(metrics['servelite_batch_duration_seconds_sum{function="tag"}']) * 1e6) == shares
    assert float(metrics['servelite_batch_size_count{function="tag"}']) == len(by_run(asked))


def test_every_call_of_the_crowd_has_its_row(crowd: tuple[Server, Asked]) -> None:
    server, asked = crowd
    check_rows(wait_for_rows(server.cwd, len(asked)), [reply for _, reply in asked])


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        ("refused", (422, "invalid_input")),
        ("poison", (500, "function_failed")),
        ("deadly", (502, "worker_died")),
    ],
    ids=["refused", "raising", "killing the worker"],
)
def test_a_bad_call_harms_no_other_of_its_batch(crowd: tuple[Server, Asked], bad: str, expected: tuple[int, str]) -> None:
    payloads = [f"{bad} {number}" if number % 16 == 5 else f"good {number}" for number in range(48)]
    with ThreadPoolExecutor(len(payloads)) as threads:
        replies = dict(zip(payloads, threads.map(lambda payload: crowd[0].call("tag", payload), payloads), strict=True))
    for payload, reply in replies.items():
        told: dict[str, Any] = reply.json()
        if payload.startswith(bad):
            assert (reply.status, told["code"]) == expected
        else:
            assert (reply.status, told.get("payload")) == (200, payload)


def test_input_that_does_not_fit_fails_alone(crowd: tuple[Server, Asked]) -> None:
    bodies = [b"{" if number % 3 == 0 else b"[]" if number % 3 == 1 else b'"fine %d"' % number for number in range(48)]
    with ThreadPoolExecutor(len(bodies)) as threads:
        replies = list(threads.map(lambda body: crowd[0].post("tag", body), bodies))
    assert [reply.status for reply in replies] == [400, 422, 200] * 16
    assert [reply.json()["payload"] for reply in replies if reply.status == 200] == [f"fine {number}" for number in range(2, 48, 3)]


def test_answers_of_different_functions_are_not_crossed(functions: Path, start_server: Callable[..., Server]) -> None:
    server = start_server(functions / "double", functions / "shout", functions / "flip")
    asks: list[tuple[Callable[[], Reply], bytes]] = []
    for number in range(60):
        asks.append((lambda number=number: server.call("double", number), str(2 * number).encode()))
        asks.append((lambda number=number: server.post("shout", f"n{number}".encode(), "text/plain"), f"N{number}!".encode()))
        asks.append((lambda number=number: server.post("flip", b"%04d" % number, "image/png"), (b"%04d" % number)[::-1]))
    with ThreadPoolExecutor(CLIENTS) as threads:
        assert list(threads.map(lambda asked: asked[0]().body, asks)) == [expected for _, expected in asks]
