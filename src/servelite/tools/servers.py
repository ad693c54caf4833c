"""Servers that are put to the test: a `servelite run` of its own, watched through /proc and ended by process id; or one that runs here."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from urllib.parse import urlsplit

from servelite.core.errors import DefinitionError

HOST = "127.0.0.1"
READY_WITHIN_S = 300.0
POLL_S = 0.005
KILLED_WITHIN_S = 10.0


class Server:
    """A running server and the processes below it; what it prints is in two files, for what handlers print must not fill a pipe."""

    port = 0

    def __init__(self, process: asyncio.subprocess.Process, out: Path, log: Path) -> None:
        self.process = process
        self._out = out
        self._log = log

    async def wait_ready(self) -> None:
        """Wait until it says where it listens; DefinitionError, with what it says itself, where it ends before."""
        await until(lambda: self._is_listening() or self.process.returncode is not None, READY_WITHIN_S)
        if not self.port:
            raise DefinitionError(self._complaint() or f"The server did not start within {READY_WITHIN_S:g} s.")

    def _is_listening(self) -> bool:
        if found := re.search(rb"Serving .* on http://[^:]+:(\d+)", self._out.read_bytes()):
            self.port = int(found[1])
        return bool(self.port)

    def _complaint(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace").strip().removeprefix("servelite: ")

    def family(self) -> set[int]:
        """Return the processes that the gateway started, and those that they started."""
        return _descendants(self.process.pid)

    def workers(self) -> set[int]:
        """Return the worker processes."""
        return {pid for pid in self.family() if b"servelite.worker" in _read(pid, "cmdline")}

    def gateway_mib(self) -> float:
        """Return the gateway's resident memory."""
        return resident_mib(self.process.pid)

    def send_signal(self, number: signal.Signals) -> None:
        """Send the gateway a signal, if it is there; not by asyncio, which would reap an ended process unseen by its own watcher."""
        if self.process.returncode is None:
            send(number, self.process.pid)

    async def end(self) -> None:
        """Kill it and all below it, if they are still there, and wait until they are gone: nobody writes into `work` any more."""
        left = self.family()
        self.send_signal(signal.SIGKILL)
        await self.process.wait()
        await kill_all(left)


@contextlib.asynccontextmanager
async def serve(folder: Path, work: Path, config: Path | None = None) -> AsyncIterator[Server]:
    """Serve a folder on a free port, by the settings file that is named; ledger and log go to `work`, and nothing is left running.

    Raises:
        DefinitionError: the folder can't be served; the reason is the server's own.
    """
    out, log = work / "server.out", work / "server.log"
    command = [sys.executable, "-m", "servelite", "run", str(folder), "--port", "0", "--ledger", str(work / "ledger.db")]
    command += ["--config", str(config)] if config else []
    with out.open("wb") as stdout, log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            process_group=0,  # Ctrl-C is for this command, which then ends the server
        )
    server = Server(process, out, log)
    try:
        await server.wait_ready()
        yield server
    finally:
        await server.end()


def local_port(url: str, what: str) -> int:
    """Return the port of a server on this machine; DefinitionError for any other: nobody else's server is put under load by `what`."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or parts.hostname not in ("localhost", HOST):
        raise DefinitionError(
            f"{url} is not on this machine, and {what} puts load on nobody else's server. "
            "Run it beside the server, with for example --url http://127.0.0.1:8080."
        )
    return parts.port or 80


def resident_mib(pid: int) -> float:
    """Return a process's resident memory, 0 if it is gone."""
    found = re.search(rb"VmRSS:\s+(\d+) kB", _read(pid, "status"))
    return int(found[1]) / 1024 if found else 0.0


def are_running(pids: set[int]) -> set[int]:
    """Return those processes that run; one that only waits to be reaped does not."""
    return {pid for pid in pids if _read(pid, "stat").rpartition(b")")[2].split()[:1] not in ([], [b"Z"], [b"X"])}


def send(number: signal.Signals, pid: int) -> None:
    """Send a signal to a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


async def kill_all(pids: set[int]) -> None:
    """Kill processes that may be gone already, and wait until they are."""
    for pid in are_running(pids):
        send(signal.SIGKILL, pid)
    await until(lambda: not are_running(pids), KILLED_WITHIN_S)


async def until(condition: Callable[[], object], within_s: float) -> float | None:
    """Wait for a condition; return the seconds that took, None where it did not come true."""
    begun_s = time.monotonic()
    while not condition():
        if time.monotonic() - begun_s > within_s:
            return None
        await asyncio.sleep(POLL_S)
    return time.monotonic() - begun_s


def _descendants(pid: int) -> set[int]:
    tasks = Path(f"/proc/{pid}/task")
    try:
        children = {int(child) for task in tasks.iterdir() for child in (task / "children").read_text(encoding="ascii").split()}
    except OSError:  # it ended meanwhile
        return set()
    return children.union(*map(_descendants, children))


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
