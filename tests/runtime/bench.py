"""A bench: the pool of one function on fake parts, and what a test does to it."""

import asyncio

from servelite.core.call import Answer, Call
from servelite.core.errors import WorkerDied
from servelite.runtime.machine import Machine
from servelite.runtime.pool import Pool
from tests.runtime.fakes import Clock, FakeWorker, MemoryLedger, Workshop, a_machine, a_meter, described, settle, until

DIED = WorkerDied("The worker of f was ended by SIGSEGV.")
S = 1_000_000
MIB = 1024


class Bench:
    """A pool, the workshop of its workers, and the machine that it may share with another bench."""

    def __init__(self, name: str = "f", machine: Machine | None = None, clock: Clock | None = None, **limits: float) -> None:
        self.clock = clock or Clock()
        self.ledger = MemoryLedger()
        self.machine = machine or a_machine()
        self.workshop = Workshop(described(name, **limits), self.clock)
        self.pool = Pool(name, self.workshop.new_worker, a_meter(self.ledger, self.clock), self.clock, self.machine)
        self.machine.memory.tenants = [*self.machine.memory.tenants, self.pool.workers]

    @property
    def workers(self) -> list[FakeWorker]:
        """All that were ever made."""
        return self.workshop.workers

    @property
    def states(self) -> list[str]:
        return [lane.state for lane in self.pool.workers.lanes]

    @property
    def ends(self) -> dict[str, int]:
        return dict(self.pool.statistics.worker_ends)

    def admit(self, patience_s: float = 0.0) -> None:
        self.pool.admit(Call("asks", "f", patience_s=patience_s))

    def send(self, *bodies: bytes, patience_s: float = 0.0) -> list[asyncio.Task[Answer]]:
        calls = [Call(body.decode()[:9], "f", body=body, patience_s=patience_s) for body in bodies]
        return [asyncio.create_task(self.pool.answer(call)) for call in calls]

    async def ask(self, *bodies: bytes) -> list[object]:
        """Send calls one after the other, each when the one before is answered."""
        return [told for body in bodies for told in await self.answers(self.send(body))]

    async def occupy(self, *bodies: bytes) -> list[asyncio.Task[Answer]]:
        """Have as many workers run calls that end only when the door opens, or their worker is told to finish."""
        self.workshop.door.clear()
        tasks = []
        for body in bodies or (b"first",):
            ran = len(self.workshop.batches)
            tasks += self.send(body)
            await until(lambda ran=ran: len(self.workshop.batches) > ran)
        return tasks

    async def occupy_and_send(self, *bodies: bytes) -> list[asyncio.Task[Answer]]:
        """Have calls wait behind one that runs."""
        first = await self.occupy()
        return first + await self.queue(*bodies)

    async def queue(self, *bodies: bytes, patience_s: float = 0.0) -> list[asyncio.Task[Answer]]:
        """Send calls that have to wait."""
        before = self.pool.queue_length
        tasks = self.send(*bodies, patience_s=patience_s)
        await until(lambda: self.pool.queue_length == before + len(bodies))
        return tasks

    async def grow(self, count: int) -> None:
        """Have so many workers that rest."""
        while len(self.pool.workers.lanes) < count:
            self.pool.workers.grow()
        await until(lambda: self.states == ["idle"] * count)

    async def look(self, after_us: int = 0) -> None:
        """Have the pool look around, when so much time has gone by."""
        self.clock.us += after_us
        self.pool.look()
        await settle()

    async def answers(self, tasks: list[asyncio.Task[Answer]]) -> list[object]:
        """Return bodies, and the classes of errors."""
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        return [told(answer) for answer in done]

    async def open_door_for(self, tasks: list[asyncio.Task[Answer]]) -> list[object]:
        """Let all runs end, and return the answers."""
        self.workshop.door.set()
        return await self.answers(tasks)

    async def stop(self) -> None:
        self.workshop.door.set()
        self.workshop.start_door.set()
        self.workshop.stop_door.set()
        await self.pool.stop()


def told(answer: Answer | BaseException) -> object:
    if isinstance(answer, BaseException):
        return type(answer)
    return type(answer.error) if answer.error else answer.body
