"""Parts that honour the ports of the runtime and do what a test tells them."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from servelite.core.call import BatchReply, Call, Outcome
from servelite.core.errors import FunctionError, LedgerUnavailable, ServeliteError
from servelite.core.function import JSON, Description, Limits
from servelite.core.ports import Row, Usage
from servelite.runtime.machine import Cores, Machine, Memory

TURNS = 1000


async def until(condition: Callable[[], bool], turns: int | None = TURNS) -> None:
    """Let the event loop turn until a condition holds, for at most so many turns."""
    for _ in itertools.count() if turns is None else range(turns):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition did not come true")


async def settle() -> None:
    """Let the event loop turn until nothing that was begun can still be under way."""
    for _ in range(50):
        await asyncio.sleep(0)


def described(name: str = "f", **limits: Any) -> Description:
    return Description(name, "", Limits(**limits), (JSON,), JSON, {}, {})


@dataclass
class Clock:
    """A clock that stands still until it is told to go on."""

    us: int = 1_000_000

    def __call__(self) -> int:
        return self.us


@dataclass
class MemoryLedger:
    """The `Ledger` port on a list; `is_full` makes it refuse."""

    rows: list[Row] = field(default_factory=list)
    is_full: bool = False
    is_closed: bool = False

    def record(self, rows: Sequence[Row]) -> None:
        if self.is_full:
            raise LedgerUnavailable("The disk is full.")
        self.rows += rows

    def usage(self, by: str, since_us: int, until_us: int) -> list[Usage]:
        raise NotImplementedError

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Workshop:
    """Makes workers, and keeps what all of them were given.

    batches    the calls of every run
    kills      bodies at which a worker dies, and with which error
    start_fails  errors of the next starts
    is_open    whether a run may end; see `close_door`
    """

    description: Description
    clock: Clock = field(default_factory=Clock)
    run_us: int = 0
    memory_kib: int = 1000
    batches: list[list[Call]] = field(default_factory=list)
    kills: dict[bytes, ServeliteError] = field(default_factory=dict)
    start_fails: list[ServeliteError] = field(default_factory=list)
    workers: list["FakeWorker"] = field(default_factory=list)
    door: asyncio.Event = field(default_factory=asyncio.Event)
    start_door: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.door.set()
        self.start_door.set()

    def new_worker(self, threads: int = 1) -> "FakeWorker":
        self.workers.append(FakeWorker(self))
        return self.workers[-1]

    @property
    def bodies(self) -> list[list[bytes]]:
        return [[call.body for call in batch] for batch in self.batches]


@dataclass
class FakeWorker:
    """The `Worker` port without a process: a call's answer is its body in capitals."""

    workshop: Workshop
    killed_with: asyncio.Future[ServeliteError] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    is_stopped: bool = False
    is_alive: bool = True
    pid: int = 7
    on_end: Callable[[], None] = lambda: None

    async def start(self) -> Description:
        await self.workshop.start_door.wait()
        if self.workshop.start_fails:
            raise self.workshop.start_fails.pop(0)
        return self.workshop.description

    async def run(self, calls: Sequence[Call]) -> BatchReply:
        self.workshop.batches.append(list(calls))
        door = asyncio.ensure_future(self.workshop.door.wait())
        await asyncio.wait({door, self.killed_with}, return_when=asyncio.FIRST_COMPLETED)
        if self.killed_with.done():
            door.cancel()
            raise self.killed_with.result()
        self.workshop.clock.us += self.workshop.run_us
        for call in calls:
            if call.body in self.workshop.kills:
                error = self.workshop.kills[call.body]
                self.is_alive = not isinstance(error, FunctionError)
                raise error
        return BatchReply([Outcome(call.body.upper()) for call in calls], 1000 + len(calls), 500, 2048)

    def memory_kib(self, suspicious_kib: int) -> int:
        return self.workshop.memory_kib

    def kill(self, error: ServeliteError) -> None:
        self.is_alive = False
        if not self.killed_with.done():
            self.killed_with.set_result(error)
        self.on_end()

    async def stop(self) -> None:
        self.is_stopped = True


def a_machine(cores: int = 1, budget_kib: int = 1 << 40) -> Machine:
    return Machine(Cores(cores), Memory(budget_kib))
