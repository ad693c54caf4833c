"""Who races: each contestant with the settings that its documents recommend for two cores, as data."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from works import WORKS, Dialect

SERVERS = Path(__file__).parent / "servers"


class Kind(StrEnum):
    """What a contestant is to servelite."""

    OURS = "servelite"
    PEER = "serves models"
    BY_HAND = "written by hand"
    LIMIT = "limit"
    """Does less than the work; shown beside the others, in no ranking."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server program with one setting.

    command    what is started, after the Python of its environment; {port}, {folder}, {servers} and the setting are filled in
    setting    in words, "" where there is one only
    path       where it answers; {work} is filled in
    works      the works that it does
    """

    name: str
    kind: Kind
    command: tuple[str, ...]
    setting: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    path: str = "/work"
    dialect: Dialect = Dialect.PLAIN
    works: tuple[str, ...] = tuple(WORKS)
    venv: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} ({self.setting})" if self.setting else self.name

    @property
    def home(self) -> str:
        """The name of its environment below build/peers, and of its requirements."""
        return self.venv or self.name.lower().split()[0]

    @property
    def is_loop(self) -> bool:
        """Whether it is a loop in one process, not a server."""
        return any(part.endswith("alone.py") for part in self.command)


def contestants() -> list[Contestant]:
    """Return all of them, servelite first."""
    return [*_ours(), *_by_hand(), *_peers(), *_limits()]


def _ours() -> Iterator[Contestant]:
    command = ("-m", "servelite", "run", "{folder}", "--port", "{port}")
    yield Contestant("servelite", Kind.OURS, command, path="/functions/{work}", dialect=Dialect.OURS)


def _by_hand() -> Iterator[Contestant]:
    uvicorn = (
        "-m",
        "uvicorn",
        "with_fastapi:app",
        "--port",
        "{port}",
        "--workers",
        "{PROCESSES}",
        "--no-access-log",
        "--log-level",
        "warning",
    )
    yield from _variants("Starlette", Kind.BY_HAND, PROCESSES=[2], THREADS=[1])
    yield from _variants("Starlette", Kind.BY_HAND, works=("medium",), PROCESSES=[2], THREADS=[2])
    yield from _variants("FastAPI", Kind.BY_HAND, uvicorn, PROCESSES=[2], THREADS=[1])
    yield from _variants("FastAPI", Kind.BY_HAND, uvicorn, works=("echo", "tiny"), PROCESSES=[1], THREADS=[1])
    yield from _variants("FastAPI", Kind.BY_HAND, uvicorn, works=("medium",), PROCESSES=[1, 2], THREADS=[2], SYNC=[1])


def _peers() -> Iterator[Contestant]:
    small, medium = ("echo", "tiny"), ("medium",)
    yield from _variants("Mosec", Kind.PEER, works=small, PROCESSES=[1, 2], BATCH=[1])
    yield from _variants("Mosec", Kind.PEER, works=small, PROCESSES=[1, 2], BATCH=[64], WAIT_MS=[1])
    yield from _variants("Mosec", Kind.PEER, works=medium, PROCESSES=[1], BATCH=[1], THREADS=[2])
    yield from _variants("Mosec", Kind.PEER, works=medium, PROCESSES=[1], BATCH=[64], WAIT_MS=[1, 10], THREADS=[2])
    yield from _variants("Mosec", Kind.PEER, works=medium, PROCESSES=[2], BATCH=[32], WAIT_MS=[5], THREADS=[1])
    v2: dict[str, Any] = {"path": "/v2/models/work/infer", "dialect": Dialect.V2}
    yield from _variants("MLServer", Kind.PEER, works=small, PROCESSES=[0, 2], THREADS=[1], **v2)
    yield from _variants("MLServer", Kind.PEER, works=medium, PROCESSES=[0], THREADS=[2], **v2)
    yield from _variants("MLServer", Kind.PEER, works=("tiny", "medium"), PROCESSES=[0], BATCH=[64], WAIT_MS=[5], THREADS=[2], **v2)
    bento = ("-m", "bentoml", "serve", "with_bentoml:Work", "--working-dir", "{servers}", "--port", "{port}", "--host", "127.0.0.1")
    yield from _variants("BentoML", Kind.PEER, bento, works=small, PROCESSES=[1, 2], BATCH=[1])
    yield from _variants("BentoML", Kind.PEER, bento, works=small, dialect=Dialect.LIST, PROCESSES=[1], BATCH=[64])
    yield from _variants("BentoML", Kind.PEER, bento, works=medium, PROCESSES=[1], BATCH=[1], THREADS=[2])
    yield from _variants("BentoML", Kind.PEER, bento, works=medium, dialect=Dialect.LIST, PROCESSES=[1], BATCH=[64], THREADS=[2])
    yield from _variants("LitServe", Kind.PEER, works=small, PROCESSES=[1, 2], BATCH=[1])
    yield from _variants("LitServe", Kind.PEER, works=small, PROCESSES=[1], BATCH=[64], WAIT_MS=[1])
    yield from _variants("LitServe", Kind.PEER, works=medium, PROCESSES=[1], BATCH=[1], THREADS=[2])
    yield from _variants("LitServe", Kind.PEER, works=medium, PROCESSES=[1], BATCH=[64], WAIT_MS=[5], THREADS=[2])
    ray: dict[str, Any] = {"program": "ray", "RAY_SERVE_THROUGHPUT_OPTIMIZED": [1]}
    yield from _variants("Ray Serve", Kind.PEER, works=small, PROCESSES=[1, 2], BATCH=[1], **ray)
    yield from _variants("Ray Serve", Kind.PEER, works=medium, PROCESSES=[1], BATCH=[1], THREADS=[2], **ray)
    yield from _variants("Ray Serve", Kind.PEER, works=medium, PROCESSES=[1], BATCH=[64], WAIT_MS=[5], THREADS=[2], **ray)


def _limits() -> Iterator[Contestant]:
    yield Contestant("bare uvloop", Kind.LIMIT, (str(SERVERS / "bare.py"),), works=("echo",), venv="starlette")
    for threads in (1, 2):
        yield Contestant(
            "onnxruntime",
            Kind.LIMIT,
            (str(SERVERS / "alone.py"),),
            setting=_words({"THREADS": threads}),
            environment={"THREADS": str(threads)},
            works=("tiny", "medium"),
        )


def _variants(
    name: str,
    kind: Kind,
    command: tuple[str, ...] = (),
    program: str = "",
    path: str = "/work",
    dialect: Dialect = Dialect.PLAIN,
    works: tuple[str, ...] = tuple(WORKS),
    **settings: list[int],
) -> Iterator[Contestant]:
    """Make a contestant of each combination of settings, which its program finds in the environment."""
    command = command or (str(SERVERS / f"with_{program or name.lower()}.py"),)
    for values in itertools.product(*settings.values()):
        setting = dict(zip(settings, values, strict=True))
        environment = {key: str(value) for key, value in setting.items()}
        yield Contestant(name, kind, command, _words(setting), environment, path, dialect, works)


def _words(setting: Mapping[str, int]) -> str:
    """Say a setting in words."""
    return ", ".join(WORDS[name](value) for name, value in setting.items())


WORDS: Mapping[str, Callable[[int], str]] = {
    "PROCESSES": lambda n: "1 process" if n == 1 else f"{n} processes" if n else "in the server's process",
    "BATCH": lambda n: f"batch {n}" if n > 1 else "no batches",
    "WAIT_MS": lambda n: f"wait {n} ms",
    "THREADS": lambda n: "1 thread" if n == 1 else f"{n} threads",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": lambda n: "optimised for throughput" if n else "as it comes",
    "SYNC": lambda n: "in the thread pool" if n else "async",
}
