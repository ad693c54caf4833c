import os
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from servelite.runtime.memory import memory_kib, peak_kib
from servelite.runtime.waiting import FOREVER

HELD_KIB = 64 * 1024
HOLD = f"held = bytearray(b'x') * {HELD_KIB * 1024}"
REST_KIB = 32 * 1024
"""More than a Python process holds besides, less than half of what it is told to hold."""


@pytest.fixture
def run() -> Iterator:
    """Return a starter of Python processes that do what they are told, say so and stay."""
    processes: list[subprocess.Popen] = []

    def start(source: str) -> int:
        command = [sys.executable, "-S", "-c", f"import os, sys, subprocess\n{source}\nprint(flush=True)\nsys.stdin.read()"]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        processes[-1].stdout.readline()
        return processes[-1].pid

    yield start
    for process in processes:
        process.communicate()


def test_a_process_holds_what_it_allocated(run):
    idle, holding = (memory_kib(run(source), FOREVER) for source in ("", HOLD))
    assert 0 < idle < REST_KIB
    assert holding - idle == pytest.approx(HELD_KIB, rel=0.05)


def test_what_a_process_started_counts_with_it(run):
    grandchild = f"[sys.executable, '-S', '-c', '''import sys\n{HOLD}\nprint(flush=True)\nsys.stdin.read()''']"
    child = f"started = subprocess.Popen({grandchild}, stdout=subprocess.PIPE)\nstarted.stdout.readline()"
    assert HELD_KIB < memory_kib(run(child), FOREVER) < HELD_KIB + 2 * REST_KIB


def test_pages_that_a_process_shares_with_its_children_count_once_where_it_matters(run):
    pid = run(f"{HOLD}\nif os.fork() == 0:\n    sys.stdin.read()\n    os._exit(0)")
    resident, proportional = memory_kib(pid, FOREVER), memory_kib(pid, HELD_KIB)
    assert resident > 2 * HELD_KIB
    assert HELD_KIB < proportional < HELD_KIB + REST_KIB


def test_the_exact_measure_is_taken_only_above_what_is_suspicious(run):
    pid = run("")
    resident = memory_kib(pid, FOREVER)
    assert memory_kib(pid, resident) == resident
    assert 0 < memory_kib(pid, resident - 1) < resident  # the interpreter's own pages are shared with the test's


def test_this_process_and_its_children_are_seen(run):
    alone = memory_kib(os.getpid(), FOREVER)
    pid = run(HOLD)
    assert memory_kib(os.getpid(), FOREVER) > alone + HELD_KIB // 2 > 0
    assert memory_kib(pid, FOREVER) > HELD_KIB


@pytest.mark.parametrize("suspicious_kib", [0, FOREVER], ids=["exactly", "roughly"])
def test_a_process_that_is_gone_has_no_memory(suspicious_kib):
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert memory_kib(process.pid, suspicious_kib) == 0  # ended, and not reaped yet
    assert memory_kib(process.pid, suspicious_kib) == 0


def test_a_peak_stays_when_the_memory_is_given_back_and_is_the_process_s_own(run: Callable[[str], int]):
    """This process holds more than the other ever did."""
    ballast = bytearray(b"x") * (2 * HELD_KIB * 1024)
    pid = run(f"{HOLD}\ndel held")
    assert HELD_KIB < peak_kib(pid) < HELD_KIB + REST_KIB < len(ballast) // 1024
    assert memory_kib(pid, FOREVER) < REST_KIB


def test_a_process_that_is_gone_has_no_peak():
    assert peak_kib(FOREVER) == 0
