"""What calls took, counted so that what several processes counted can be put together: sums, and times in buckets of 2 %."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from servelite.core.call import Receipt

GROWTH = math.log(1.02)
"""From one bucket of times to the next, so that a percentile is at most 1 % from what it was."""

MOST_WORDS = 200
"""How much is kept of what an error said."""


@dataclass(slots=True)
class Tally:
    """Calls of one function, times in µs.

    times      how long right answers took, by bucket
    errors     calls without a right answer, by the code of their problem; `words` is what the first of each said
    receipts   answers with a receipt; what they took for their client is `took_us`, and the other sums are their receipts'
    runs       of the handler: a call in a batch of four is a quarter of one
    billed     calls that are billed any time
    """

    times: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    words: dict[str, str] = field(default_factory=dict)
    receipts: int = 0
    took_us: int = 0
    compute_us: int = 0
    cpu_us: int = 0
    queue_us: int = 0
    billed_us: int = 0
    billed: int = 0
    cold: int = 0
    runs: float = 0.0

    def count(self, took_us: int, error: str = "", words: str = "", receipt: Receipt | None = None) -> None:
        """Count a call, with the code of its error, if it had one."""
        if error:
            self.errors[error] += 1
            self.words.setdefault(error, words[:MOST_WORDS])
        else:
            self.times[bucket(took_us)] += 1
        if receipt is not None:
            self.receipts += 1
            self.took_us += took_us
            self.runs += 1 / max(1, receipt.batch)
            self.compute_us += receipt.compute_us
            self.cpu_us += receipt.cpu_us
            self.queue_us += receipt.queue_us
            self.billed_us += receipt.billed_us
            self.billed += receipt.billed_us > 0
            self.cold += receipt.cold

    def add(self, other: "Tally") -> None:
        """Add what another tally counted."""
        self.times.update(other.times)
        self.errors.update(other.errors)
        self.words = {**other.words, **self.words}
        for one in fields(self)[3:]:
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def good(self) -> int:
        """Right answers."""
        return self.times.total()

    @property
    def failed(self) -> int:
        """Calls without one."""
        return self.errors.total()

    @property
    def calls(self) -> int:
        """All calls."""
        return self.good + self.failed

    @property
    def mean_batch(self) -> float:
        """Calls a run of the handler, 0 where nothing ran."""
        return self.receipts / self.runs if self.runs else 0.0

    @property
    def queue_share(self) -> float:
        """How much of the time that answers took they waited for a worker."""
        return self.queue_us / self.took_us if self.took_us else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return it as data that JSON and msgpack can say."""
        sums = {one.name: getattr(self, one.name) for one in fields(self)[2:]}
        return {"times": sorted(self.times.items()), "errors": dict(self.errors), **sums}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Tally":
        """Make it of what `to_dict` returned."""
        return cls(**{**data, "times": times_of(data["times"]), "errors": Counter(data["errors"])})


def bucket(us: float) -> int:
    """Return the bucket that a time belongs into."""
    return round(math.log(max(us, 1)) / GROWTH)


def percentile_us(times: Mapping[int, int], share: float) -> float | None:
    """Return the time that so large a share of the calls took at most; None where there were none."""
    left = math.ceil(share * sum(times.values()))
    for one in sorted(times):
        left -= times[one]
        if left <= 0:
            return math.exp(one * GROWTH)
    return None


def times_of(pairs: Iterable[tuple[int, int]]) -> Counter[int]:
    """Make times of pairs of bucket and count."""
    return Counter(dict(pairs))


def total(tallies: Iterable[Tally]) -> Tally:
    """Add tallies up."""
    whole = Tally()
    for one in tallies:
        whole.add(one)
    return whole
