"""What the race has measured: samples, their medians, each peer's best setting, and how servelite stands to them."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class LoadResult:
    """One load. `failed` are answers that are not 2xx, and broken connections; cores are what wrk and strangers used meanwhile."""

    clients: int
    per_s: float
    p50_us: float
    p99_us: float
    failed: int
    requests: int
    cpu_us: float
    generator_cores: float
    other_cores: float


@dataclass(frozen=True, slots=True)
class StintResult:
    """One start of a contestant at one work, with its loads; `error` says why there are none."""

    name: str
    setting: str
    kind: str
    work: str
    round: int
    first_200_ms: float = 0.0
    pss_mib: float = 0.0
    wrong: int = 0
    loads: tuple[LoadResult, ...] = ()
    error: str = ""

    def but(self, **changes: Any) -> "StintResult":
        """Return it with some fields changed."""
        return replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return asdict(self)

    @classmethod
    def from_dict(cls, said: dict[str, Any]) -> "StintResult":
        """Read what `to_dict` gave."""
        known = {one.name for one in fields(cls)}
        plain = {key: value for key, value in said.items() if key in known and key != "loads"}
        return cls(**plain, loads=tuple(LoadResult(**load) for load in said["loads"]))


@dataclass(frozen=True, slots=True)
class Measure:
    """Something that is compared; `of` reads it from a load, or from a stint where `of_stint` is set."""

    name: str
    unit: str
    more_is_better: bool
    is_of_stint: bool
    of: Callable[[Any], float]


PER_S = Measure("requests/s", "", more_is_better=True, is_of_stint=False, of=lambda load: load.per_s)
MEASURES = (
    PER_S,
    Measure("p50", "ms", more_is_better=False, is_of_stint=False, of=lambda load: load.p50_us / 1000),
    Measure("p99", "ms", more_is_better=False, is_of_stint=False, of=lambda load: load.p99_us / 1000),
    Measure("CPU a request", "µs", more_is_better=False, is_of_stint=False, of=lambda load: load.cpu_us),
    Measure("memory (PSS)", "MiB", more_is_better=False, is_of_stint=True, of=lambda stint: stint.pss_mib),
    Measure("first 200", "ms", more_is_better=False, is_of_stint=True, of=lambda stint: stint.first_200_ms),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A contestant in a cell: the median over rounds, with the setting that stands for it there."""

    name: str
    kind: str
    setting: str
    value: float
    samples: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """One measure at one work and number of clients (0: whatever their number), for all contestants."""

    measure: Measure
    work: str
    clients: int
    ours: Entry
    others: tuple[Entry, ...]
    limits: tuple[Entry, ...] = ()

    def ratio(self, other: Entry) -> float:
        """Return how many times better servelite is; below 1 it is worse."""
        if not self.ours.value or not other.value:
            return float("nan")
        return self.ours.value / other.value if self.measure.more_is_better else other.value / self.ours.value

    @property
    def rival(self) -> Entry | None:
        """The best of the others."""
        return min(self.others, key=self.ratio, default=None)

    @property
    def worst_ratio(self) -> float:
        return self.ratio(self.rival) if self.rival else float("inf")

    @property
    def is_first(self) -> bool:
        return self.worst_ratio >= 1


def rows(stints: Iterable[StintResult], ours: str, limit: str) -> list[Row]:
    """Return all rows, those where servelite is not first before the others, the worst first."""
    ran = [stint for stint in stints if not stint.error]
    found = [row for measure in MEASURES for row in _rows_of(measure, ran, ours, limit)]
    return sorted(found, key=lambda row: (row.is_first, row.worst_ratio if not row.is_first else 0))


def _rows_of(measure: Measure, stints: Sequence[StintResult], ours: str, limit: str) -> Iterator[Row]:
    for work in dict.fromkeys(stint.work for stint in stints):
        at_work = [stint for stint in stints if stint.work == work]
        clients = [0] if measure.is_of_stint else sorted({load.clients for stint in at_work for load in stint.loads})
        for count in clients:
            entries = _entries(measure, at_work, count)
            own = next((entry for entry in entries if entry.kind == ours), None)
            if own is not None:
                others = tuple(entry for entry in entries if entry.kind not in {ours, limit})
                limits = () if measure.is_of_stint else tuple(entry for entry in entries if entry.kind == limit)
                yield Row(measure, work, count, own, others, limits)


def _entries(measure: Measure, stints: Sequence[StintResult], clients: int) -> list[Entry]:
    """Return each contestant once: of memory and start its best, else that of the setting with the most requests a second."""
    entries = []
    for name in dict.fromkeys(stint.name for stint in stints):
        settings: dict[str, list[StintResult]] = defaultdict(list)
        for stint in stints:
            if stint.name == name:
                settings[stint.setting].append(stint)
        if measure.is_of_stint:
            setting = min(settings, key=lambda one: median(measure.of(stint) for stint in settings[one]))
            samples = tuple(measure.of(stint) for stint in settings[setting])
        else:
            taken = {one: _loads(its, clients) for one, its in settings.items()}
            taken = {one: loads for one, loads in taken.items() if loads}
            if not taken:
                continue
            setting = max(taken, key=lambda one: median(load.per_s for load in taken[one]))
            samples = tuple(measure.of(load) for load in taken[setting])
        entries.append(Entry(name, settings[setting][0].kind, setting, median(samples), samples))
    return entries


def _loads(stints: Iterable[StintResult], clients: int) -> list[LoadResult]:
    return [load for stint in stints for load in stint.loads if load.clients == clients]


def worth_more(stints: Sequence[StintResult], within: float) -> set[tuple[str, str, str]]:
    """Return (name, setting, work) of what comes within a part of its name's best somewhere; the others need no more rounds."""
    keep = set()
    for work, name in dict.fromkeys((stint.work, stint.name) for stint in stints):
        its = [stint for stint in stints if (stint.work, stint.name) == (work, name) and not stint.error]
        for clients in {load.clients for stint in its for load in stint.loads}:
            speeds = {one.setting: median(load.per_s for load in _loads([one], clients)) for one in its if _loads([one], clients)}
            keep |= {(name, setting, work) for setting, speed in speeds.items() if speed >= within * max(speeds.values())}
    return keep


def errors(stints: Iterable[StintResult]) -> dict[str, tuple[int, int, int]]:
    """Return by contestant: answers, those that were not 2xx, and those that were checked and wrong."""
    counted: dict[str, tuple[int, int, int]] = {}
    for stint in stints:
        answers, failed, wrong = counted.get(stint.name, (0, 0, 0))
        answers += sum(load.requests for load in stint.loads)
        failed += sum(load.failed for load in stint.loads)
        counted[stint.name] = answers, failed, wrong + stint.wrong
    return counted


def did_not_run(stints: Iterable[StintResult]) -> dict[str, str]:
    """Return what did not run, by contestant, setting and work, with the last reason."""
    return {f"{stint.name} ({stint.setting or 'as it comes'}), {stint.work}": stint.error for stint in stints if stint.error}
