"""The promise of ends: an orderly one loses no call and leaves no process, and neither do the others leave one."""

import contextlib
import http.client
import itertools
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import FolderWriter
from tests.functional.ledger import check_rows, read_rows
from tests.functional.promises import NOTING, Ask, Measured, StartServer, ask_all, family, noted, unready, wait_for_queue
from tests.server import Reply, Server, is_running, until

pytestmark = pytest.mark.slow

CORES = len(os.sched_getaffinity(0))
IN_FLIGHT = 100
KILLS = 6
ORPHANED_S = 1.0
"""Promised; a test allows three times that, for a busy machine's pauses."""

WORKING = """
    @function(timeout_s=20, max_workers={most})
    def work(seconds: float) -> int:
        note(seconds)
        while seconds < 0 and not (HERE / "go").exists():
            time.sleep(0.005)
        time.sleep(max(0, seconds))
        return os.getpid()
"""

FORKING = """
    import subprocess
    import sys

    SLEEPER = [sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"]
    note(subprocess.Popen(SLEEPER).pid, "children")

    @function(timeout_s=20)
    def fork(how: str) -> int:
        if how == "program":
            child = subprocess.Popen(SLEEPER).pid
        elif how == "session":
            child = subprocess.Popen(SLEEPER, start_new_session=True).pid
        elif (child := os.fork()) == 0:
            if how == "grandchild" and os.fork() != 0:
                os._exit(0)
            note(os.getpid(), "children")
            time.sleep(600)
        note(child, "children")
        return child
"""

STUCK = """
    import ctypes
    import signal

    @function(timeout_s={timeout_s}, max_workers=1)
    def stick(seconds: float) -> float:
        note(seconds)
        if seconds > 100:
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            ctypes.PyDLL(None).sleep(int(seconds))
        time.sleep(seconds)
        return seconds
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT)], ids=["SIGTERM", "SIGINT"])
def test_an_orderly_end_loses_none_of_100_calls(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, tmp_path: Path, number: signal.Signals
) -> None:
    folder = write_function("work", NOTING + WORKING.format(most=None))
    server = start_server(folder)
    asks = ask_all(server, "work", [-1.0] * IN_FLIGHT)
    until(lambda: len(noted(folder)) == CORES)
    wait_for_queue(server, "work", IN_FLIGHT - CORES)
    everyone = family(server.process.pid)
    begun_s = time.monotonic()
    server.process.send_signal(number)
    assert list(until(lambda: unready(server))) == ["work"]
    assert server.get("/livez").status == 200
    late = server.call("work", 0)
    assert (late.status, late.json()["code"], int(late.headers["Retry-After"]) >= 1) == (503, "shutting_down", True)
    (folder / "go").touch()
    replies = [ask.answer() for ask in asks]
    assert server.process.wait(timeout=30) == 0
    lost = sum(reply.status != 200 for reply in replies)
    measured(f"calls lost at {number.name}", f"{lost} of {IN_FLIGHT}", asked="0")
    measured("the end took", f"{time.monotonic() - begun_s:.2f} s", asked="as long as its calls")
    assert lost == 0
    until(lambda: not any(map(is_running, everyone)))
    check_rows(read_rows(tmp_path), replies)
    assert "Traceback" not in server.errors()


@pytest.mark.parametrize("how", ["session", "grandchild", *(pytest.param(how) for how in ("program", "child"))])
def test_what_handlers_started_ends_with_the_server(write_function: FolderWriter, start_server: StartServer, how: str) -> None:
    folder = write_function("fork", NOTING + FORKING)
    server = start_server(folder)
    assert server.call("fork", how).status == 200
    until(lambda: len(noted(folder, "children")) == (3 if "child" in how else 2))
    with _ended_at_last({int(pid) for pid in noted(folder, "children")}) as started:
        assert server.stop() == 0
        until(lambda: not any(map(is_running, started)))


@contextlib.contextmanager
def _ended_at_last(pids: set[int]) -> Iterator[set[int]]:
    try:
        yield pids
    finally:
        for pid in filter(is_running, pids):
            os.kill(pid, signal.SIGKILL)


def test_a_stuck_call_is_answered_and_ended_with_its_limit(
    write_function: FolderWriter, start_server: StartServer, measured: Measured
) -> None:
    folder = write_function("stick", NOTING + STUCK.format(timeout_s=1))
    server = start_server(folder)
    stuck = Ask(server, "stick", 600)
    until(lambda: noted(folder) == ["600.0"])
    (worker,) = server.workers()
    begun_s = time.monotonic()
    assert server.stop() == 0
    measured("an end with a stuck call of a limit of 1 s", f"{time.monotonic() - begun_s:.2f} s", asked="1 s, and 5 s of grace")
    assert stuck.answer().status == 504
    assert not is_running(worker)


def test_an_end_takes_no_longer_than_its_grace(write_function: FolderWriter, start_server: StartServer, measured: Measured) -> None:
    folder = write_function("stick", NOTING + STUCK.format(timeout_s=1))
    server = start_server(folder)
    asks = ask_all(server, "stick", [0.9] * 20, {"X-Deadline-Ms": "60000"})
    wait_for_queue(server, "stick", 19)
    begun_s = time.monotonic()
    assert server.stop() == 0
    took_s = time.monotonic() - begun_s
    measured("an end with 18 s of work waiting", f"{took_s:.2f} s", asked="1 s for the limit, and 5 s of grace")
    assert 5 < took_s < 18
    statuses = [ask.answer().status for ask in asks]
    assert set(statuses) == {200, 503}
    assert 4 <= statuses.count(200) <= 8


@pytest.mark.parametrize("busy", [pytest.param("idle"), "asleep in C with every signal blocked"])
def test_no_worker_outlives_a_gateway_that_is_killed(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, functions: Path, busy: str
) -> None:
    folder = write_function("stick", NOTING + STUCK.format(timeout_s=600))
    server = start_server(folder, functions / "double", functions / "shout")
    if busy != "idle":
        Ask(server, "stick", 500)
        until(lambda: noted(folder) == ["500.0"])
    everyone = family(server.process.pid)
    assert len(server.workers()) == 3
    begun_s = time.monotonic()
    server.stop(signal.SIGKILL)
    with _ended_at_last(everyone):
        until(lambda: not any(map(is_running, everyone)), within_s=30 * ORPHANED_S)
        measured("the last process of a killed gateway", f"{(time.monotonic() - begun_s) * 1000:.0f} ms", asked="1 s")


class Asking(threading.Thread):
    """A client that calls until it is told to stop, and keeps all answers."""

    def __init__(self, server: Server, function: str) -> None:
        super().__init__(daemon=True)
        self._server, self._function = server, function
        self._is_over = threading.Event()
        self.replies: list[Reply] = []
        self.failures: list[str] = []
        self.start()

    def run(self) -> None:
        while not self._is_over.is_set():
            try:
                self.replies.append(self._server.call(self._function, 0.01))
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))

    def end(self) -> None:
        self._is_over.set()
        self.join()


def test_workers_that_are_killed_under_load_cost_no_call(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, tmp_path: Path
) -> None:
    folder = write_function("work", NOTING + WORKING.format(most=None))
    server = start_server(folder)
    clients = [Asking(server, "work") for _ in range(6)]
    killed: set[int] = set()
    for _ in range(KILLS):
        begun, told = len(noted(folder)), [len(client.replies) for client in clients]
        until(lambda begun=begun: len(noted(folder)) > begun + 20)  # each is hit at work, and has a successor that works
        until(lambda told=told: all(len(client.replies) > many for client, many in zip(clients, told, strict=True)))  # no call is hit twice
        with server.paused():  # or the call of the first may already run on the second, and be hit twice
            for worker in server.workers() - killed:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
                    killed.add(worker)
    for client in clients:
        client.end()
    replies = list(itertools.chain.from_iterable(client.replies for client in clients))
    failed = [reply.status for reply in replies if reply.status != 200] + [one for client in clients for one in client.failures]
    measured("calls that failed while workers were killed", f"{len(failed)} of {len(replies)}, {len(killed)} kills", asked="0")
    assert failed == []
    assert len(killed) >= KILLS
    assert killed.isdisjoint(server.workers())
    assert server.stop() == 0
    check_rows(read_rows(tmp_path), replies)


def test_a_worker_that_is_killed_while_it_starts_costs_no_call(write_function: FolderWriter, start_server: StartServer) -> None:
    source = f"{NOTING}\n    note(os.getpid(), 'starts')\n    time.sleep(0.3)\n{WORKING.format(most=1)}"
    folder = write_function("work", source)
    server = start_server(folder)
    asks = ask_all(server, "work", [-1.0] * 5)
    wait_for_queue(server, "work", 4)
    for _ in ("the one that works", "its successor before it is ready"):
        starts = len(noted(folder, "starts"))
        (worker,) = server.workers()
        os.kill(worker, signal.SIGKILL)
        until(lambda starts=starts: len(noted(folder, "starts")) > starts)
    (folder / "go").touch()
    assert [ask.answer().status for ask in asks] == [200] * 5
    assert noted(folder) == ["-1.0"] * 6
