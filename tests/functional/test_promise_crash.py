"""The promise of crashes: a worker that dies costs the call at fault, and nobody else notices; what can't start is tried again."""

import itertools
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from tests.adapters.problem import check_problem
from tests.conftest import FolderWriter
from tests.functional.crowd import calling
from tests.functional.ledger import check_rows, wait_for_rows
from tests.functional.promises import NOTING, Ask, Measured, StartServer, ask_all, cases, noted, timed, unready, wait_for_queue
from tests.server import Reply, Server, until

pytestmark = pytest.mark.slow

TOLD_WITHIN_S = 0.2
"""Promised; a test allows five times that, for a busy machine's pauses."""

CRASHING = """
    import ctypes
    import resource
    import signal

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash that is wanted leaves no core file

    def leave():
        os._exit(3)

    def segfault():
        ctypes.string_at(0)

    def abort():
        os.abort()

    def be_killed():
        os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(60)

    def overflow():
        ctypes.CDLL(None).regcomp(ctypes.create_string_buffer(256), b"(" * 10**6, 1)  # glibc goes down one frame a bracket

    def divide():
        os.kill(os.getpid(), signal.SIGFPE)

    def close_all():
        os.closerange(3, 1000)  # the socket to the gateway among them

    DEEDS = {deed.__name__: deed for deed in (leave, segfault, abort, be_killed, overflow, divide, close_all)}

    @function(timeout_s=20, max_workers=1, max_batch=8)
    def crash(deeds: list[str]) -> list[str]:
        note(" ".join(deeds))
        while "hold" in deeds and not (HERE / "go").exists():
            time.sleep(0.005)
        for deed in deeds:
            DEEDS.get(deed, str)()
        return deeds
"""

CRASHES = {
    "leave": ("an exit", "exited with code 3", 1),
    "segfault": ("a segfault", "SIGSEGV", 1),
    "abort": ("an abort", "SIGABRT", 1),
    "overflow": ("a stack overflow in C", "SIGSEGV", 1),
    "divide": ("another signal", "SIGFPE", 1),
    "be_killed": ("SIGKILL, after a second try", "SIGKILL", 2),
    "close_all": ("its own connection closed", "exited with code", 1),
}


@pytest.mark.parametrize("deed", cases({deed: crash[0] for deed, crash in CRASHES.items()}, quick=("leave", "segfault", "be_killed")))
def test_a_crash_costs_the_call_at_fault_alone(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, functions: Path, tmp_path: Path, deed: str
) -> None:
    _, told, runs = CRASHES[deed]
    folder = write_function("crash", NOTING + CRASHING)
    server = start_server(folder, functions / "double", "--ledger", "crash.db")
    with calling(server, clients=2) as others:
        reply, took_s = timed(server, "crash", deed)
        assert told in check_problem(reply, 502, "worker_died")["detail"]
        assert noted(folder) == [deed] * runs
        replies = _batch_with(server, folder, deed)
    measured("a lone call was told of its crash within", f"{took_s * 1000:.0f} ms", asked=f"{TOLD_WITHIN_S * 1000:.0f} ms")
    assert took_s < 50 * TOLD_WITHIN_S * runs  # a second try waits for a new worker
    assert Counter(reply.status for reply in replies) == {200: 7, 502: 1}
    assert told in replies[4].json()["detail"]
    assert server.call("crash", "work").status == 200
    assert (others.errors, len(others.latencies) > 10) == ([], True)
    measured("calls of another function meanwhile", f"{max(others.latencies) * 1000:.0f} ms at most", asked="not noticing")
    assert max(others.latencies) < 1


def _batch_with(server: Server, folder: Path, deed: str) -> list[Reply]:
    """Have seven good calls and a crashing one wait together, and return what each was answered."""
    hold = Ask(server, "crash", "hold")
    until(lambda: noted(folder)[-1:] == ["hold"])
    asks = ask_all(server, "crash", ["mate"] * 4 + [deed] + ["mate"] * 3)
    wait_for_queue(server, "crash", 8)
    (folder / "go").touch()
    assert hold.answer().status == 200
    return [ask.answer() for ask in asks]


def test_a_crash_is_metered_and_billed(write_function: FolderWriter, start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(write_function("crash", NOTING + CRASHING))
    replies = [server.call("crash", deed) for deed in ("leave", "work", "segfault")]
    assert all(reply.receipt["billed-us"] == reply.receipt["compute-us"] > 0 for reply in replies)
    check_rows(wait_for_rows(tmp_path, 3), replies)


# crashes at the start

WELL = "\n    @function\n    def late(number: int) -> int:\n        return number\n"

BROKEN = [
    pytest.param("raise RuntimeError('password=hunter2')", "definition_error", id="that raises"),
    pytest.param("import ctypes; ctypes.string_at(0)", "worker_died", id="that crashes"),
    pytest.param("os._exit(3)", "worker_died", id="that exits"),
    pytest.param("def late(", "definition_error", id="that is no Python"),
]


@pytest.fixture
def tell_starts(write_function: FolderWriter) -> Callable[[str], Path]:
    """Return a writer of a function that notes when it is started, and ends there as it is told."""

    def write(broken: str) -> Path:
        return write_function("late", f"{NOTING}\n    note(time.monotonic(), 'starts')\n    {broken}\n{WELL}")

    return write


@pytest.mark.parametrize(("broken", "code"), BROKEN)
def test_a_function_with_a_start(
    tell_starts: Callable[[str], Path], functions: Path, start_server: StartServer, broken: str, code: str
) -> None:
    """It is reported while others serve, and served once it is mended."""
    folder = tell_starts(broken)
    server = start_server(folder, functions / "double")
    with calling(server, clients=1) as others:
        assert list(unready(server)) == ["late"]
        assert code in unready(server)["late"]
        refused = server.call("late", 1)
        problem = check_problem(refused, 503, "no_worker")
        assert "hunter2" not in problem["detail"]
        assert int(refused.headers["Retry-After"]) >= 1
        assert server.get("/livez").status == 200
        (folder / "handler.py").write_text(dedent(NOTING + WELL))
        assert until(lambda: server.get("/readyz").status == 200)
    assert server.call("late", 7).json() == 7
    assert others.errors == []


def test_a_failing_start_is_tried_again_at_growing_intervals(
    tell_starts: Callable[[str], Path], functions: Path, start_server: StartServer, measured: Measured
) -> None:
    folder = tell_starts("os._exit(3)")
    server = start_server(folder, functions / "double")
    begun_s = time.monotonic()
    until(lambda: server.call("late", 1).status == 503 and time.monotonic() > begun_s + 1.5)  # asking makes it no faster
    starts = [float(start) for start in noted(folder, "starts")]
    pauses = [after - before for before, after in itertools.pairwise(starts)]
    measured("pauses between starts", ", ".join(f"{pause:.2f} s" for pause in pauses), asked="growing")
    assert 2 <= len(pauses) <= 4
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.5, 1.0, 2.0, 5.0), strict=False))


def test_a_function_that_can_not_be_started_any_more_is_told_and_comes_back(
    write_function: FolderWriter, functions: Path, start_server: StartServer
) -> None:
    folder = write_function("crash", NOTING + CRASHING)
    server = start_server(folder, functions / "double")
    source = (folder / "handler.py").read_text()
    (folder / "handler.py").write_text("raise RuntimeError('a model is missing')")
    assert server.call("crash", "leave").status == 502
    until(lambda: "definition_error" in unready(server).get("crash", ""))
    assert server.call("crash", "work").status == 503
    assert server.call("double", 2).body == b"4"
    (folder / "handler.py").write_text(source)
    until(lambda: server.get("/readyz").status == 200)
    assert server.call("crash", "work").status == 200


def test_a_function_that_takes_long_to_start_keeps_no_other_waiting(
    write_function: FolderWriter, start_server: StartServer, functions: Path
) -> None:
    slow = write_function("slow", "import time\n\ntime.sleep(1000)\n")
    server = start_server(slow, functions / "double")
    assert server.call("double", 2).body == b"4"
    assert server.get("/readyz").status == 503
    check_problem(server.call("slow", 1), 503, "no_worker")
    assert server.stop() == 0


@pytest.mark.parametrize(("deed", "status"), [("leave", 502), ("hang", 504)])
def test_one_bad_call_after_the_other_gets_its_own_answer(
    write_function: FolderWriter, start_server: StartServer, deed: str, status: int
) -> None:
    source = """
        import os
        import time
        from servelite import function

        @function(timeout_s=0.2, max_workers=1)
        def bad(deed: str) -> str:
            if deed == "leave":
                os._exit(3)
            if deed == "hang":
                time.sleep(60)
            return deed
    """
    server = start_server(write_function("bad", source))
    assert [server.call("bad", deed).status for _ in range(10)] == [status] * 10
    assert server.call("bad", "behave").status == 200
