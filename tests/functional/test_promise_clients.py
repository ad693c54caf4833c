"""The promise of clients that leave: what nobody waits for is not computed, and a long run of it is stopped."""

import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import FolderWriter
from tests.functional.ledger import wait_for_rows
from tests.functional.promises import NOTING, Ask, Measured, StartServer, ask_all, leave, noted, request, timed, wait_for_queue
from tests.server import until

pytestmark = pytest.mark.slow

ABANDONED, MOST_COMPUTED = 50, 2
NEXT_WITHIN_S = 0.2
"""Promised; a test allows five times that, for a busy machine's pauses."""

SLEEPING = """
    @function(timeout_s=20, max_workers=1)
    def sleep(seconds: float) -> int:
        note(seconds)
        while seconds < 0 and not (HERE / "go").exists():
            time.sleep(0.005)
        time.sleep(max(0, seconds))
        note(seconds, "ends")
        return os.getpid()
"""

TOGETHER = """
    @function(timeout_s=20, max_workers=1, max_batch=8)
    def sleep(seconds: list[float]) -> list[int]:
        note(" ".join(map(str, seconds)))
        while min(seconds) < 0 and not (HERE / "go").exists():
            time.sleep(0.005)
        time.sleep(max(0, *seconds))
        return [os.getpid()] * len(seconds)
"""

BOTH_WAYS = pytest.mark.parametrize("how", ["RST", "FIN"])

HOLD = -1.0
"""The call waits until the file `go` is there."""


@pytest.mark.parametrize("how", ["RST", "FIN"])
def test_what_waits_for_clients_that_left_is_not_computed(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, tmp_path: Path, how: str
) -> None:
    folder = write_function("sleep", NOTING + SLEEPING)
    server = start_server(folder)
    hold = Ask(server, "sleep", HOLD)
    until(lambda: noted(folder) == [str(HOLD)])
    connections = [server.socket() for _ in range(ABANDONED)]
    for connection in connections:
        connection.sendall(request("sleep", 0.1))
    wait_for_queue(server, "sleep", ABANDONED)
    for connection in connections:
        leave(connection, how)
    wait_for_queue(server, "sleep", 0)
    (folder / "go").touch()
    held = hold.answer()
    good, took_s = timed(server, "sleep", 0)
    computed = noted(folder).count("0.1")
    measured("abandoned calls that were computed", f"{computed} of {ABANDONED}", asked=f"{MOST_COMPUTED} at most")
    measured("the next good call", f"{took_s * 1000:.0f} ms", asked=f"{NEXT_WITHIN_S * 1000:.0f} ms")
    assert computed <= MOST_COMPUTED
    assert (held.status, good.status) == (200, 200)
    assert took_s < 50 * NEXT_WITHIN_S
    assert len(wait_for_rows(tmp_path, 2 + computed)) == 2 + computed


def test_clients_that_all_leave_cost_the_call_that_ran(write_function: FolderWriter, start_server: StartServer, measured: Measured) -> None:
    folder = write_function("sleep", NOTING + SLEEPING)
    server = start_server(folder)
    assert [server.call("sleep", 0.1).status for _ in range(3)] == [200] * 3  # so that it is known how long a call takes
    connections = [server.socket() for _ in range(ABANDONED)]
    for connection in connections:
        connection.sendall(request("sleep", 0.1))
    wait_for_queue(server, "sleep", ABANDONED - 1)
    for connection in connections:
        leave(connection, "FIN")
    good, took_s = timed(server, "sleep", 0)
    computed = noted(folder).count("0.1") - 3
    measured("abandoned calls that were computed", f"{computed} of {ABANDONED}", asked=f"{MOST_COMPUTED} at most")
    measured("the next good call, up to 0.1 s of it behind one of them", f"{took_s * 1000:.0f} ms", asked=f"{NEXT_WITHIN_S * 1000:.0f} ms")
    assert 1 <= computed <= MOST_COMPUTED
    assert good.status == 200
    assert took_s < 50 * NEXT_WITHIN_S


@BOTH_WAYS
def test_a_client_that_leaves_in_the_middle_of_its_body_costs_nothing(
    write_function: FolderWriter, start_server: StartServer, tmp_path: Path, how: str
) -> None:
    folder = write_function("sleep", NOTING + SLEEPING)
    server = start_server(folder)
    for length in (4, 100, 20_000, 1_000_000):
        connection = server.socket()
        connection.sendall(request("sleep", 0.1, length=length))  # 3 bytes of it
        assert server.call("sleep", 0).status == 200  # what was sent before has been read
        leave(connection, how)
    assert server.call("sleep", 0).status == 200
    assert noted(folder) == ["0.0"] * 5
    assert len(wait_for_rows(tmp_path, 5)) == 5
    assert server.stop() == 0
    assert len(wait_for_rows(tmp_path, 5)) == 5


@BOTH_WAYS
def test_a_long_run_is_stopped_when_its_client_leaves(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, tmp_path: Path, how: str
) -> None:
    folder = write_function("sleep", NOTING + SLEEPING)
    server = start_server(folder)
    worker = server.call("sleep", 0).json()
    connection = server.socket()
    begun_s = time.monotonic()
    connection.sendall(request("sleep", 15))
    until(lambda: noted(folder) == ["0.0", "15.0"])
    leave(connection, how)
    left_s = time.monotonic()
    until(lambda: server.workers() and worker not in server.workers(), within_s=12)
    stopped_s = time.monotonic() - left_s
    good, took_s = timed(server, "sleep", 0)
    measured("a run of 15 s was stopped after its client left", f"{stopped_s:.2f} s", asked="no figure: about a worker's start")
    measured("the next good call", f"{took_s * 1000:.0f} ms", asked=f"{NEXT_WITHIN_S * 1000:.0f} ms")
    assert took_s < 50 * NEXT_WITHIN_S
    assert good.json() != worker
    rows = list(wait_for_rows(tmp_path, 3).values())
    (row,) = [row for row in rows if row["code"] != "ok"]
    assert (row["code"], row["status"], row["billed_us"]) == ("cancelled", 499, row["compute_us"])
    assert 0 < row["compute_us"] / 1e6 < time.monotonic() - begun_s
    assert 'servelite_calls_total{code="cancelled",function="sleep"} 1.0' in server.get("/metrics").body.decode()


def test_a_run_that_is_about_to_end_is_let(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, tmp_path: Path
) -> None:
    """A stopped worker costs a start, which takes longer than the rest of the run."""
    folder = write_function("sleep", NOTING + SLEEPING)
    server = start_server(folder)
    worker = {server.call("sleep", 0.4).json() for _ in range(3)}
    connection = server.socket()
    connection.sendall(request("sleep", 0.4))
    until(lambda: len(noted(folder)) == 4)
    time_left_s = 0.03  # a start takes several times that on any machine
    begun_s = time.monotonic()
    until(lambda: time.monotonic() > begun_s + 0.4 - time_left_s)
    leave(connection, "RST")
    assert {server.call("sleep", 0).json()} == worker
    assert len(noted(folder, "ends")) == 5
    measured("a run with 0.03 s left", "ended", asked="to end, for a start takes longer")
    assert [row["code"] for row in wait_for_rows(tmp_path, 5).values()] == ["ok"] * 5


def test_a_run_goes_on_while_one_of_its_batch_is_waited_for(write_function: FolderWriter, start_server: StartServer) -> None:
    folder = write_function("sleep", NOTING + TOGETHER)
    server = start_server(folder)
    (worker,) = server.workers()
    hold = Ask(server, "sleep", HOLD)
    until(lambda: noted(folder) == [str(HOLD)])
    with ExitStack() as open_ones:
        leaving = [open_ones.enter_context(server.socket()) for _ in range(3)]
        for connection in leaving:
            connection.sendall(request("sleep", 1))
        wait_for_queue(server, "sleep", 3)
        stays = Ask(server, "sleep", 1)
        wait_for_queue(server, "sleep", 4)
        (folder / "go").touch()
        until(lambda: noted(folder)[1:] == ["1.0 1.0 1.0 1.0"])
        for connection in leaving:
            leave(connection, "RST")
        assert (hold.answer().json(), stays.answer().json()) == (worker, worker)
    assert server.workers() == {worker}


def test_a_run_is_stopped_when_the_last_of_its_batch_leaves(
    write_function: FolderWriter, start_server: StartServer, tmp_path: Path
) -> None:
    folder = write_function("sleep", NOTING + TOGETHER)
    server = start_server(folder)
    (worker,) = server.workers()
    hold = Ask(server, "sleep", HOLD)
    until(lambda: noted(folder) == [str(HOLD)])
    leaving = [server.socket() for _ in range(3)]
    for connection in leaving:
        connection.sendall(request("sleep", 15))
    wait_for_queue(server, "sleep", 3)
    (folder / "go").touch()
    until(lambda: noted(folder)[1:] == ["15.0 15.0 15.0"])
    for connection in leaving:
        leave(connection, "RST")
    until(lambda: server.workers() and worker not in server.workers(), within_s=12)
    assert hold.answer().status == server.call("sleep", 0).status == 200
    rows = [row for row in wait_for_rows(tmp_path, 5).values() if row["code"] == "cancelled"]
    assert [(row["status"], row["batch"]) for row in rows] == [(499, 3)] * 3
    assert noted(folder)[2:] == ["0.0"]


def test_a_call_behind_a_stopped_run_is_answered(write_function: FolderWriter, start_server: StartServer) -> None:
    folder = write_function("sleep", NOTING + SLEEPING)
    server = start_server(folder)
    connection = server.socket()
    connection.sendall(request("sleep", 15))
    until(lambda: noted(folder) == ["15.0"])
    waiting = ask_all(server, "sleep", [0, 0, 0])
    wait_for_queue(server, "sleep", 3)
    leave(connection, "RST")
    assert [ask.answer(within_s=12).status for ask in waiting] == [200] * 3


@BOTH_WAYS
def test_what_a_client_that_left_had_sent_ahead_is_not_computed(write_function: FolderWriter, start_server: StartServer, how: str) -> None:
    folder = write_function("sleep", NOTING + SLEEPING)
    server = start_server(folder)
    connection = server.socket()
    connection.sendall(request("sleep", HOLD) + request("sleep", 0.01) * 20)
    until(lambda: noted(folder) == [str(HOLD)])
    leave(connection, how)
    (folder / "go").touch()
    assert server.call("sleep", 0).status == 200
    assert server.call("sleep", 0).status == 200
    assert noted(folder).count("0.01") <= MOST_COMPUTED
