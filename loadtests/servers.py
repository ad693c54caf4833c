"""The servers under measurement: started on a free port of 127.0.0.1, waited for, read from /proc, and ended by pid."""

import http.client
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
SERVELITE = str(Path(sys.executable).with_name("servelite"))
POLL_S = 0.005
READY_S = 30.0
STOP_S = 10.0
SETTLE_S, SETTLE_LOOKS = 0.2, 25
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Server:
    """A server that answers, and the processes that were started for it; `key` is what it wants to see, "" for nothing."""

    port: int
    path: str
    pids: tuple[int, ...]
    key: str = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def ask(self, body: bytes) -> bytes:
        """Return the answer to a body; RuntimeError where it is not 200."""
        status, answer = post(self.port, self.path, body)
        if status != 200:
            raise RuntimeError(f"{self.url} answered {status}: {answer[:300]!r}")
        return answer

    def family(self) -> list[int]:
        """Return the started processes and those that they started."""
        return [pid for started in self.pids for pid in _with_children(started)]

    def cpu_so_far_s(self) -> float:
        """Return the CPU time of all its processes."""
        return sum(map(_cpu_s, self.family()))

    def cpu_when_done_s(self) -> float:
        """Return the CPU time of all its processes, once they have nothing left to do."""
        now = self.cpu_so_far_s()
        for _ in range(SETTLE_LOOKS):  # rows may still be on their way into the ledger
            time.sleep(SETTLE_S)
            before, now = now, self.cpu_so_far_s()
            if now == before:
                break
        return now


@contextmanager
def servelite(folder: Path, work: Path, *options: str, key: str = "", first: bytes = b"") -> Iterator[Server]:
    """Run `servelite run` on a function's folder; `work` is where its ledger goes, `key` one of it, `first` what it is asked first."""
    port = free_port()
    path = f"/functions/{folder.name}"
    with started([SERVELITE, "run", str(folder), "--port", str(port), *options], work) as process:
        wait_for_answer(process, port, path, first or first_input(folder), key)
        yield Server(port, path, (process.pid,), key)


def new_key(work: Path, account: str, ledger: str) -> str:
    """Make an API key in a ledger below `work`."""
    command = [SERVELITE, "keys", "create", "--account", account, "--name", "load", "--ledger", ledger]
    return subprocess.run(command, cwd=work, check=True, capture_output=True, text=True, timeout=READY_S).stdout.strip()


@contextmanager
def in_process(folder: Path, work: Path, processes: int, server: str) -> Iterator[Server]:
    """Run the bare application of inprocess.py on a function's model, in some processes that share a port; on `uvicorn` or `own`."""
    port = free_port()
    command = [sys.executable, str(HERE / "inprocess.py"), str(folder / "model.onnx"), str(port), server]
    with ExitStack() as stack:
        all_ = [stack.enter_context(started(command, work, stdout=subprocess.PIPE)) for _ in range(processes)]
        for process in all_:
            _wait_for_line(process)
        yield Server(port, "/", tuple(process.pid for process in all_))


@contextmanager
def started(command: Sequence[str], work: Path, stdout: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[bytes]]:
    """Start a process, and end it with the block."""
    process = subprocess.Popen(command, cwd=work, stdout=stdout, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def wait_for_answer(process: subprocess.Popen[bytes], port: int, path: str, body: bytes, key: str = "") -> None:
    """Connect and POST every 5 ms until the answer is 200; RuntimeError where that does not come."""
    until = time.monotonic() + READY_S
    while time.monotonic() < until and process.poll() is None:
        try:
            status, answer = post(port, path, body, key)
        except ConnectionError:
            time.sleep(POLL_S)
            continue
        if status == 200:
            return
        raise RuntimeError(f"The first answer was {status}: {answer[:300]!r}")
    raise RuntimeError(f"{process.args!r} did not answer within {READY_S:g} s (exit code {process.poll()}).")


def _wait_for_line(process: subprocess.Popen[bytes]) -> None:
    assert process.stdout is not None
    if not process.stdout.readline():
        raise RuntimeError(f"{process.args!r} ended before it listened.")


def post(port: int, path: str, body: bytes, key: str = "") -> tuple[int, bytes]:
    """POST once on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=READY_S)
    try:
        shown = {"Authorization": f"Bearer {key}"} if key else {}
        connection.request("POST", path, body, {"Content-Type": "application/json", **shown})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def free_port() -> int:
    """Return a port that nobody has at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def inputs(folder: Path) -> list[bytes]:
    """Return the bodies of a function's examples."""
    lines = (folder / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.dumps(json.loads(line)["input"]).encode() for line in lines]


def first_input(folder: Path) -> bytes:
    """Return the body of a function's first example."""
    return inputs(folder)[0]


def pss_mib(pid: int) -> float:
    """Return a process's proportional set size, MiB: its own pages, and its share of those that others map too."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def machine_busy_s() -> float:
    """Return the CPU time that all processes, and other machines on the same host, have taken so far.

    Interrupts are left out: on loopback they are the network's work for the servers themselves.
    """
    user, nice, system, _, _, _, _, steal = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    return (int(user) + int(nice) + int(system) + int(steal)) / TICKS_PER_S


def _with_children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    children = [int(child) for task in tasks for child in task.read_text(encoding="ascii").split()]
    return [pid, *(found for child in children for found in _with_children(child))]


def _cpu_s(pid: int) -> float:
    """Return utime + stime of a process, all its threads."""
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / TICKS_PER_S
