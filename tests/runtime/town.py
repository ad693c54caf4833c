"""A town: functions on fake workers whose handlers call each other, behind a real engine."""

import asyncio
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from servelite.core.accounts import Allowance
from servelite.core.call import Answer, BatchReply, Call, Outcome, Question, Told, shares
from servelite.core.errors import ServeliteError
from servelite.core.function import JSON
from servelite.core.tariff import Tariff
from servelite.runtime.engine import Engine
from servelite.runtime.ids import Ids
from servelite.runtime.machine import Cores, Machine, Memory
from servelite.runtime.pool import Pool
from tests.runtime.fakes import Clock, FakeWorker, MemoryLedger, Workshop, a_meter, described, some_accounts

Errand = Sequence[Any]
"""What a call is about: errands of other functions, `[["g", []], ["h", [["g", []]]]]`, run one after the other."""


class Townsman(FakeWorker):
    """A worker whose handler runs the errands that its calls are about; a call's answer is how many errands were run for it."""

    async def run(self, calls: Sequence[Call]) -> BatchReply:
        self.workshop.batches.append(list(calls))
        self._answers: dict[int, asyncio.Future[Told]] = {}
        outcomes = []
        for call in calls:
            await self._until_any(self.workshop.door, self._finished)
            self.workshop.clock.us += self.workshop.run_us
            outcomes.append(await self._outcome(call))
        times_us = shares(self.workshop.compute_us, len(calls))
        return BatchReply([one._replace(compute_us=us) for one, us in zip(outcomes, times_us, strict=True)], 500, 2048)

    async def _outcome(self, call: Call) -> Outcome:
        done = 1
        for function, errands in json.loads(call.body or b"[]"):
            told = await self.ask(call.id, function, errands)
            if told.outcome.error:
                return Outcome(error=told.outcome.error)
            done += json.loads(told.outcome.body)
        return Outcome(str(done).encode())

    async def ask(self, parent: str, function: str, errands: Errand) -> Told:
        number = next(NUMBERS)
        self._answers[number] = asyncio.get_running_loop().create_future()
        self.on_ask(Question(number, parent, function, JSON, json.dumps(errands).encode()))
        is_told, is_killed = self._answers[number], asyncio.ensure_future(self._killed.wait())
        await asyncio.wait([is_told, is_killed], return_when=asyncio.FIRST_COMPLETED)
        is_killed.cancel()
        if self._verdict:
            raise self._verdict
        return is_told.result()

    def tell(self, told: Told) -> None:
        super().tell(told)
        if not self._answers[told.number].done():
            self._answers[told.number].set_result(told)


NUMBERS = itertools.count()


class TownHall(Workshop):
    """The workshop of a function of the town."""

    def new_worker(self, threads: int = 1) -> Townsman:
        self.workers.append(Townsman(self, threads))
        return self.workers[-1]


WORKER_KIB = 64 * 1024
"""What each worker takes: as much as one is taken to need before one was seen."""


ALONE = {"max_workers": 1}


class Town:
    """An engine of functions, by name with their limits, which call each other if they take a context; `room_for` so many workers."""

    def __init__(
        self,
        functions: Mapping[str, Mapping[str, Any]],
        cores: int = 1,
        room_for: int = 1 << 20,
        tariff: Tariff | None = None,
        **allowances: Allowance,
    ) -> None:
        self.sent: list[asyncio.Task[Answer]] = []
        self.clock = Clock()
        self.ledger = MemoryLedger()
        self.machine = Machine(Cores(cores), Memory(room_for * WORKER_KIB, []))
        self.halls = {
            name: TownHall(described(name, **{"takes_context": True, **limits}), self.clock, memory_kib=WORKER_KIB)
            for name, limits in functions.items()
        }
        self.accounts = some_accounts(self.clock, tariff, **allowances)
        meter = a_meter(self.ledger, self.clock, self.accounts)
        self.pools = {name: Pool(name, hall.new_worker, meter, self.clock, self.machine) for name, hall in self.halls.items()}
        self.machine.memory.tenants = [pool.workers for pool in self.pools.values()]
        entropy = itertools.count(1)
        self.engine = Engine(self.pools, meter, self.machine.memory, Ids(lambda: 1.0, lambda _: next(entropy)), now_s=lambda: 1.0)

    def send(self, function: str, errands: Errand = (), **known: Any) -> asyncio.Task[Answer]:
        call = Call(self.engine.new_id(), function, body=json.dumps(errands).encode(), **known)
        self.sent.append(asyncio.create_task(self.engine.call(call)))
        return self.sent[-1]

    async def told(self, *tasks: asyncio.Task[Answer]) -> list[object]:
        """Return how many errands were run for each call, and the classes of errors."""
        self.clock.asked = 0
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
        return [_told(answer) for answer in done]

    async def stop(self) -> None:
        """Let all calls end, and then the engine."""
        for hall in self.halls.values():
            hall.door.set()
        await self.told(*self.sent)
        await self.engine.stop()

    def workers(self, function: str) -> int:
        """Return how many workers a function has."""
        return len(self.pools[function].workers.lanes)

    def states(self, function: str) -> list[str]:
        return [lane.state for lane in self.pools[function].workers.lanes]


def _told(answer: Answer | BaseException) -> object:
    if isinstance(answer, BaseException):
        return type(answer)
    error: ServeliteError | None = answer.error
    return type(error) if error else json.loads(answer.body)


def errands(tree: Errand) -> int:
    """Count a call and all that it is about."""
    return 1 + sum(errands(inner) for _, inner in tree)


def chain(*names: str) -> list[Any]:
    """Return errands of which each is run for the one before: chain("b", "a") is a call of b, which calls a."""
    found: list[Any] = []
    for name in reversed(names):
        found = [[name, found]]
    return found


TREES = st.recursive(st.just([]), lambda inner: st.lists(st.tuples(st.sampled_from("fgh"), inner).map(list), max_size=3), max_leaves=12)
"""Errands of functions f, g and h."""

LIMITS = st.fixed_dictionaries({"max_workers": st.integers(1, 2), "max_batch": st.sampled_from([1, 3])})
