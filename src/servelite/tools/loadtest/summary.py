"""What a load test comes to: a row for each function and one for all, priced by a tariff."""

from dataclasses import dataclass

from servelite.core.tariff import Tariff
from servelite.tools.loadtest.book import Book
from servelite.tools.loadtest.tally import Tally, percentile_us, total

ALL = "all"


@dataclass(frozen=True, slots=True)
class Row:
    """What the calls of a function, or all calls, came to; times of right answers in µs, None where there were none.

    rps            right answers a second
    million_micro  what a million such calls cost, millionths of the tariff's currency, free time not taken off; None where none ran
    """

    name: str
    calls: int
    failed: int
    rps: float
    p50_us: float | None
    p95_us: float | None
    p99_us: float | None
    compute_us: int
    million_micro: int | None
    mean_batch: float
    queue_share: float

    def us(self, metric: str) -> float | None:
        """Return the percentile of that name."""
        return {"p50": self.p50_us, "p95": self.p95_us, "p99": self.p99_us}[metric]


def rows(book: Book, tariff: Tariff) -> list[Row]:
    """Return a row for each function that was called, by name, and at last one for all together."""
    costs = {name: _cost_pico(tally, tariff, book.memory_mib.get(name, 0)) for name, tally in book.functions.items()}
    each = [_row(name, tally, book.took_s, costs[name]) for name, tally in sorted(book.functions.items())]
    return [*each, _row(ALL, total(book.functions.values()), book.took_s, sum(costs.values()))]


def errors(book: Book) -> list[tuple[str, str, int, str]]:
    """Return each function's errors, most first: its name, the code, how many there were, and what the first said."""
    found = [(name, code, count, one.words.get(code, "")) for name, one in book.functions.items() for code, count in one.errors.items()]
    return sorted(found, key=lambda one: (-one[2], one[:2]))


def _row(name: str, tally: Tally, took_s: float, cost_pico: int) -> Row:
    p50_us, p95_us, p99_us = (percentile_us(tally.times, share) for share in (0.5, 0.95, 0.99))
    rps = tally.good / took_s if took_s > 0 else 0.0
    million_micro = round(cost_pico / tally.receipts) if tally.receipts else None
    sums = (tally.compute_us, million_micro, tally.mean_batch, tally.queue_share)
    return Row(name, tally.calls, tally.failed, rps, p50_us, p95_us, p99_us, *sums)


def _cost_pico(tally: Tally, tariff: Tariff, memory_mib: int) -> int:
    return tariff.cost_pico(tariff.units(tally.billed_us, tariff.mib_us(tally.billed_us, memory_mib)), tally.billed)
