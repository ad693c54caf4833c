"""What a load test came to as people read it, tables with sentences around them, or an HTML page; as programs read it, JSON; and drawn."""

import base64
import io
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from servelite.cli.output import table
from servelite.core.tariff import Tariff
from servelite.core.version import VERSION
from servelite.tools.loadtest.book import Book
from servelite.tools.loadtest.capacity import BUSY, Capacity
from servelite.tools.loadtest.running import Run
from servelite.tools.loadtest.slo import Objective, missed, said_us
from servelite.tools.loadtest.summary import Row, errors, rows
from servelite.tools.loadtest.tally import percentile_us
from servelite.tools.loadtest.texts import COLUMNS, cells

if TYPE_CHECKING:
    from servelite.cli.output import Block, Page

ERROR_COLUMNS = ("function", "error", "count", "the first said")
SLO_COLUMNS = ("objective", "seen", "")
STEP_COLUMNS = ("calls a second", "p50", "p95", "p99", "errors", "load busy", "")

LEAST_SHARE = 0.3
"""Of the first and the last moment of a load there may be so little that it tells nothing."""

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #e3e8ee }
th:first-child, td:first-child { text-align: left } th { color: #6b7785; font-weight: normal } img { max-width: 100% }
.scroll { overflow-x: auto }
@media (prefers-color-scheme: dark) { body { background: #14181d; color: #e3e8ee } td, th { border-color: #333b44 } }
"""


@dataclass(frozen=True, slots=True)
class Report:
    """A load, what was seen of it, and what it is held to."""

    path: str
    run: Run
    book: Book
    tariff: Tariff
    objectives: tuple[Objective, ...] = ()
    capacity: Capacity | None = None

    @property
    def rows(self) -> list[Row]:
        """A row for each function, and at last one for all."""
        return rows(self.book, self.tariff)

    @property
    def missed(self) -> list[Objective]:
        """The objectives that were not kept."""
        return missed(self.objectives, self.rows[-1])

    @property
    def is_fine(self) -> bool:
        """Whether something was answered rightly, and the SLO kept; of a search, whether any rate keeps it."""
        if self.capacity is not None:
            return self.capacity.kept_rps is not None
        return self.rows[-1].p50_us is not None and not self.missed


def as_page(report: Report) -> "Page":
    """Return it as texts and tables, with empty lines between."""
    parts: list[Block] = [_load(report)]
    for columns, lines in _tables(report):
        numbers = [column for column in columns[1:] if column not in ("", "error", "the first said")]
        parts.append(table(columns, lines, numbers))
    parts += _verdict(report)
    return [line for part in parts for line in (part, "")][:-1]


def _tables(report: Report) -> list[tuple[Sequence[str], list[list[str]]]]:
    steps = report.capacity.steps if report.capacity else ()
    found: list[tuple[Sequence[str], list[list[str]]]] = []
    if steps:
        found.append((STEP_COLUMNS, [_step(one.rps, one.row, one.busiest, one.kept) for one in steps]))
    found.append((COLUMNS, [cells(row, report.tariff) for row in report.rows]))
    if failed := errors(report.book):
        found.append((ERROR_COLUMNS, [[name, code, f"{count:,}", words] for name, code, count, words in failed]))
    if report.objectives and not steps:
        total = report.rows[-1]
        found.append((SLO_COLUMNS, [[f"{one}", one.seen(total), "held" if one.is_met(total) else "MISSED"] for one in report.objectives]))
    return found


def _step(rps: float, row: Row, busiest: float, kept: bool) -> list[str]:
    times = [said_us(us) for us in (row.p50_us, row.p95_us, row.p99_us)]
    return [f"{rps:g}", *times, f"{row.failed:,}", f"{busiest:.0%}", "held" if kept else "missed"]


def _load(report: Report) -> str:
    run, total = report.run, report.rows[-1]
    who = f"{run.rps:g} calls a second" if run.rps else f"{run.users:,} {'user' if run.users == 1 else 'users'}"
    how = "" if run.shape == "steady" else f", {run.shape}"
    sizes = ", some inputs much longer than the examples" if run.sizes == "long-tail" else ""
    best = ", the best step" if report.capacity and report.capacity.kept_rps else ""
    took = f"{total.calls:,} calls in {max(report.book.took_s, 0):.1f} s"
    return f"{report.path}: {who}{how}{sizes}{best}; {took}, by Locust in {run.processes} process{'es' * (run.processes > 1)}."


def _verdict(report: Report) -> list[str]:
    told = []
    if report.capacity is not None:
        told.append(_capacity(report.capacity, " and ".join(map(str, report.objectives))))
    elif report.rows[-1].p50_us is None:
        told.append("Nothing was answered rightly.")
    elif report.objectives:
        told.append("The SLO was kept." if not report.missed else f"The SLO was missed: {', '.join(f'{one}' for one in report.missed)}.")
    if report.capacity is None and report.book.busiest > BUSY:
        told.append(
            f"Locust wanted a core {report.book.busiest:.0%} of the time: it was in its own way, and made times longer. Try --processes."
        )
    return told


def _capacity(found: Capacity, objectives: str) -> str:
    limit = (
        "Then Locust itself was the bottleneck, for it wanted a core nearly all the time: try --processes, or a quieter machine."
        if found.is_limited
        else ""
    )
    if found.kept_rps is None:
        return f"No rate keeps {objectives}. {limit}".strip()
    if found.missed_rps is None or found.is_limited:
        return f"At least {found.kept_rps:g} calls a second keep {objectives}. {limit}".strip()
    return f"Up to {found.kept_rps:g} calls a second keep {objectives}; {found.missed_rps:g} do not."


def as_json(report: Report) -> dict[str, Any]:
    """Return it as data: times in µs, money in millionths of the currency."""
    found = report.capacity
    return {
        "path": report.path,
        "run": {**asdict(report.run), "mix": dict(report.run.mix)},
        "rows": [asdict(row) for row in report.rows],
        "errors": [dict(zip(("function", "code", "count", "words"), one, strict=True)) for one in errors(report.book)],
        "objectives": [
            {"metric": one.metric, "limit": one.limit, "is_share": one.is_share, "kept": one not in report.missed}
            for one in report.objectives
        ],
        "capacity": found
        and {
            "kept_rps": found.kept_rps,
            "missed_rps": found.missed_rps,
            "is_limited": found.is_limited,
            "steps": [asdict(one) for one in found.steps],
        },
        "moments": [dict(zip(("at_s", "rps", "failed_ps", "p50_us", "p95_us"), one, strict=True)) for one in _moments(report.book)],
        "took_s": report.book.took_s,
        "load_busy": report.book.busiest,
        "currency": report.tariff.currency,
    }


def _moments(book: Book) -> list[tuple[int, float, float, float | None, float | None]]:
    """Return when each moment began, its rates of right answers and of errors, and two percentiles; little of a moment is left out."""
    first, found = min(book.moments, default=0), []
    for at, one in sorted(book.moments.items()):
        covered_s = min(at + book.width_s, book.ended_s) - max(at, book.begun_s)
        if covered_s >= LEAST_SHARE * book.width_s:
            rates = round(one.times.total() / covered_s, 1), round(one.failed / covered_s, 1)
            found.append((at - first, *rates, percentile_us(one.times, 0.5), percentile_us(one.times, 0.95)))
    return found


def draw(report: Report, file: Path | IO[bytes]) -> None:
    """Draw latency and throughput over time; see `picture.draw_load`."""
    from servelite.cli.picture import Load, draw_load

    moments = _moments(report.book)
    title = f"{Path(report.path).name}: latency and throughput"
    load = Load(
        title,
        _load(report).partition(": ")[2],
        [one[0] for one in moments],
        [_ms(one[3]) for one in moments],
        [_ms(one[4]) for one in moments],
        [one[1] for one in moments],
        [one[2] for one in moments],
    )
    draw_load(file, load)


def _ms(us: float | None) -> float | None:
    return None if us is None else us / 1000


def as_html(report: Report) -> str:
    """Return it as a page that needs nothing else: the tables, and the picture."""
    picture = io.BytesIO()
    draw(report, picture)
    tables = "\n".join(_html_table(columns, lines) for columns, lines in _tables(report))
    verdict = "".join(f"<p><strong>{escape(line)}</strong></p>" for line in _verdict(report))
    machine = f"servelite {VERSION}, Python {platform.python_version()}, {platform.machine()}"
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>Load test of {escape(report.path)}</title><style>{STYLE}</style></head><body>\n"
        f"<h1>Load test of {escape(Path(report.path).name)}</h1>\n<p>{escape(_load(report))}</p>\n{verdict}\n{tables}\n"
        f'<img alt="Latency and throughput over time" src="data:image/png;base64,{base64.b64encode(picture.getvalue()).decode()}">\n'
        f"<p><small>{escape(machine)}</small></p>\n</body></html>\n"
    )


def _html_table(columns: Sequence[str], lines: list[list[str]]) -> str:
    def row(cell: str, texts: Sequence[str]) -> str:
        return "<tr>" + "".join(f"<{cell}>{escape(text)}</{cell}>" for text in texts) + "</tr>"

    return f'<div class="scroll"><table>{row("th", columns)}{"".join(row("td", one) for one in lines)}</table></div>'
