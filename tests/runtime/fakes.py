"""Parts that honour the ports of the runtime and do what a test tells them."""

import asyncio
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from servelite.core.accounts import Allowance
from servelite.core.call import BatchReply, Call, Outcome, Question, Told, shares
from servelite.core.errors import FunctionError, LedgerUnavailable, ServeliteError
from servelite.core.function import JSON, Description, Limits
from servelite.core.ports import Kept, Row, Usage
from servelite.core.tariff import Tariff
from servelite.runtime.accounts import Accounts
from servelite.runtime.machine import Cores, Machine, Memory
from servelite.runtime.metering import Meter
from servelite.runtime.quotas import Quotas

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


def described(name: str = "f", *, takes_context: bool = False, **limits: Any) -> Description:
    return Description(name, "", Limits(**limits), (JSON,), JSON, {}, {}, takes_context=takes_context)


@dataclass
class Clock:
    """A clock that stands still until it is told to go on, and notices who asks it for ever."""

    us: int = 1_000_000
    asked: int = 0

    def __call__(self) -> int:
        self.asked += 1
        assert self.asked < 100_000, "somebody goes round in circles"
        return self.us


def advance_timers(seconds: float) -> None:
    """Set the event loop's own clock forward, so that what is due in so many seconds is due now."""
    loop = asyncio.get_running_loop()
    before = loop.time
    loop.time = lambda: before() + seconds


@dataclass
class MemoryLedger:
    """The `Ledger` port on a list; `is_full` makes it refuse."""

    rows: list[Row] = field(default_factory=list)
    is_full: bool = False
    is_closed: bool = False

    kept: list[Kept] = field(default_factory=list)

    def record(self, rows: Sequence[Row], kept: Sequence[Kept] = ()) -> None:
        if self.is_full:
            raise LedgerUnavailable("The disk is full.")
        self.rows += rows
        self.kept += kept

    def usage(self, by: Sequence[str], since_us: int, until_us: int, account: str | None = None) -> dict[str, list[Usage]]:
        raise NotImplementedError

    def family(self, call: str) -> list[Row]:
        raise NotImplementedError

    def close(self) -> None:
        self.is_closed = True


@dataclass
class Workshop:
    """Makes workers, and keeps what all of them were given.

    start_us     what a start takes on the clock
    run_us       what a run takes on the clock
    compute_us   what a run is said to have taken, and one more for each of its calls
    memory_kib   of each worker that is not given some of its own
    batches      the calls of every run
    answer       what comes of a call
    kills        bodies at which a worker dies, and with which error
    start_fails  errors of the next starts
    door         whether a run may end; see `FakeWorker.finish` for one alone
    start_door   whether a start may end
    stop_door    whether a worker that was told to stop may end
    """

    description: Description
    clock: Clock = field(default_factory=Clock)
    start_us: int = 0
    run_us: int = 0
    compute_us: int = 1000
    memory_kib: int = 1000
    batches: list[list[Call]] = field(default_factory=list)
    answer: Callable[[Call], Outcome] = lambda call: Outcome(call.body.upper())
    kills: dict[bytes, ServeliteError] = field(default_factory=dict)
    start_fails: list[ServeliteError] = field(default_factory=list)
    workers: list["FakeWorker"] = field(default_factory=list)
    door: asyncio.Event = field(default_factory=asyncio.Event)
    start_door: asyncio.Event = field(default_factory=asyncio.Event)
    stop_door: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.door.set()
        self.start_door.set()
        self.stop_door.set()

    def new_worker(self, threads: int = 1) -> "FakeWorker":
        self.workers.append(FakeWorker(self, threads))
        return self.workers[-1]

    @property
    def bodies(self) -> list[list[bytes]]:
        return [[call.body for call in batch] for batch in self.batches]


@dataclass(eq=False)
class FakeWorker:
    """The `Worker` port without a process: a call's answer is its body in capitals, where nothing else is said.

    own_kib  its memory, where it is not the workshop's; `shared_kib` of it does not count where it is measured exactly
    bodies   what it was given, run by run
    told     answers to what it asked
    """

    workshop: Workshop
    threads: int = 1
    own_kib: int | None = None
    shared_kib: int = 0
    bodies: list[list[bytes]] = field(default_factory=list)
    is_started: bool = False
    is_stopped: bool = False
    is_alive: bool = True
    pid: int = 7
    on_end: Callable[[], None] = lambda: None
    on_ask: Callable[[Question], None] = lambda _: None
    told: list[Told] = field(default_factory=list)
    _verdict: ServeliteError | None = None
    _killed: asyncio.Event = field(default_factory=asyncio.Event)
    _finished: asyncio.Event = field(default_factory=asyncio.Event)

    async def start(self) -> Description:
        self.is_started = True
        await self._until_any(self.workshop.start_door)
        if self.workshop.start_fails:
            raise self.workshop.start_fails.pop(0)
        self.workshop.clock.us += self.workshop.start_us
        return self.workshop.description

    async def run(self, calls: Sequence[Call]) -> BatchReply:
        self.workshop.batches.append(list(calls))
        self.bodies.append([call.body for call in calls])
        await self._until_any(self.workshop.door, self._finished)
        self._finished.clear()
        self.workshop.clock.us += self.workshop.run_us
        for call in calls:
            if call.body in self.workshop.kills:
                error = self.workshop.kills[call.body]
                self.is_alive = not isinstance(error, FunctionError)
                raise error
        times_us = shares(self.workshop.compute_us + len(calls), len(calls))
        outcomes = [self.workshop.answer(call)._replace(compute_us=us) for call, us in zip(calls, times_us, strict=True)]
        return BatchReply(outcomes, 500, max(2048, self.memory_kib(1 << 62)))

    def tell(self, told: Told) -> None:
        self.told.append(told)

    def finish(self) -> None:
        """Let the run that is under way end, though the door is closed."""
        self._finished.set()

    def memory_kib(self, suspicious_kib: int) -> int:
        kib = self.workshop.memory_kib if self.own_kib is None else self.own_kib
        return kib if kib <= suspicious_kib else kib - self.shared_kib

    def kill(self, error: ServeliteError) -> None:
        self._verdict = self._verdict or error
        self.is_alive = False
        self._killed.set()
        self.on_end()

    def crash(self) -> None:
        """End by itself, while it has nothing to do."""
        self.is_alive = False
        self.on_end()

    async def stop(self) -> None:
        self.is_alive = False
        await self.workshop.stop_door.wait()
        self.is_stopped = True

    async def _until_any(self, *events: asyncio.Event) -> None:
        waits = [asyncio.ensure_future(event.wait()) for event in (*events, self._killed)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self._verdict:
            raise self._verdict


def a_machine(cores: int = 1, budget_kib: int = 1 << 40) -> Machine:
    return Machine(Cores(cores), Memory(budget_kib, []))


def some_accounts(now_us: Callable[[], int], tariff: Tariff | None = None, **allowances: Allowance) -> Accounts:
    """Return accounts without a ledger behind them; those that are not named have no limit."""
    return Accounts("gate", Quotas(tariff or Tariff(), allowances, Allowance(), now_us), now_us)


def a_meter(ledger: MemoryLedger, now_us: Callable[[], int], accounts: Accounts | None = None) -> Meter:
    return Meter(ledger, accounts or some_accounts(now_us), "gate", now_us)
