"""A call, the answer it gets, and the receipt that says what the answer took."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

from servelite.core.errors import ServeliteError

FOREVER_S = float("inf")


@dataclass(slots=True)
class Tally:
    """What the stages of a pipeline took together; see `Receipt`, and `Row` for memory and cost."""

    calls: int = 0
    compute_us: int = 0
    cpu_us: int = 0
    queue_us: int = 0
    init_us: int = 0
    billed_us: int = 0
    mib_us: int = 0
    cost_pico: int = 0
    peak_kib: int = 0
    memory_mib: int = 0


@dataclass(slots=True)
class Call:
    """One request to a function, as bytes: nothing outside its worker parses the body.

    id          32 hexadecimal digits; they begin with the time, so that ledger rows arrive in order
    account     who pays for it, and `key_id` with which key it was made, "" for none
    deadline_s  when its time limit ends, on `time.monotonic()`'s clock; set when a worker takes it
    patience_s  how long its caller lets it wait for a worker; 0 means the function's `timeout_s`
    ends_s      when what surrounds it ends, on the same clock: its time limit ends no later
    held_bytes  what of its body counts for the memory that bodies may take together
    held_units  what of its account's quota is held back for it while it runs, in the tariff's units
    repeat_key  the client's Idempotency-Key, "" for none
    parent      the call of which it is a stage, or whose handler makes it, "" for none
    stage       which stage it is, "" for none
    tally       where what it takes is added up, if it is a stage
    part        the piece of a pipeline's glue that it runs, "" for a function's handler
    is_settled  whether it was recorded while its worker still ran it
    above       the call that waits for it: its parent, None for a client's
    depth       how many handlers wait for it, one in the other: 0 for a client's call
    traceparent its own place in a trace, as W3C has it, for its handler to pass on; "" where nobody makes spans
    came_from   the span of the client that made it, "" for none
    """

    id: str
    function: str
    media_type: str = "application/json"
    body: bytes = b""
    account: str = "local"
    deadline_s: float = 0.0
    patience_s: float = 0.0
    ends_s: float = FOREVER_S
    held_bytes: int = 0
    held_units: int = 0
    repeat_key: str = ""
    key_id: str = ""
    parent: str = ""
    stage: str = ""
    part: str = ""
    tally: Tally | None = None
    is_settled: bool = False
    above: "Call | None" = None
    depth: int = 0
    traceparent: str = ""
    came_from: str = ""

    def join_trace(self, parent: "Call") -> None:
        """Stand in the trace of the call that makes this one."""
        if parent.traceparent:
            version, trace, _, flags = parent.traceparent.split("-")
            self.traceparent = f"{version}-{trace}-{self.id[16:]}-{flags}"


class Outcome(NamedTuple):
    """How one call of a batch ended in its worker: the output's bytes, or an error; and which part of the batch's time was its own, µs."""

    body: bytes = b""
    error: ServeliteError | None = None
    compute_us: int = 0


class Question(NamedTuple):
    """What a handler asks of another function, for one of the calls that it answers; `number` tells it from others of its worker."""

    number: int
    parent: str
    function: str
    media_type: str
    body: bytes


class Told(NamedTuple):
    """What a handler is told when it has asked; the media type is the output's."""

    number: int
    outcome: Outcome
    media_type: str


@dataclass(frozen=True, slots=True)
class BatchReply:
    """What a worker says of one batch: an outcome per call, and what the whole batch took.

    cpu_us    CPU time of the process, all threads, µs
    peak_kib  the worker's largest resident memory so far, KiB
    """

    outcomes: list[Outcome]
    cpu_us: int
    peak_kib: int

    @property
    def compute_us(self) -> int:
        """Wall time of decode + handler + encode, less waits for other functions, µs: its calls' times, added up, so they can't differ."""
        return sum([outcome.compute_us for outcome in self.outcomes])


@dataclass(slots=True)
class Receipt:
    """What one call took, whole microseconds throughout.

    queue_us    from its arrival until a worker took it, less init_us
    init_us     the part of the wait in which a worker was being started for it
    compute_us  its part of the batch's wall time
    cpu_us      as large a part of the batch's CPU time
    billed_us   compute_us as the tariff rounds it, or 0 where the call is not billed
    batch       calls in its batch
    cold        whether it waited for a worker to start
    free_left_us  what is left of its account's free time this month; None where the account has no quota
    """

    compute_us: int = 0
    cpu_us: int = 0
    queue_us: int = 0
    init_us: int = 0
    batch: int = 1
    cold: bool = False
    billed_us: int = 0
    free_left_us: int | None = None

    def __str__(self) -> str:
        """Write the receipt as an RFC 9651 dictionary, as the `Servelite-Receipt` header has it."""
        free = "" if self.free_left_us is None else f", free-left-us={self.free_left_us}"
        return (
            f"compute-us={self.compute_us}, cpu-us={self.cpu_us}, queue-us={self.queue_us}, "
            f"batch={self.batch}, cold=?{self.cold:d}, billed-us={self.billed_us}{free}"
        )


@dataclass(slots=True)
class Answer:
    """The end of a call: a body in the function's media type, or an error; with its receipt.

    is_repeated  whether it was given before, to a call with the same Idempotency-Key
    """

    body: bytes
    media_type: str
    receipt: Receipt
    error: ServeliteError | None = None
    is_repeated: bool = False


def call_id(now_ms: int, entropy: int = 0) -> str:
    """Return an id that sorts by time: 48 bits of Unix time in ms, then 80 random bits."""
    return f"{now_ms:012x}{entropy:020x}"


def shares(total: int, count: int) -> list[int]:
    """Split a whole number into `count` shares that differ by at most 1 and add up to it exactly."""
    least, more = divmod(total, count)
    return [least + 1] * more + [least] * (count - more)


def proportionate(total: int, weights: Sequence[int]) -> list[int]:
    """Split a whole number into parts like the weights, each within 1 of exact, that add up to it exactly; equally where all weigh 0."""
    weight = sum(weights)
    if not weight or len(weights) == 1:
        return shares(total, len(weights))
    edges = [total * upto // weight for upto in accumulate(weights, initial=0)]
    return [end - start for start, end in pairwise(edges)]
