"""One stint: a contestant is started, waited for, asked, loaded, measured and ended, while no other runs."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from contestants import SERVERS, Contestant, Kind
from load import Load, send_load
from results import LoadResult, StintResult
from servers import TICKS_PER_S, free_port, machine_busy_s, post, pss_mib
from works import Work, is_right

ROOT = Path(__file__).parents[2]
MARK = "RACE_STINT"
"""An environment variable that all processes of a stint inherit, by which they are found, whoever started them."""

READY_S, STOP_S = 90.0, 15.0
POLL_S = 0.01
WARM_UP_S = 1.0
SETTLE_S, SETTLE_LOOKS = 0.1, 5
SETTLED_CORES = 0.1
QUIET_S, QUIET_CORES = 0.5, 0.2


class DidNotRun(Exception):
    """A contestant did not start, or gave no answer; says why."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How to measure: clients of each load, its seconds, where environments are, where stints may write, how long to wait for quiet."""

    clients: Sequence[int]
    seconds: float
    venvs: Path
    work: Path
    patience_s: float = 0


def run_stint(contestant: Contestant, work: Work, round_: int, plan: Plan) -> StintResult:
    """Measure a contestant at one work; where it does not run, the result says why."""
    result = StintResult(contestant.name, contestant.setting, str(contestant.kind), work.name, round_)
    _wait_for_quiet(plan.patience_s)
    try:
        if contestant.is_loop:
            return _loop(contestant, work, plan, result)
        return _race(contestant, work, plan, result)
    except (DidNotRun, OSError, RuntimeError, subprocess.SubprocessError) as error:
        return result.but(error=str(error) or type(error).__name__)


def _wait_for_quiet(patience_s: float) -> None:
    """Return when others leave the machine alone, or when patience ends."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        before_s = machine_busy_s()
        time.sleep(QUIET_S)
        if machine_busy_s() - before_s < QUIET_S * QUIET_CORES:
            return


def _race(contestant: Contestant, work: Work, plan: Plan, result: StintResult) -> StintResult:
    pairs = list(_expected(work))
    bodies = [contestant.dialect.pack(work, given) for given, _ in pairs]
    body = plan.work / "body.json"
    body.write_bytes(bodies[0])
    with _started(contestant, work, plan) as server:
        first_200_ms = server.wait(bodies[0])
        checks = 0 if contestant.kind is Kind.LIMIT else len(pairs)
        wrong = server.wrong(contestant, work, bodies[:checks], pairs)
        loads = []
        for clients in plan.clients:
            loads.append(_load(server, body, clients, plan.seconds))
            wrong += server.wrong(contestant, work, bodies[:checks], pairs)
        return result.but(first_200_ms=first_200_ms, pss_mib=server.pss_mib(), wrong=wrong, loads=tuple(loads))


def _expected(work: Work) -> Iterator[tuple[Any, Any]]:
    """Yield the inputs of a work's examples, each with what onnxruntime gives for it in this process."""
    lines = (work.folder / "examples.jsonl").read_text(encoding="utf-8").splitlines()
    inputs = [json.loads(line)["input"] for line in lines]
    if not work.field:
        yield from zip(inputs, inputs, strict=True)
        return
    session = onnxruntime.InferenceSession(work.model)
    for given in inputs:
        (answer,) = session.run(None, {work.field: np.array([given[work.field]], dtype=np.float32)})
        yield given, answer[0].tolist()


@dataclass(frozen=True, slots=True)
class _Server:
    process: subprocess.Popen[bytes]
    mark: str
    port: int
    path: str
    log: Path
    began_s: float

    def wait(self, body: bytes) -> float:
        """Ask until the answer is 200; return how long that took from the start of the process, ms."""
        last = "nothing"
        while time.monotonic() < self.began_s + READY_S and self.process.poll() is None:
            with suppress(OSError):
                status, answer = post(self.port, self.path, body)
                if status == 200:
                    return (time.monotonic() - self.began_s) * 1000
                last = f"{status} {answer[:200]!r}"
            time.sleep(POLL_S)
        ended = self.process.poll()
        why = f"ended with {ended}" if ended is not None else f"was not ready in {READY_S:g} s"
        raise DidNotRun(f"It {why}; the last answer was {last}. It said: {self.log.read_text(errors='replace')[-300:].strip()}")

    def wrong(self, contestant: Contestant, work: Work, bodies: Sequence[bytes], pairs: Sequence[tuple[Any, Any]]) -> int:
        """Count the answers that are not what onnxruntime gives."""
        return sum(not self._is_right(contestant, work, body, pair[1]) for body, pair in zip(bodies, pairs, strict=False))

    def _is_right(self, contestant: Contestant, work: Work, body: bytes, expected: Any) -> bool:
        try:
            status, answer = post(self.port, self.path, body)
            return status == 200 and is_right(expected, contestant.dialect.unpack(work, answer))
        except (OSError, ValueError, KeyError, TypeError, IndexError):  # whatever keeps it from being an answer
            return False

    def pss_mib(self) -> float:
        """Return the memory of all its processes."""
        total = 0.0
        for pid in family(self.mark):
            with suppress(OSError):  # it has ended meanwhile
                total += pss_mib(pid)
        return total

    def cpu_s(self) -> float:
        """Return the CPU time of all its processes, and of those that they have waited for."""
        return sum(cpu_s(pid) for pid in family(self.mark))

    def cpu_when_done_s(self) -> float:
        """Return its CPU time once it has hardly anything left to do: rows may still be on their way into a ledger."""
        now = self.cpu_s()
        for _ in range(SETTLE_LOOKS):
            time.sleep(SETTLE_S)
            before, now = now, self.cpu_s()
            if now - before < SETTLE_S * SETTLED_CORES:
                break
        return now


def _load(server: _Server, body: Path, clients: int, seconds: float) -> LoadResult:
    url = f"http://127.0.0.1:{server.port}{server.path}"
    send_load(url, body, clients, WARM_UP_S)
    cpu_s, wrk_s, busy_s, began_s = server.cpu_when_done_s(), _children_s(), machine_busy_s(), time.monotonic()
    load = send_load(url, body, clients, seconds)
    elapsed_s, wrk_s = time.monotonic() - began_s, _children_s() - wrk_s
    others_s = machine_busy_s() - busy_s - wrk_s - (server.cpu_s() - cpu_s)
    cpu_us = (server.cpu_when_done_s() - cpu_s) * 1e6 / max(1, load.requests)
    return _result(load, clients, cpu_us, wrk_s / elapsed_s, max(0.0, others_s / elapsed_s))


def _result(load: Load, clients: int, cpu_us: float, generator_cores: float, other_cores: float) -> LoadResult:
    return LoadResult(clients, load.per_s, load.p50_us, load.p99_us, load.failed, load.requests, cpu_us, generator_cores, other_cores)


def _loop(contestant: Contestant, work: Work, plan: Plan, result: StintResult) -> StintResult:
    """Measure a loop without a server: its batches are as large as there are clients elsewhere."""
    body = plan.work / "body.json"
    body.write_bytes(contestant.dialect.pack(work, next(_expected(work))[0]))
    loads = []
    for clients in plan.clients:
        command = [*_command(contestant, work, plan, 0), str(clients), str(plan.seconds), str(body)]
        before_s = _children_s()
        told = subprocess.run(
            command, env=_environment(contestant, work, 0, ""), check=True, capture_output=True, text=True, timeout=READY_S
        )
        load = Load(**json.loads(told.stdout.splitlines()[-1]))
        loads.append(_result(load, clients, (_children_s() - before_s) * 1e6 / load.requests, 0.0, 0.0))
    return result.but(loads=tuple(loads))


@contextmanager
def _started(contestant: Contestant, work: Work, plan: Plan) -> Iterator[_Server]:
    """Start a contestant in a folder of its own; end it, and whatever it left behind, with the block."""
    port, mark = free_port(), uuid.uuid4().hex
    folder = plan.work / mark
    folder.mkdir()
    log = folder / "log.txt"
    with log.open("wb") as file:
        command, environment = _command(contestant, work, plan, port), _environment(contestant, work, port, mark)
        began_s = time.monotonic()
        process = subprocess.Popen(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield _Server(process, mark, port, contestant.path.format(work=work.name), log, began_s)
    finally:
        _end(process, mark)


def _command(contestant: Contestant, work: Work, plan: Plan, port: int) -> list[str]:
    python = plan.venvs / contestant.home / "bin" / "python"
    if not python.exists():
        raise DidNotRun(f"It is not installed: there is no {python}. Run `make peers`.")
    known = {"port": port, "folder": work.folder, "servers": SERVERS, **contestant.environment}
    return [str(python), *(part.format(**known) for part in contestant.command)]


def _environment(contestant: Contestant, work: Work, port: int, mark: str) -> dict[str, str]:
    """Return what a contestant finds in its environment; servelite runs from this checkout, wherever its packages are."""
    path = ROOT / "src" if contestant.kind is Kind.OURS else SERVERS
    told = {"WORK": work.name, "MODEL": work.model, "PORT": str(port), "PYTHONPATH": str(path), MARK: mark}
    ports = {name: str(free_port()) for name in ("GRPC_PORT", "METRICS_PORT")}
    quiet = {"BENTOML_DO_NOT_TRACK": "true", "RAY_USAGE_STATS_ENABLED": "0", "PYTHONWARNINGS": "ignore"}
    return {**os.environ, **quiet, **ports, **told, **contestant.environment}


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S)
    while left := family(mark):
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
        process.poll()
        time.sleep(POLL_S)
    process.wait()


def family(mark: str) -> list[int]:
    """Return the processes that have a stint's mark in their environment."""
    wanted, found = f"{MARK}={mark}".encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):  # it has ended meanwhile, or is somebody else's
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process, and of its children that have ended; 0 where it has ended itself."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, stat[11:15])) / TICKS_PER_S


def _children_s() -> float:
    """Return the CPU time of the processes that this one has waited for: wrk, or a loop."""
    times = os.times()
    return times.children_user + times.children_system
