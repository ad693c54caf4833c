"""The promise of scaling: workers come with the queue and go when nobody calls, and functions do not starve one another."""

import asyncio
import os
import re
import time
from pathlib import Path

import pytest

from tests.conftest import FolderWriter
from tests.functional.crowd import calling
from tests.functional.endless import endless_model
from tests.functional.flood import Answered, Flood
from tests.functional.ledger import wait_for_rows
from tests.functional.promises import NOTING, Ask, Measured, StartServer, ask_all, noted, p99, request, timed, watching
from tests.server import Server, is_running, until

pytestmark = [pytest.mark.slow, pytest.mark.alone]

CORES = len(os.sched_getaffinity(0))

WAITING = """
    @function(timeout_s=20, max_workers={most})
    def wait(seconds: float) -> int:
        time.sleep(seconds)
        note(os.getpid())
        return os.getpid()
"""

BURNING = """
    @function(timeout_s=20)
    def {name}(ms: int) -> int:
        end_s = time.thread_time() + ms / 1000
        while time.thread_time() < end_s:
            pass
        return os.getpid()
"""

RESTING = """
    large = bytearray(b"x") * (50 * 2**20)

    @function(timeout_s=20, idle_s=0.5)
    def rest(seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()
"""

REPORTING = """
    from servelite import load_onnx

    session = load_onnx("model.onnx")

    @function(timeout_s=20, max_workers={most})
    def report(seconds: float) -> dict[str, str]:
        import numpy
        ones = numpy.ones((300, 300))
        ones @ ones  # BLAS has its threads by now
        time.sleep(seconds)
        named = {{name: os.environ[name] for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}}
        return named | {{
            "pid": str(os.getpid()),
            "intra_op": str(session.get_session_options().intra_op_num_threads),
            "inter_op": str(session.get_session_options().inter_op_num_threads),
            "threads": str(len(os.listdir("/proc/self/task"))),
        }}
"""


@pytest.mark.parametrize(
    ("most", "expected"),
    [
        pytest.param(None, CORES, id="to the cores"),
        pytest.param(1, 1, id="not at all"),
        pytest.param(CORES + 2, CORES + 2, id="beyond them"),
    ],
)
def test_workers_grow_with_the_queue(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, most: int | None, expected: int
) -> None:
    folder = write_function("wait", NOTING + WAITING.format(most=most))
    server = start_server(folder)
    assert server.call("wait", 0.1).status == 200
    assert len(server.workers()) == 1
    begun_s = time.monotonic()
    with watching(lambda: len(server.workers())) as counts:
        asks = ask_all(server, "wait", [0.1] * 12 * expected)
        assert {ask.answer().status for ask in asks} == {200}
    took_s, count = time.monotonic() - begun_s, max(counts)
    measured("workers", f"{count}", asked=str(expected))
    measured(f"{12 * expected} calls of 0.1 s", f"{took_s:.1f} s", asked="1.2 s and the workers' starts")
    assert count == expected
    assert len(set(noted(folder))) == expected
    assert took_s < 12 * 0.1 + 30


def test_a_queue_of_short_calls_starts_no_worker(write_function: FolderWriter, start_server: StartServer) -> None:
    """A start costs more than such a queue takes."""
    server = start_server(write_function("wait", NOTING + WAITING.format(most=None)))
    workers = server.workers()
    for _ in range(20):
        assert {ask.answer().status for ask in ask_all(server, "wait", [0.0] * 4)} == {200}
    assert server.workers() == workers


def test_workers_end_when_nobody_calls_and_the_next_call_is_cold(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, tmp_path: Path
) -> None:
    server = start_server(write_function("rest", NOTING + RESTING))
    begun_s = time.monotonic()
    asks = ask_all(server, "rest", [0.2] * 8)
    workers = {ask.answer().json() for ask in asks}
    called_s = time.monotonic()
    until(lambda: not any(map(is_running, workers)))
    measured("the last worker left", f"{time.monotonic() - called_s:.2f} s after the last call", asked="0.5 s")
    assert time.monotonic() - begun_s >= 0.2 + 0.5
    assert not server.workers()
    assert server.get("/readyz").status == 200
    cold, took_s = timed(server, "rest", 0)
    warm = server.call("rest", 0)
    (init_ms,) = re.findall(r"init;dur=([0-9.]+)", cold.headers["Server-Timing"])
    measured("a cold call", f"{took_s * 1000:.0f} ms, init {float(init_ms):.0f} ms", asked="no figure")
    assert (cold.receipt["cold"], warm.receipt["cold"]) == (True, False)
    assert 20 < float(init_ms) <= took_s * 1000
    assert float(init_ms) * 1000 + cold.receipt["queue-us"] + cold.receipt["compute-us"] <= took_s * 1e6
    assert "init;dur=0.000" in warm.headers["Server-Timing"]
    assert cold.json() == warm.json() not in workers
    rows = wait_for_rows(tmp_path, 10)
    assert [rows[reply.headers["X-Request-Id"]]["cold"] for reply in (cold, warm)] == [1, 0]


def test_a_worker_that_is_called_does_not_end(write_function: FolderWriter, start_server: StartServer) -> None:
    server = start_server(write_function("rest", NOTING + RESTING))
    begun_s = time.monotonic()
    told = {server.call("rest", 0.1).json() for _ in range(15)}
    assert time.monotonic() - begun_s > 1.5
    assert len(told) < 3  # one that ends whoever calls would have had two successors


def test_many_first_calls_after_a_sleep_share_one_start(write_function: FolderWriter, start_server: StartServer) -> None:
    server = start_server(write_function("rest", NOTING + RESTING))
    until(lambda: not server.workers())
    replies = [ask.answer() for ask in ask_all(server, "rest", [0.0] * 20)]
    assert {reply.status for reply in replies} == {200}
    assert sum(bool(reply.receipt["cold"]) for reply in replies) >= 2
    assert len({reply.json() for reply in replies}) <= CORES


# functions beside one another


async def _flood_two(server: Server, clients: tuple[int, int], seconds: float) -> list[list[Answered]]:
    floods = [Flood(server, request(name, 20)) for name in ("one", "two")]
    return await asyncio.gather(*(flood.keep_asking(count, seconds) for flood, count in zip(floods, clients, strict=True)))


@pytest.mark.parametrize("clients", [pytest.param((8, 8), id="as much load"), pytest.param((24, 8), id="three times the load")])
def test_two_functions_under_load_get_equal_shares(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, clients: tuple[int, int]
) -> None:
    folders = [write_function(name, NOTING + BURNING.format(name=name)) for name in ("one", "two")]
    server = start_server(*folders, "--ledger", "none")
    answered = asyncio.run(_flood_two(server, clients, seconds=2))
    done = [sum(one.status == 200 for one in calls) for calls in answered]
    measured("calls of two functions", f"{done[0]} and {done[1]}", asked="equal shares")
    assert {one.status for calls in answered for one in calls} == {200}
    assert min(done) / sum(done) > 0.3


def test_a_lone_client_is_served_beside_a_flooded_function(
    write_function: FolderWriter, start_server: StartServer, measured: Measured
) -> None:
    folders = [write_function(name, NOTING + BURNING.format(name=name)) for name in ("one", "two")]
    server = start_server(*folders, "--ledger", "none")
    _, lone = asyncio.run(_flood_two(server, (32, 1), seconds=2))
    measured("p99 of 20 ms calls of a lone client", f"{p99(one.took_s for one in lone) * 1000:.0f} ms", asked="small")
    assert {one.status for one in lone} == {200}
    assert p99(one.took_s for one in lone) < 10


def test_a_function_that_hangs_does_not_stop_another(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, functions: Path
) -> None:
    folder = write_function("wait", NOTING + WAITING.format(most=None))
    server = start_server(folder, functions / "double")
    hanging = [Ask(server, "wait", 3.0) for _ in range(4 * CORES)]
    with calling(server, clients=2) as others:
        begun_s = time.monotonic()
        until(lambda: time.monotonic() > begun_s + 1)
    measured("p99 beside hanging calls", f"{p99(others.latencies) * 1000:.0f} ms", asked="small")
    assert all(ask.is_alive() for ask in hanging)
    assert (others.errors, len(others.latencies) > 20) == ([], True)
    assert p99(others.latencies) < 0.5


# threads


@pytest.mark.parametrize(
    "most",
    [
        pytest.param(None, id="by default"),
        pytest.param(1, id="with one worker"),
        pytest.param(CORES + 2, id="with more workers than cores"),
    ],
)
def test_the_threads_of_all_workers_do_not_outnumber_the_cores(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, most: int | None
) -> None:
    folder = write_function("report", NOTING + REPORTING.format(most=most))
    (folder / "model.onnx").write_bytes(endless_model())
    server = start_server(folder)
    expected = CORES if most == 1 else 1
    replies = [ask.answer().json() for ask in ask_all(server, "report", [0.2] * 8 * (most or CORES))]
    workers = {reply["pid"]: reply for reply in replies}
    measured("workers and threads of each", f"{len(workers)} with {expected}", asked=f"{CORES} together, or one each")
    for told in workers.values():
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "intra_op")
        assert {told[name] for name in names} == {str(expected)}
        assert told["inter_op"] == "1"
        assert int(told["threads"]) <= 2 + 2 * (expected - 1)  # Python's, one that onnxruntime has at rest, and BLAS' and onnxruntime's
    assert len(workers) == (most or CORES)
