"""The shapes of what the runtime reaches without knowing it: workers and ledgers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from servelite.core.call import BatchReply, Call
from servelite.core.errors import ServeliteError
from servelite.core.function import Description


class Worker(Protocol):
    """Where one function's handler runs, one batch at a time: a process of its own, or this one.

    It is started once; after its end another is made.
    """

    on_end: Callable[[], None]
    """Called once when it has ended, for whatever reason."""

    @property
    def is_alive(self) -> bool:
        """Whether it may answer another batch."""
        ...

    @property
    def pid(self) -> int:
        """The process it lives in, 0 before its start."""
        ...

    async def start(self) -> Description:
        """Load the function; DefinitionError where it can't be loaded."""
        ...

    async def run(self, calls: Sequence[Call]) -> BatchReply:
        """Answer a batch.

        Raises:
            WorkerDied, TimedOut: the worker ended instead.
            ServeliteError: it was killed with this error.
        """
        ...

    def memory_kib(self, suspicious_kib: int) -> int:
        """Return the memory of its process and of those that it started; measured more exactly if above `suspicious_kib`."""
        ...

    def kill(self, error: ServeliteError) -> None:
        """End it in the middle of whatever it does; what it was asked fails with this error."""
        ...

    async def stop(self) -> None:
        """End it, and wait until it is gone."""
        ...


class Row(NamedTuple):
    """One answered call in the ledger; times in µs, sizes in bytes, `at_us` since 1970 (UTC).

    code is `ok` or an error's code. `peak_kib` is the worker's largest resident memory so far.
    """

    id: str
    at_us: int
    account: str
    function: str
    status: int
    code: str
    queue_us: int
    init_us: int
    compute_us: int
    cpu_us: int
    peak_kib: int
    batch: int
    bytes_in: int
    bytes_out: int
    cold: int
    billed_us: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What one group of calls used: times in µs."""

    group: str
    calls: int
    failed: int
    compute_us: int
    cpu_us: int
    billed_us: int


class Ledger(Protocol):
    """The book of calls: append-only, one row each."""

    def record(self, rows: Sequence[Row]) -> None:
        """Keep rows so that a killed process does not lose them; LedgerUnavailable where it can't."""
        ...

    def usage(self, by: str, since_us: int, until_us: int) -> list[Usage]:
        """Sum the rows of a time span by `function`, `account` or `day`, most compute first."""
        ...

    def close(self) -> None:
        """Put everything in its place; nothing is recorded after this."""
        ...
