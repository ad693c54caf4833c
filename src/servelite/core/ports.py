"""The shapes of what the runtime reaches without knowing it: workers and ledgers."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from servelite.core.accounts import ApiKey, Spent
from servelite.core.call import BatchReply, Call, Question, Told
from servelite.core.errors import ServeliteError
from servelite.core.function import Description
from servelite.core.month import DAY_US


class Worker(Protocol):
    """Where one function's handler runs, one batch at a time: a process of its own, or this one.

    It is started once; after its end another is made.
    """

    on_end: Callable[[], None]
    """Called once when it has ended, for whatever reason."""

    on_ask: Callable[[Question], None]
    """Called when a handler asks for another function; `tell` answers. What it raises, a FrameError, ends the worker."""

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

    def tell(self, told: Told) -> None:
        """Answer a question of the batch that it runs."""
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

    code        `ok` or an error's code
    peak_kib    the worker's largest resident memory so far
    version     of the function: what its card says, or a digest of its folder
    parent      the call of which it is a stage, or whose handler made it; empty for a client's call
    stage       which stage it is; empty for a call of its own, which its parent's row does not include
    memory_mib  the memory limit of the function; of a pipeline the largest of its stages
    cost_pico   its price in millionths of a millionth, free time not taken off
    gateway     the process that answered it; empty for one that is no gateway, as `servelite call`
    mib_us      billed time, weighed with the memory limit as `Tariff.mib_us` does; of a pipeline, the sum of its stages
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
    key_id: str = ""
    version: str = ""
    parent: str = ""
    stage: str = ""
    memory_mib: int = 0
    cost_pico: int = 0
    gateway: str = ""
    mib_us: int = 0


KEEP_ANSWERS_US = DAY_US
"""How long an answer is kept for those who repeat its Idempotency-Key."""

ANSWER_BYTES = 500
"""What an answer takes besides its body, about."""


class Kept(NamedTuple):
    """The answer to a call with an Idempotency-Key, kept for those who ask again; `call` is the id of the first one.

    fingerprint  SHA-256 of what was asked, hexadecimal
    problem      the error's code and words as JSON where it failed, else empty
    receipt      its receipt as JSON
    """

    account: str
    repeat_key: str
    fingerprint: str
    call: str
    at_us: int
    media_type: str
    body: bytes
    problem: str
    receipt: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What one group of calls used: times in µs, `units` and `cost_pico` as in `core.tariff`.

    billed_calls  calls that are billed any time
    mib_us        billed time, weighed with the memory limits of the functions
    whole_s       the compute time of billed calls, each rounded up to a whole second
    lambda_mib_ms the time of all calls, each rounded up to a millisecond, times the memory limit (128 MiB at least)
    """

    group: str
    calls: int
    failed: int
    compute_us: int
    cpu_us: int
    billed_us: int
    cost_pico: int = 0
    billed_calls: int = 0
    mib_us: int = 0
    whole_s: int = 0
    lambda_mib_ms: int = 0


BY = ("function", "account", "key", "day", "stage")
"""What usage can be summed by."""


class Ledger(Protocol):
    """The book of calls: append-only, one row each."""

    def record(self, rows: Sequence[Row], kept: Sequence[Kept] = ()) -> None:
        """Keep rows, and answers with them, so that a killed process does not lose them; LedgerUnavailable where it can't."""
        ...

    def usage(self, by: Sequence[str], since_us: int, until_us: int, account: str | None = None) -> dict[str, list[Usage]]:
        """Sum the calls of the whole days (UTC) in a time span, all of one moment, most compute first; of one account, or of all.

        `by` are some of BY. Stages are counted with the call that they are part of, and by themselves only by `stage`.
        """
        ...

    def family(self, call: str) -> list[Row]:
        """Return the row of a call, then those of all calls below it: its stages, what its handlers called, and so on; none if it has none.

        A call that was answered is found.
        """
        ...

    def close(self) -> None:
        """Put everything in its place; nothing is recorded after this."""
        ...


class Spans(Protocol):
    """Spans of calls, for whoever traces them across servers."""

    def begin(self, call: Call, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Place a client's call in the trace that its headers name, or in a new one."""
        ...

    def record(self, settled: Sequence[tuple[Call, Row]]) -> None:
        """Take note of calls that have ended; those of which others are part come after these."""
        ...

    def close(self) -> None:
        """Send what is not sent yet; it may take seconds."""
        ...


class Objects(Protocol):
    """Objects in buckets, as S3 keeps them.

    Each raises Forbidden or NotFound where the object can't be had, and ServiceError where the store does not answer.
    """

    def get(self, bucket: str, key: str, version: str, most_bytes: int) -> tuple[str, bytes] | None:
        """Return an object's media type and content; None where it is larger than `most_bytes`."""
        ...

    def put(self, bucket: str, key: str, content: bytes, media_type: str) -> None:
        """Keep an object, in place of one that is there."""
        ...


RepeatKey = tuple[str, str]
"""An account and its Idempotency-Key."""

CLAIM_US = 10_000_000
"""How long a gateway that is not heard of any more keeps a key that it took."""


class Seen(NamedTuple):
    """What a look into the ledger showed.

    keys        all keys; None where none has changed since the last look
    spent       what each account used since a month began (UTC), at other gateways than this one
    arrived_us  the moment up to which this gateway's kept answers are in the database
    """

    keys: Sequence[ApiKey] | None
    spent: Sequence[Spent]
    arrived_us: int


class AccountBook(Protocol):
    """What a gateway reads again and again of a ledger that others write too; LedgerUnavailable where it can't."""

    def look(self, since_us: int | None) -> Seen:
        """Look at keys and kept answers, and at what was spent since a month began, None if not; nobody who writes is waited for."""
        ...

    def changed_keys(self) -> Sequence[ApiKey] | None:
        """Return all keys, None where none was added or revoked since this was last asked, or looked at."""
        ...

    def spent_by(self, account: str, since_us: int) -> Spent:
        """Return what an account used since a month began, at this gateway too."""
        ...

    def note_used(self, used_us: Mapping[str, int]) -> None:
        """Note when keys were last used, by id; the latest of several gateways counts.

        LedgerUnavailable where it can't be written at once, which does no harm: note them another time.
        """
        ...

    def claim(self, account: str, repeat_key: str, fingerprint: str, now_us: int, until_us: int | None = None) -> Kept | str | None:
        """Take an Idempotency-Key, so that no other gateway runs its call too; until CLAIM_US from now, if nothing else is said.

        Returns None where it is taken; else the answer that is kept for it, or the fingerprint of the call that another gateway runs.
        """
        ...

    def renew(self, keys: Sequence[RepeatKey], now_us: int) -> None:
        """Hold on to keys that were taken."""
        ...

    def give_back(self, account: str, repeat_key: str) -> None:
        """Let go of a key whose call was not run."""
        ...

    def close(self) -> None:
        """Let go of the ledger."""
        ...
