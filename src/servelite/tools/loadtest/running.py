"""Runs Locust in a process of its own, headless, and reads the book that it keeps; its way of waiting never comes into this process."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources, util
from pathlib import Path

from servelite.core.errors import DefinitionError, ServiceError
from servelite.tools.loadtest.book import Book
from servelite.tools.servers import HOST

LOOK_S = 1.0

STARTS_WITHIN_S, STOPS_WITHIN_S = 90.0, 30.0
"""What a run may take beyond its time: to start and to learn; and to wait for calls that are under way."""

OPEN_USERS = 10
"""Users of each process that call at a rate; each has many calls under way, if it must."""

STOP_TIMEOUT_S = 10

TOLD_LINES = 5


@dataclass(frozen=True, slots=True)
class Run:
    """A load.

    users, spawn_rate  callers that each call again when they are answered, and how many start a second
    rps     calls a second instead, whatever the server does; 0 for none
    mix     how often each function is called, relative to the others; empty for all alike
    """

    time_s: int
    users: int = 1
    spawn_rate: float = 100.0
    shape: str = "steady"
    rps: float = 0.0
    processes: int = 1
    sizes: str = "examples"
    mix: tuple[tuple[str, float], ...] = ()


def require_locust() -> None:
    """Raise DefinitionError, with the cure, where Locust is not installed."""
    if util.find_spec("locust") is None:
        raise DefinitionError("Load tests are made with Locust, which is not installed: pip install 'servelite[loadtest]'")


def command(run: Run, url: str, book: Path) -> list[str]:
    """Return the command line of a run that keeps its book in a file."""
    users = OPEN_USERS * run.processes if run.rps else run.users
    spawn_rate = users if run.rps else run.spawn_rate
    locustfile = resources.files("servelite.tools.loadtest.swarm").joinpath("locustfile.py")
    what = ["-f", str(locustfile), "--host", url, "--headless", "--only-summary", "--loglevel", "WARNING", "--exit-code-on-error", "0"]
    load = ["--users", f"{users}", "--spawn-rate", f"{spawn_rate:g}", "--run-time", f"{run.time_s}s", "--stop-timeout", f"{STOP_TIMEOUT_S}"]
    ours = ["--shape", run.shape, "--rate", f"{run.rps / users if run.rps else 0:g}", "--sizes", run.sizes, "--book", str(book)]
    mix = ["--mix", ",".join(f"{name}={weight:g}" for name, weight in run.mix)] if run.mix else []
    return [sys.executable, "-m", "locust", *what, *load, *ours, *mix, *_parallel(run.processes)]


def _parallel(processes: int) -> list[str]:
    if processes == 1:
        return []
    with socket.create_server((HOST, 0)) as free:
        port = str(free.getsockname()[1])
    places = ["--master-bind-host", HOST, "--master-host", HOST, "--master-bind-port", port, "--master-port", port]
    return ["--processes", str(processes), *places]


async def load(run: Run, url: str, work: Path, tell: Callable[[str, Book], None]) -> Book:
    """Make a load, and return what was seen; `tell` hears each second how it goes. Nothing is left running.

    Raises:
        ServiceError: Locust ended before its time, or did not end; with its own words.
    """
    file, log = work / f"book-{time.monotonic_ns()}.json", work / "locust.log"
    within_s = run.time_s + (0 if run.rps else run.users / run.spawn_rate) + STARTS_WITHIN_S + STOPS_WITHIN_S
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command(run, url, file),
            cwd=work,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,  # Ctrl-C is for this command, which then ends Locust
        )
    try:
        async with asyncio.timeout(within_s):
            while process.returncode is None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), LOOK_S)
                if (book := _read(file)) is not None:
                    tell(_progress(run, book), book)
    except TimeoutError as error:
        raise ServiceError(f"Locust did not end within {within_s:.0f} s. {_last_words(log)}") from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    book = _read(file)
    if process.returncode or book is None:
        raise ServiceError(f"Locust ended with {process.returncode}. {_last_words(log)}")
    return book


def _read(file: Path) -> Book | None:
    try:
        return Book.from_dict(json.loads(file.read_bytes()))
    except FileNotFoundError:
        return None


def _progress(run: Run, book: Book) -> str:
    good = sum(one.good for one in book.functions.values())
    failed = sum(one.failed for one in book.functions.values())
    rps = good / book.took_s if book.took_s > 0 else 0.0
    return f"{min(book.took_s, run.time_s):.0f} of {run.time_s} s, {good:,} answers, {rps:,.0f}/s, {failed:,} errors"


def _last_words(log: Path) -> str:
    """Return what Locust complained of last, or else what it said last."""
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    complaints = [line.partition("/ERROR/")[2].partition(": ")[2] for line in lines if "/ERROR/" in line]
    words = [line for line in complaints or lines if line.strip()][-TOLD_LINES:]
    return f"Its last words: {' | '.join(words)}" if words else "It said nothing."
