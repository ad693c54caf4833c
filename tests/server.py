"""A real `servelite run` in a process of its own, and a client that speaks to it over a socket."""

import contextlib
import http.client
import json
import os
import random
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

READY_WITHIN_S = 30

RECEIPT_KEYS = {"compute-us", "cpu-us", "queue-us", "batch", "cold", "billed-us"}


@dataclass(frozen=True)
class Reply:
    """What a server answered."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def receipt(self) -> dict[str, int | bool]:
        """The Servelite-Receipt header's values, read as strictly as RFC 9651 has it."""
        (header,) = self.headers.get_all("Servelite-Receipt") or [""]
        return parse_dictionary(header)


def parse_dictionary(header: str) -> dict[str, int | bool]:
    """Read an RFC 9651 dictionary of integers and booleans; ValueError for anything else."""
    members: dict[str, int | bool] = {}
    for member in re.split(r"[ \t]*,[ \t]*", header.strip(" ")):
        found = re.fullmatch(r"([a-z*][a-z0-9_.*-]*)=(?:\?([01])|(-?\d{1,15}))", member, re.ASCII)
        if not found or found[1] in members:
            raise ValueError(f"{member!r} is not a member of a dictionary: {header!r}")
        members[found[1]] = found[2] == "1" if found[2] else int(found[3])
    return members


def until(condition: Callable[[], Any], within_s: float = READY_WITHIN_S) -> Any:
    """Wait for a condition and return its value, or fail."""
    end = time.monotonic() + within_s
    while not (value := condition()):
        assert time.monotonic() < end, f"it did not come true within {within_s} s"
        time.sleep(0.005)
    return value


def read_reply(connection: socket.socket) -> Reply:
    """Read one whole response from a socket."""
    with http.client.HTTPResponse(connection) as response:
        response.begin()
        return Reply(response.status, response.headers, response.read())


def free_port() -> int:
    """Return a port that nobody listens on, of those that the system gives to no connection: it stays free while its server is away."""
    while True:
        port = random.randrange(15_000, 30_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def is_running(pid: int) -> bool:
    """Tell whether a process runs; one that only waits to be reaped does not."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])


def children(pid: int) -> set[int]:
    """Return the processes that a process has started."""
    every = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    return {one for one in every if _stat(one)[1:2] == [str(pid)] and is_running(one)}


def command_of(pid: int) -> list[str]:
    """Return the command line of a process; nothing if there is none, or no more."""
    return _read_of(pid, "cmdline").split("\0")


def _stat(pid: int) -> list[str]:
    """Return state, parent and so on of a process; nothing if there is none."""
    return _read_of(pid, "stat").rpartition(")")[2].split()


def _read_of(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text(errors="surrogateescape")
    except (FileNotFoundError, ProcessLookupError):  # it may end while it is read
        return ""


class InOnePiece(http.client.HTTPConnection):
    """Sends head and body together, as most clients do; `http.client` sends them one after the other."""

    def request(self, *arguments: Any, **options: Any) -> None:
        self._held: list[bytes] | None = []
        super().request(*arguments, **options)
        whole, self._held = b"".join(self._held), None
        super().send(whole)

    def send(self, data: Any) -> None:
        if self._held is None:
            super().send(data)
        else:
            self._held.append(bytes(data))


class Server:
    """Started at once; `wait_ready` returns when it answers.

    sends_whole  whether requests are sent in one piece: then their calls need no task of their own in the gateway
    """

    sends_whole = True

    def __init__(self, *arguments: str | Path, cwd: Path) -> None:
        command = [sys.executable, "-m", "servelite", "run", "--port", "0", *map(str, arguments)]
        self.cwd = cwd
        self._log = cwd / f"server-{time.monotonic_ns()}.txt"
        with self._log.open("w") as log:
            self.process = subprocess.Popen(
                command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True, process_group=0
            )

    def wait_ready(self) -> Self:
        assert self.process.stdout is not None
        said, _, _ = select.select([self.process.stdout], [], [], READY_WITHIN_S)
        line = self.process.stdout.readline() if said else "nothing"
        found = re.search(r"http://[^:]+:(\d+)", line)
        assert found, f"the server did not start: {line!r} {self.errors()}"
        self.port = int(found[1])
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def troubles(self) -> list[str]:
        """Return the lines of its log that tell of more than the daily round, and those that are no log lines."""
        return [line for line in self.errors().splitlines() if not line.startswith("{") or json.loads(line)["level"] != "info"]

    def errors(self) -> str:
        """Return what the server has written to stderr."""
        return self._log.read_text()

    def workers(self) -> set[int]:
        """Return the process ids of its workers."""
        return {pid for pid in children(self.process.pid) if "servelite.worker" in command_of(pid)}

    def workers_of(self, function: str) -> set[int]:
        """Return the process ids of the workers of one function."""
        return {pid for pid in self.workers() if any(part.endswith(f"/{function}") for part in command_of(pid))}

    def keepers(self) -> set[int]:
        """Return the process ids of its ledger's keepers."""
        return {pid for pid in children(self.process.pid) if "servelite.stores.keeper" in command_of(pid)}

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=READY_WITHIN_S)

    def socket(self) -> socket.socket:
        """Return a connection for those who write HTTP by hand."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=READY_WITHIN_S)

    def request(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
        connection = (InOnePiece if self.sends_whole else http.client.HTTPConnection)("127.0.0.1", self.port, timeout=READY_WITHIN_S)
        try:
            connection.connect()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # refused before it was all sent; the answer says why
                connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> Reply:
        return self.request("GET", path)

    def call(self, function: str, value: Any) -> Reply:
        """POST a value as JSON."""
        return self.post(function, json.dumps(value).encode())

    def post(self, function: str, body: bytes, media_type: str = "application/json") -> Reply:
        return self.request("POST", f"/functions/{function}", body, {"Content-Type": media_type})

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the gateway for a moment: what its workers suffer meanwhile, it sees all at once."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            until(lambda: _stat(self.process.pid)[:1] == ["T"])
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=READY_WITHIN_S)

    def kill(self) -> None:
        """End it and its workers, however they are; a worker that it left behind holds its stdout, so nobody waits for that."""
        workers = self.workers()
        self.process.kill()
        self.process.wait()
        for pid in workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert self.process.stdout is not None
        self.process.stdout.close()
