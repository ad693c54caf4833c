"""The emulator's process: started on two ports of loopback, asked for one event at a time, ended with all that it started.

Two invocations at once end it, it answers errors with 200, and what it reports of a start and of memory is wrong; so its log is read,
and the function's process is looked at.
"""

import contextlib
import http.client
import json
import math
import os
import random
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from servelite.core.errors import FunctionFailed, PayloadTooLarge, ServiceError, TimedOut
from servelite.tools.emulator.parts import Parts
from servelite.tools.emulator.rooms import Room

HOST = "127.0.0.1"

PORTS = range(20_000, 32_768)
"""The emulator takes none above."""

MOST_EVENT_BYTES = 6 * 1024 * 1024
"""What Lambda takes at once."""

LISTENS_WITHIN_S = 10.0
START_WITHIN_S = 60.0
"""Beyond the function's own time: its start is part of the first event here."""

POLL_S = 0.01

OWN_LINE = re.compile(rb"\d+ \w{3} \d{4} [\d:,]+ \[(?:INFO|WARNING|ERROR)\] \(rapid\)|START RequestId|END RequestId|REPORT RequestId")
"""Lines of the log that are the emulator's."""


@dataclass(frozen=True, slots=True)
class Report:
    """What one event took, as it was seen from outside; see Lambda's own REPORT line.

    init_ms      the start of the function's process, 0 where it ran already
    memory_mb    the largest memory of the process so far
    """

    duration_ms: float
    init_ms: float
    memory_mb: int

    @property
    def billed_ms(self) -> int:
        """What Lambda bills: begun milliseconds of both."""
        return math.ceil(self.duration_ms + self.init_ms)


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one event.

    answer   what the handler returned
    log      what the function wrote meanwhile, a line each
    metrics  what it wrote of each call, in the embedded metric format
    """

    answer: Any
    report: Report
    log: list[str]
    metrics: list[dict[str, Any]]

    @property
    def error(self) -> str:
        """The error's type and message where the handler raised, else ""."""
        fields = self.answer if isinstance(self.answer, dict) else {}
        is_error = {"errorType", "errorMessage"} <= fields.keys() <= {"errorType", "errorMessage", "requestId", "stackTrace"}
        return f"{fields['errorType']}: {fields['errorMessage']}" if is_error else ""


class Emulator:
    """A running emulator; one event at a time."""

    def __init__(self, process: "subprocess.Popen[bytes]", port: int, timeout_s: float, log: BinaryIO) -> None:
        self._process = process
        self._port = port
        self._timeout_s = timeout_s
        self._log = log
        self._turn = threading.Lock()

    def invoke(self, event: bytes) -> Told:
        """Give the function an event.

        Raises:
            PayloadTooLarge: it is larger than Lambda takes.
            TimedOut: the function took longer than it may.
            FunctionFailed: its process ended, or could not start.
        """
        if len(event) > MOST_EVENT_BYTES:
            raise PayloadTooLarge(f"The event has {len(event):,} bytes, and Lambda takes {MOST_EVENT_BYTES:,}.")
        with self._turn:
            answered = self._post(event)
            return self._told(answered, self._read_log(to_report=True))

    def _post(self, event: bytes) -> bytes:
        connection = http.client.HTTPConnection(HOST, self._port, timeout=self._timeout_s + START_WITHIN_S)
        try:
            connection.request("POST", "/2015-03-31/functions/function/invocations", event, {"Content-Type": "application/json"})
            return connection.getresponse().read()
        except (OSError, http.client.HTTPException) as error:
            log = b"\n".join(self._read_log(to_report=False)).decode("utf-8", "replace")
            raise FunctionFailed(f"The function's process ended under the event ({error!r}). Its log:\n{log[-2000:]}") from error
        finally:
            connection.close()

    def _told(self, answered: bytes, lines: list[bytes]) -> Told:
        own = [line for line in lines if OWN_LINE.match(line)]
        others = [line.decode("utf-8", "replace") for line in lines if not OWN_LINE.match(line)]
        metrics = [json.loads(line) for line in others if line.startswith('{"_aws"')]
        log = [line for line in others if not line.startswith('{"_aws"')]
        try:
            answer = json.loads(answered)
        except ValueError as error:
            text = answered.decode("utf-8", "replace").strip()
            if "timed out" in text:
                raise TimedOut(f"The function took longer than the {self._timeout_s:g} s that it may.") from error
            shown = "\n".join(log)[-2000:]
            raise FunctionFailed(f"The function's process answered nothing that is JSON: {text[:200]!r}. Its log:\n{shown}") from error
        report = Report(
            _figure(own, rb"INVOKE RTDONE\(.*duration: ([\d.]+)ms"), _figure(own, rb"INIT REPORT\(durationMs: ([\d.]+)"), self._peak_mb()
        )
        return Told(answer, report, log, metrics)

    def _read_log(self, *, to_report: bool) -> list[bytes]:
        """Return what the log has now; if so, wait a little for the line that ends an event's."""
        read, until_s = b"", time.monotonic() + 1
        while True:
            read += self._log.read()
            if not to_report or b"REPORT RequestId" in read or time.monotonic() > until_s or self._process.poll() is not None:
                return read.splitlines()
            time.sleep(POLL_S)

    def _peak_mb(self) -> int:
        """Return the largest memory so far of the function's process, which is the emulator's child."""
        peaks = [0]
        for child in _children(self._process.pid):
            with contextlib.suppress(OSError):
                if found := re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{child}/status").read_text(encoding="ascii")):
                    peaks.append(int(found[1]))
        return max(peaks) // 1024


@contextlib.contextmanager
def emulate(room: Room, parts: Parts, timeout_s: float) -> Iterator[Emulator]:
    """Run a function in the emulator; the function's process starts with the first event, and ends with the emulator.

    Raises:
        ServiceError: the emulator does not start.
    """
    with tempfile.TemporaryDirectory(prefix="servelite-emulator-") as work:
        log = Path(work) / "log"
        process, port = _start(room, parts, log)
        try:
            with log.open("rb") as written:
                yield Emulator(process, port, timeout_s, written)
        finally:
            started = _children(process.pid)
            for pid in (process.pid, *started):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def _start(room: Room, parts: Parts, log: Path) -> "tuple[subprocess.Popen[bytes], int]":
    port, other = _free_ports()
    addresses = ["--runtime-interface-emulator-address", f"{HOST}:{port}", "--runtime-api-address", f"{HOST}:{other}"]
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(parts.emulator), *addresses, *room.command],
            cwd=room.code,
            env=dict(room.variables),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            process_group=0,  # Ctrl-C is for this command, which then ends the emulator
        )
    until_s = time.monotonic() + LISTENS_WITHIN_S
    while not _listens(port):
        if process.poll() is not None or time.monotonic() > until_s:
            process.kill()
            process.wait()
            raise ServiceError(f"The emulator does not start: {log.read_text(encoding='utf-8', errors='replace')[-500:]}")
        time.sleep(POLL_S)
    return process, port


def _free_ports() -> tuple[int, int]:
    """Return two ports that are free, as far as can be told beforehand."""
    free = []
    for port in random.sample(PORTS, 100):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.bind((HOST, port))
            free.append(port)
        if len(free) == 2:
            return free[0], free[1]
    raise ServiceError("No two ports are free between 20000 and 32767.")


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _figure(lines: list[bytes], pattern: bytes) -> float:
    return next((float(found[1]) for line in lines if (found := re.search(pattern, line))), 0.0)


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        tasks = Path(f"/proc/{pid}/task").iterdir()
        return [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]
    return []
