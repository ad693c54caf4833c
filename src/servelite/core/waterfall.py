"""The waterfall of a call: it and the calls that it was made of, when each began and ended, as data and as lines of text.

A row says when its call was recorded, how long it waited, and its share of its batch's run. So the call began, as far as its row tells, as
long before its record as it waited and its batch ran: its share, as often as the batch had calls; and not after what it was made of.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from servelite.core.ports import Row

WIDTH = 100
"""Columns of the text, if nothing else is said."""

LEAST_BAR = 10

WAITS, RUNS = "·", "█"

HEADINGS = ("call", "queue ms", "init ms", "compute ms", "batch", "cold")


@dataclass(frozen=True, slots=True)
class Span:
    """One call in the waterfall; times in µs since 1970.

    depth   0 for the call itself, 1 for what it was made of, and so on
    runs_us when a worker took it, as far as its row tells; of a call that others are part of, when it began
    """

    row: Row
    depth: int
    begins_us: int
    runs_us: int
    ends_us: int


def spans(rows: Sequence[Row]) -> list[Span]:
    """Return the spans of a call, whose row comes first, and of all below it, each before what it was made of, in the order of time."""
    below: dict[str, list[Row]] = defaultdict(list)
    for row in rows[1:]:
        below[row.parent].append(row)
    return list(_walk(rows[0], below, 0))


def _walk(row: Row, below: dict[str, list[Row]], depth: int) -> Iterator[Span]:
    parts = sorted((list(_walk(part, below, depth + 1)) for part in below[row.id]), key=lambda part: (part[0].begins_us, part[0].row.id))
    runs_us = row.at_us - row.compute_us * max(row.batch, 1)
    begins_us = runs_us - row.init_us - row.queue_us
    first_us = min((part[0].begins_us for part in parts), default=begins_us)
    if any(part[0].row.stage for part in parts):  # a pipeline's own times are sums, and no worker takes it
        begins_us = runs_us = min(first_us, row.at_us)
    elif parts:
        begins_us = min(begins_us, first_us)
        runs_us = min(runs_us, first_us)
    yield Span(row, depth, begins_us, runs_us, row.at_us)
    for part in parts:
        yield from part


def to_dict(rows: Sequence[Row]) -> dict[str, Any]:
    """Return a waterfall as JSON-able data; `begins_us` and `ends_us` count from the call's beginning."""
    whole = spans(rows)
    root = whole[0]
    return {
        "request_id": root.row.id,
        "began_at": datetime.fromtimestamp(root.begins_us / 1_000_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "duration_us": root.ends_us - root.begins_us,
        "calls": [_call(span, root.begins_us) for span in whole],
    }


def _call(span: Span, since_us: int) -> dict[str, Any]:
    row = span.row
    times = {"begins_us": span.begins_us - since_us, "ends_us": span.ends_us - since_us}
    who = {"request_id": row.id, "parent": row.parent, "stage": row.stage, "function": row.function, "version": row.version}
    took = {name: getattr(row, name) for name in ("queue_us", "init_us", "compute_us", "cpu_us", "billed_us", "batch")}
    return {
        **who,
        "depth": span.depth,
        "status": row.status,
        "code": row.code,
        **times,
        **took,
        "cold": bool(row.cold),
        "peak_kib": row.peak_kib,
        "bytes_in": row.bytes_in,
        "bytes_out": row.bytes_out,
    }


def to_text(rows: Sequence[Row], width: int = WIDTH) -> str:
    """Return a waterfall as people read it: a line a call, its waits and its run as a bar along the time axis."""
    whole = spans(rows)
    root = whole[0]
    cells = [HEADINGS, *(_cells(span) for span in whole)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    bar = max(LEAST_BAR, width - sum(widths) - 2 * len(HEADINGS))
    axis = f"0{f'{(root.ends_us - root.begins_us) / 1000:.1f} ms':>{bar - 1}}"
    lines = [
        f"{_aligned(line, widths)}  {drawn}" for line, drawn in zip(cells, [axis, *(_bar(span, root, bar) for span in whole)], strict=True)
    ]
    return "\n".join(line.rstrip() for line in lines)


def _cells(span: Span) -> tuple[str, ...]:
    row = span.row
    own = row.stage.rpartition("/")[2] or row.function  # without its pipeline's name, which stands above
    name = f"{'  ' * span.depth}{own}{'' if row.code == 'ok' else f' ({row.code})'}"
    return name, *(f"{time_us / 1000:.1f}" for time_us in (row.queue_us, row.init_us, row.compute_us)), str(row.batch), "cold" * row.cold


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join([cells[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))])


def _bar(span: Span, root: Span, width: int) -> str:
    """Return a call's part of the time axis; what is too short to be seen has one sign."""

    def column(at_us: int) -> int:
        whole_us = max(root.ends_us - root.begins_us, 1)
        return min(max(round((at_us - root.begins_us) / whole_us * width), 0), width)

    ends = max(column(span.ends_us), 1)
    runs = min(column(span.runs_us), ends - 1)
    begins = min(column(span.begins_us), runs)
    return " " * begins + WAITS * (runs - begins) + RUNS * (ends - runs)
