"""What the functions of one machine share: its cores and its memory."""

import sys
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from servelite.core.function import Limits


class Claimant(Protocol):
    """Who wants a core: a function's pool."""

    def wake(self) -> None:
        """Look whether one more of its workers may run now."""
        ...


@dataclass(slots=True)
class Cores:
    """Who may be busy: the workers of a function that run at the same time do not outnumber the cores.

    Each function may always have one busy worker, so that none starves another: where more functions than cores are
    busy, the system shares the cores among them. Further workers are busy only while there are cores for them. A
    function that says `max_workers` above the cores may have that many: its handler waits more than it computes.

    most_workers  of one function, whatever it says: 1 where all run in one process
    """

    count: int
    busy: int = 0
    most_workers: int = sys.maxsize
    _wanting: deque[Claimant] = field(default_factory=deque)

    def workers(self, limits: Limits) -> int:
        """Return how many workers a function may have."""
        return min(limits.max_workers or self.count, self.most_workers)

    def threads(self, limits: Limits) -> int:
        """Return the threads of one worker, so that those of all workers do not outnumber the cores."""
        return max(1, self.count // self.workers(limits))

    def has_one_for(self, most: int) -> bool:
        """Tell whether a further worker of a function that may have `most` could run at once."""
        return self.busy < max(self.count, most)

    def take(self, claimant: Claimant, own: int, most: int) -> bool:
        """Let one more worker of a function be busy that has `own` busy ones and may have `most`, or note that it wants to."""
        if own and not self.has_one_for(most):
            if claimant not in self._wanting:
                self._wanting.append(claimant)
            return False
        self.busy += 1
        return True

    def take_again(self) -> None:
        """Let a worker go on that gave its core back while it waited, whoever has it now: it has begun, and others wait for it."""
        self.busy += 1

    def may_stay(self, own: int, most: int) -> bool:
        """Tell whether a worker that ended a batch may begin the next, or has to let another function's go first."""
        return own == 1 or not (self._wanting or self.busy > max(self.count, most))

    def give_back(self) -> None:
        """Take note that a worker is busy no more; those that want a core ask again, the longest waiting first."""
        self.busy -= 1
        for _ in range(len(self._wanting)):
            self._wanting.popleft().wake()


class Tenant(Protocol):
    """Who uses memory: the workers of a function."""

    @property
    def memory_kib(self) -> int:
        """What they use together, when it was last looked at."""
        ...

    @property
    def idle_since_us(self) -> int | None:
        """Since when none of them has anything to do; None where one has, or where there is none."""
        ...

    def measure(self) -> None:
        """Look at it once more, exactly: pages that several share count once."""
        ...

    def sleep(self, reason: str) -> None:
        """End them until the next call."""
        ...

    def end_largest(self, why: str) -> None:
        """Kill the largest one, whatever it does."""
        ...


@dataclass(slots=True)
class Memory:
    """What all workers may use together; idle functions make room, the least recently used first."""

    budget_kib: int
    tenants: Sequence[Tenant] = ()

    @property
    def used_kib(self) -> int:
        """The memory of all workers, when they were last looked at."""
        return sum(tenant.memory_kib for tenant in self.tenants)

    def has_room(self, needed_kib: int) -> bool:
        """Tell whether so much fits as things are."""
        return self.used_kib + needed_kib <= self.budget_kib

    def make_room(self, needed_kib: int, keep: Tenant | None = None) -> bool:
        """Let idle functions other than `keep` sleep until so much fits; False, and nobody sleeps for it, where it can't."""
        idle = [one for one in self._idle() if one is not keep]
        if not self.has_room(needed_kib - sum(one.memory_kib for one in idle)):
            return False
        for tenant in idle:
            if not self.has_room(needed_kib):
                tenant.sleep("evicted")
        return True

    def look(self) -> None:
        """See that the budget is kept: idle functions sleep, and where that is not enough the largest worker goes."""
        if self.has_room(0):
            return
        for tenant in self.tenants:
            tenant.measure()
        for tenant in self._idle():
            if not self.has_room(0):
                tenant.sleep("evicted")
        if not self.has_room(0):
            largest = max(self.tenants, key=lambda one: one.memory_kib)
            largest.end_largest(f"and all functions together more than the {self.budget_kib // 1024:,} MiB of --memory")

    def _idle(self) -> list[Tenant]:
        """Return those that have nothing to do, the least recently used first."""
        idle = [(one.idle_since_us, index) for index, one in enumerate(self.tenants) if one.idle_since_us is not None]
        return [self.tenants[index] for _, index in sorted(idle)]


@dataclass(frozen=True, slots=True)
class Machine:
    """What functions share: `cores` says which workers may be busy, `memory` which may be there."""

    cores: Cores
    memory: Memory
