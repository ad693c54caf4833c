"""The book of a load test: a tally for each function, the same moment by moment, and how busy those were who made the load."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from servelite.core.call import Receipt
from servelite.tools.loadtest.tally import Tally, bucket, times_of


@dataclass(slots=True)
class Moment:
    """The calls that ended within a moment: how long right answers took, and how many had none."""

    times: Counter[int] = field(default_factory=Counter)
    failed: int = 0


@dataclass(slots=True)
class Book:
    """What was seen, by one process or by all.

    moments     by the second since 1970 that each begins with; they last `width_s`
    begun_s, ended_s  when the first call was due, and when the last one ended, seconds since 1970
    busy        for each process that makes load, the share of the time that it used a core, or waited for one
    memory_mib  the memory limit of each function, which tariffs may weigh
    """

    functions: dict[str, Tally] = field(default_factory=dict)
    moments: dict[int, Moment] = field(default_factory=dict)
    width_s: int = 1
    begun_s: float = 0.0
    ended_s: float = 0.0
    busy: dict[str, float] = field(default_factory=dict)
    memory_mib: dict[str, int] = field(default_factory=dict)

    def count(self, function: str, now_s: float, took_us: int, error: str = "", words: str = "", receipt: Receipt | None = None) -> None:
        """Count a call that ended now."""
        self.functions.setdefault(function, Tally()).count(took_us, error, words, receipt)
        moment = self.moments.setdefault(int(now_s) // self.width_s * self.width_s, Moment())
        if error:
            moment.failed += 1
        else:
            moment.times[bucket(took_us)] += 1
        self._span(now_s - took_us / 1e6, now_s)

    def _span(self, begun_s: float, ended_s: float) -> None:
        self.begun_s = min(self.begun_s, begun_s) if self.begun_s else begun_s
        self.ended_s = max(self.ended_s, ended_s)

    def add(self, other: "Book") -> None:
        """Add what another book has."""
        for name, tally in other.functions.items():
            self.functions.setdefault(name, Tally()).add(tally)
        for at, moment in other.moments.items():
            mine = self.moments.setdefault(at, Moment())
            mine.times.update(moment.times)
            mine.failed += moment.failed
        if other.begun_s:
            self._span(other.begun_s, other.ended_s)
        self.busy.update(other.busy)
        self.memory_mib.update(other.memory_mib)

    @property
    def took_s(self) -> float:
        """From the first call to the last answer."""
        return self.ended_s - self.begun_s

    @property
    def busiest(self) -> float:
        """The share of the time that the busiest of those who make load wanted a core: near 1, it is in its own way."""
        return max(self.busy.values(), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return it as data that JSON and msgpack can say."""
        return {
            "functions": {name: tally.to_dict() for name, tally in self.functions.items()},
            "moments": [[at, one.failed, sorted(one.times.items())] for at, one in sorted(self.moments.items())],
            "width_s": self.width_s,
            "begun_s": self.begun_s,
            "ended_s": self.ended_s,
            "busy": self.busy,
            "memory_mib": self.memory_mib,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Book":
        """Make it of what `to_dict` returned."""
        functions = {name: Tally.from_dict(one) for name, one in data["functions"].items()}
        moments = {at: Moment(times_of(times), failed) for at, failed, times in data["moments"]}
        return cls(**{**data, "functions": functions, "moments": moments})
