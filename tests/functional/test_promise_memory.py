"""The promise of memory: a worker over `memory_mib` is stopped and told so; one that grows slowly is replaced unnoticed."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.adapters.problem import check_problem
from tests.conftest import FolderWriter
from tests.functional.crowd import calling
from tests.functional.ledger import wait_for_rows
from tests.functional.promises import (
    NOTING,
    Ask,
    Measured,
    StartServer,
    ask_all,
    cases,
    family,
    noted,
    resident_mib,
    timed,
    unready,
    wait_for_queue,
    watching,
)
from tests.server import is_running, until

pytestmark = pytest.mark.slow

LIMIT_MIB = 150
TOLD_WITHIN_S = 1.0
"""Promised; a test allows three times that, for a busy machine's pauses."""

EATING = """
    import subprocess
    import sys

    MIB = 2**20

    def hold(kept):
        time.sleep(20)
        return kept

    def bytes_at_once():
        hold(bytearray(b"x") * (400 * MIB))

    def an_array():
        import numpy
        hold(numpy.ones(50 * MIB))

    def many_small():
        hold([str(number) * 10 for number in range(10**8)])

    def memory_of_c():
        import ctypes
        libc = ctypes.CDLL(None)
        libc.malloc.restype = ctypes.c_void_p
        for _ in range(400):
            libc.memset(ctypes.c_void_p(libc.malloc(MIB)), 1, MIB)
        hold(None)

    def a_forked_child():
        if os.fork() == 0:
            many_small()
        os.wait()

    def a_started_program():
        subprocess.run([sys.executable, "-c", "import time; x = bytearray(b'x') * 400_000_000; time.sleep(20)"])

    def a_program_in_a_session_of_its_own():
        code = "import time; x = bytearray(b'x') * 400_000_000; time.sleep(20)"
        subprocess.run([sys.executable, "-c", code], start_new_session=True)

    def ten_children():
        for _ in range(10):
            if os.fork() == 0:
                hold(bytearray(b"x") * (40 * MIB))
        os.wait()

    def a_file_in_memory():
        import mmap
        shared = mmap.mmap(-1, 400 * MIB)
        for _ in range(400):
            shared.write(b"x" * MIB)
        hold(shared)

    DEEDS = {deed.__name__: deed for deed in (
        bytes_at_once, an_array, many_small, memory_of_c, a_forked_child, a_started_program,
        a_program_in_a_session_of_its_own, ten_children, a_file_in_memory)}

    @function(timeout_s=30, max_workers=1, memory_mib=150, max_batch=8)
    def eat(deeds: list[str]) -> list[int]:
        note(" ".join(deeds))
        while "hold" in deeds and not (HERE / "go").exists():
            time.sleep(0.005)
        for deed in deeds:
            DEEDS.get(deed, int)()
        return [os.getpid()] * len(deeds)
"""

EATEN = {
    "bytes_at_once": "a large bytearray",
    "an_array": "a large numpy array",
    "many_small": "many small objects",
    "memory_of_c": "what C allocates",
    "a_forked_child": "a forked child's",
    "a_started_program": "a started program's",
    "a_program_in_a_session_of_its_own": "a program's that left the session",
    "ten_children": "ten children's, each with little",
    "a_file_in_memory": "an anonymous map",
}

LEAKING = """
    kept = [bytearray(b"x") * (int((HERE / "model_mib").read_text()) * 2**20)]

    @function(timeout_s=10, max_workers=1, memory_mib=150)
    def leak(kib: int) -> int:
        kept.append(bytearray(b"x") * (kib * 1024))
        return os.getpid()
"""


@pytest.mark.parametrize("deed", cases(EATEN, quick=("bytes_at_once", "a_forked_child", "a_program_in_a_session_of_its_own")))
def test_a_worker_over_its_memory_is_stopped(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, functions: Path, tmp_path: Path, deed: str
) -> None:
    folder = write_function("eat", NOTING + EATING)
    server = start_server(folder, functions / "double")
    worker = server.call("eat", "work").json()
    with calling(server, clients=1) as others:
        ask = Ask(server, "eat", deed)
        until(lambda: noted(folder)[-1:] == [deed])
        seen = _family_while(ask, worker)
    reply = ask.answer()
    assert f"more than the {LIMIT_MIB} MiB" in check_problem(reply, 507, "out_of_memory")["detail"]
    measured("told of too much memory within", f"{ask.took_s:.2f} s", asked=f"{TOLD_WITHIN_S} s")
    assert ask.took_s < 30 * TOLD_WITHIN_S
    after = server.call("eat", "work")
    assert (after.status, after.json() == worker) == (200, False)
    until(lambda: not any(map(is_running, {worker, *seen})))
    assert noted(folder) == ["work", deed, "work"]
    assert others.errors == []
    row = wait_for_rows(tmp_path, 3 + len(others.latencies))[reply.headers["X-Request-Id"]]
    assert (row["status"], row["code"], row["billed_us"]) == (507, "out_of_memory", reply.receipt["billed-us"])
    assert row["billed_us"] > 0
    assert row["peak_kib"] > LIMIT_MIB * 1024


def _family_while(ask: Ask, worker: int) -> set[int]:
    """Return what a worker started until its call was answered."""
    seen: set[int] = set()
    while ask.is_alive():
        seen |= family(worker)
        ask.join(0.02)
    return seen


def test_the_batch_mates_of_a_call_with_too_much_memory_are_answered(write_function: FolderWriter, start_server: StartServer) -> None:
    folder = write_function("eat", NOTING + EATING)
    server = start_server(folder)
    hold = Ask(server, "eat", "hold")
    until(lambda: noted(folder) == ["hold"])
    asks = ask_all(server, "eat", ["mate"] * 3 + ["bytes_at_once"] + ["mate"] * 2)
    wait_for_queue(server, "eat", 6)
    (folder / "go").touch()
    assert [hold.answer().status, *(ask.answer().status for ask in asks)] == [200, 200, 200, 200, 507, 200, 200]
    assert sum("bytes_at_once" in run for run in noted(folder)) == 2


def test_a_worker_that_needs_more_than_its_limit_to_start_is_not_served(
    write_function: FolderWriter, start_server: StartServer, functions: Path
) -> None:
    server = start_server(write_function("leak", NOTING + LEAKING, {"model_mib": "200"}), functions / "double")
    assert list(unready(server)) == ["leak"]
    assert "out_of_memory" in unready(server)["leak"]
    check_problem(server.call("leak", 1), 503, "no_worker")
    assert "Raise it." in server.errors()
    assert server.call("double", 1).body == b"2"


@pytest.mark.parametrize(
    "load",
    [
        pytest.param((0, 1024, 1, 400), id="slowly"),
        pytest.param((0, 1024, 4, 400), id="slowly under load"),
        pytest.param((105, 512, 4, 300), id="slowly beside a large model"),
        pytest.param((0, 16 * 1024, 2, 100), id="in few steps"),
    ],
)
def test_a_leak_costs_no_call(
    write_function: FolderWriter,
    start_server: StartServer,
    measured: Measured,
    tmp_path: Path,
    load: tuple[int, int, int, int],
) -> None:
    model_mib, kib, clients, calls = load
    server = start_server(write_function("leak", NOTING + LEAKING, {"model_mib": str(model_mib)}))
    latencies: list[float] = []

    def call(_: int) -> int:
        reply, took_s = timed(server, "leak", kib)
        latencies.append(took_s)
        return reply.json() if reply.status == 200 else -reply.status

    with watching(lambda: max(map(resident_mib, server.workers()), default=0)) as sizes_mib, ThreadPoolExecutor(clients) as threads:
        told = list(threads.map(call, range(calls)))
    workers = [worker for worker, _ in itertools.groupby(told)]
    measured("failed calls", f"{sum(one < 0 for one in told)} of {calls}", asked="0")
    measured("workers in turn", str(len(set(told))), asked="more than one")
    measured("largest worker", f"{max(sizes_mib):.0f} MiB", asked=f"{LIMIT_MIB} MiB at most")
    measured("slowest call", f"{max(latencies) * 1000:.0f} ms", asked="no figure")
    assert min(told) > 0
    assert calls * kib / 1024 / LIMIT_MIB < len(set(told)) <= len(workers) < calls / 3
    assert max(sizes_mib) < LIMIT_MIB
    assert max(latencies) < 3
    rows = wait_for_rows(tmp_path, calls)
    assert {(row["status"], row["code"]) for row in rows.values()} == {(200, "ok")}
    until(lambda: len(server.workers()) == 1)


def test_a_function_that_uses_much_but_does_not_grow_is_not_replaced(write_function: FolderWriter, start_server: StartServer) -> None:
    server = start_server(write_function("leak", NOTING + LEAKING, {"model_mib": "110"}))
    assert len({server.call("leak", 1).json() for _ in range(300)}) == 1
