"""What the tests of promises share: calls in threads, connections by hand, handlers that note their runs, memory and families."""

import contextlib
import http.client
import json
import re
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.server import Reply, Server, children, until

StartServer = Callable[..., Server]
Measured = Callable[..., None]

NOTING = '''
    import os
    import time
    from pathlib import Path

    from servelite import function

    HERE = Path(__file__).parent

    def note(text, file="runs"):
        """Write a line, whole, whoever else writes."""
        with (HERE / file).open("a", buffering=1) as notes:
            notes.write(f"{text}\\n")
'''
"""The head of a handler that notes what it does in files beside it; `noted` reads them."""


def noted(folder: Path, file: str = "runs") -> list[str]:
    """Return the lines that a handler wrote with `note`."""
    notes = folder / file
    return notes.read_text().splitlines() if notes.exists() else []


class Ask(threading.Thread):
    """A call in a thread of its own."""

    def __init__(self, server: Server, function: str, value: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(daemon=True)
        self._server, self._path, self._body = server, f"/functions/{function}", json.dumps(value).encode()
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self.took_s = 0.0
        self._reply: Reply | None = None
        self.start()

    def run(self) -> None:
        begun_s = time.monotonic()
        with contextlib.suppress(OSError, http.client.HTTPException):
            self._reply = self._server.request("POST", self._path, self._body, self._headers)
        self.took_s = time.monotonic() - begun_s

    def answer(self, within_s: float = 60) -> Reply:
        """Wait for the answer; fail where there is none."""
        self.join(within_s)
        assert self._reply is not None, "no answer"
        return self._reply


def ask_all(server: Server, function: str, values: Iterable[Any], headers: dict[str, str] | None = None) -> list[Ask]:
    """Make calls at the same time; see that all are under way with `wait_for_queue`."""
    return [Ask(server, function, value, headers) for value in values]


def cases(sentences: Mapping[str, str], quick: Iterable[str]) -> list[Any]:
    """Make parameters of names and what they mean, all slow but the quick ones."""
    return [pytest.param(name, id=sentence, marks=[] if name in quick else pytest.mark.slow) for name, sentence in sentences.items()]


def timed(server: Server, function: str, value: Any) -> tuple[Reply, float]:
    """Make a call, and return how long it took."""
    begun_s = time.monotonic()
    reply = server.call(function, value)
    return reply, time.monotonic() - begun_s


def unready(server: Server) -> dict[str, str]:
    """Return the functions that can't be called at the moment, with what is said of why."""
    reply = server.get("/readyz")
    told = reply.json()["unready"]
    assert reply.status == (503 if told else 200)
    return {name: str(why) for name, why in told.items()}


def queue_length(server: Server, function: str) -> int:
    """Return how many calls wait."""
    found = re.search(rf'^servelite_queue_length{{function="{function}"}} (\S+)$', server.get("/metrics").body.decode(), re.MULTILINE)
    return int(float(found[1])) if found else 0


def wait_for_queue(server: Server, function: str, length: int) -> None:
    """Wait until so many calls wait, and no others."""
    until(lambda: queue_length(server, function) == length)


def request(function: str, value: Any, *headers: str, length: int | None = None) -> bytes:
    """Write a request, of which more or less than its body may be announced."""
    body = json.dumps(value).encode()
    lines = [
        f"POST /functions/{function} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(body) if length is None else length}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


def leave(connection: socket.socket, how: str) -> None:
    """Hang up: by "RST" at once, whatever was not sent or read yet, or by "FIN" in good order."""
    if how == "RST":
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@contextlib.contextmanager
def watching(look: Callable[[], float]) -> Iterator[list[float]]:
    """Look at something all the time meanwhile, and keep what was seen."""
    seen: list[float] = []
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.02):
            seen.append(look())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        is_over.set()
        thread.join()


def family(pid: int) -> set[int]:
    """Return the processes that a process has started, and those that these have, and so on."""
    own = children(pid)
    return own.union(*map(family, own))


def resident_mib(pid: int) -> float:
    """Return the memory of a process; 0 where it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
    except (OSError, IndexError):
        return 0.0


def p99(values: Iterable[float]) -> float:
    """Return what 99 of 100 do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
