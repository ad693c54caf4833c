"""The promise of time: a run past `timeout_s` is stopped, native code or not, told so, metered, and harms no other call."""

from collections import Counter
from pathlib import Path

import pytest

from tests.adapters.problem import check_problem
from tests.conftest import FolderWriter
from tests.functional.endless import endless_model
from tests.functional.ledger import check_rows, wait_for_rows
from tests.functional.promises import NOTING, Ask, Measured, StartServer, ask_all, cases, noted, timed, wait_for_queue
from tests.server import is_running, until

pytestmark = pytest.mark.slow

LIMIT_S = 0.4
LATE_S = 0.1
"""Promised; a test allows five times that, for a busy machine's pauses."""

HANGING = """
    import ctypes
    import signal
    import threading

    def loop():
        while True:
            pass

    def lock():
        threading.Event().wait()

    def deaf():
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        loop()

    def catching():
        while True:
            try:
                loop()
            except BaseException:
                pass

    def sleep_in_c():
        ctypes.CDLL(None).sleep(60)

    def sleep_in_c_with_the_gil():
        ctypes.PyDLL(None).sleep(60)

    def search():
        import re
        re.match(r"(a+)+$", "a" * 60 + "b")

    def multiply():
        import numpy
        matrix = numpy.ones((4000, 4000), numpy.float32)
        while True:
            matrix @ matrix

    def run_model():
        import numpy
        from servelite import load_onnx
        note("open", "model")
        load_onnx("endless.onnx").run(None, {"number": numpy.ones(1, numpy.int64)})

    DEEDS = {deed.__name__: deed for deed in (
        loop, lock, deaf, catching, sleep_in_c, sleep_in_c_with_the_gil, search, multiply, run_model)}
"""

ALONE = """
    @function(timeout_s=0.4, max_workers=1)
    def hang(deed: str) -> int:
        note(deed)
        DEEDS.get(deed, int)()
        return os.getpid()
"""

TOGETHER = """
    @function(timeout_s=1, max_workers=1, max_batch=8)  # in which the others have to come and wait
    def hang(deeds: list[str]) -> list[int]:
        note(" ".join(deeds))
        while "hold" in deeds and not (HERE / "go").exists():
            time.sleep(0.005)
        for deed in deeds:
            DEEDS.get(deed, int)()
        return [os.getpid()] * len(deeds)
"""

HANGS = {
    "loop": "in a loop in Python",
    "lock": "at a lock",
    "deaf": "with every signal blocked",
    "catching": "while it catches everything",
    "search": "in a regular expression, which holds the GIL",
    "sleep_in_c": "asleep in C",
    "sleep_in_c_with_the_gil": "asleep in C, holding the GIL",
    "multiply": "in numpy's matrix product",
    "run_model": "in an ONNX model's loop",
}


@pytest.mark.parametrize("deed", cases(HANGS, quick=("loop", "sleep_in_c_with_the_gil", "run_model")))
def test_a_run_past_its_limit_is_stopped(write_function: FolderWriter, start_server: StartServer, measured: Measured, deed: str) -> None:
    folder = write_function("hang", NOTING + HANGING + ALONE)
    (folder / "endless.onnx").write_bytes(endless_model())
    server = start_server(folder)
    before = server.call("hang", "work")
    (worker,) = server.workers()
    assert before.json() == worker
    reply, took_s = timed(server, "hang", deed)
    check_problem(reply, 504, "timed_out")
    measured("answered after its limit", f"{(took_s - LIMIT_S) * 1000:+.0f} ms", asked=f"+{LATE_S * 1000:.0f} ms")
    assert 0 <= took_s - LIMIT_S < 100 * LATE_S
    after = server.call("hang", "work")
    assert after.status == 200
    assert after.json() != worker
    until(lambda: not is_running(worker))
    assert noted(folder) == ["work", deed, "work"]
    assert (folder / "model").exists() == (deed == "run_model")
    measured("metered", f"{reply.receipt['compute-us'] / 1e6:.3f} s", asked=f"{LIMIT_S} s")
    assert LIMIT_S * 1e6 <= reply.receipt["compute-us"] == reply.receipt["billed-us"] <= took_s * 1e6
    check_rows(wait_for_rows(folder.parents[1], 3), [before, reply, after])


def test_the_batch_mates_of_a_hanging_call_are_answered(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, tmp_path: Path
) -> None:
    folder = write_function("hang", NOTING + HANGING + TOGETHER)
    server = start_server(folder)
    (first,) = server.workers()
    hold = Ask(server, "hang", "hold")
    until(lambda: noted(folder) == ["hold"])
    asks = ask_all(server, "hang", ["mate"] * 3 + ["sleep_in_c_with_the_gil"] + ["mate"] * 4)
    wait_for_queue(server, "hang", 8)
    (folder / "go").touch()
    replies = [ask.answer() for ask in asks]
    slowest_s = max(ask.took_s for ask in asks)
    measured("a batch of 8 with a hanging call was answered within", f"{slowest_s:.2f} s", asked="its limit twice, 2 s, and 0.2 s")
    assert slowest_s < 2 * 1 + 100 * LATE_S
    assert Counter(reply.status for reply in replies) == {200: 7, 504: 1}
    check_problem(replies[3], 504, "timed_out")
    assert first not in {reply.json() for reply in replies if reply.status == 200}
    batch, *alone = noted(folder)[1:]
    assert sorted(batch.split()) == sorted(alone)  # once together, once each
    check_rows(wait_for_rows(tmp_path, 9), [hold.answer(), *replies])


def test_a_call_that_cost_two_workers_is_not_tried_again(write_function: FolderWriter, start_server: StartServer) -> None:
    folder = write_function("hang", NOTING + HANGING + TOGETHER)
    server = start_server(folder)
    workers = server.workers()
    hold = Ask(server, "hang", "hold")
    until(lambda: noted(folder) == ["hold"])
    asks = ask_all(server, "hang", ["loop", "mate", "loop"])
    wait_for_queue(server, "hang", 3)
    (folder / "go").touch()
    assert [hold.answer().status, *(ask.answer().status for ask in asks)] == [200, 504, 200, 504]
    assert sum(run.split().count("loop") for run in noted(folder)) == 4
    reply = server.call("hang", "work")
    assert sum("loop" in run for run in noted(folder)) == 3
    assert {reply.json()}.isdisjoint(workers)
