"""The race's results as people read them: tables for the terminal, and docs/benchmarks.md."""

from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from results import MEASURES, PER_S, Entry, Measure, Row, StintResult, did_not_run, errors

OURS = "servelite"
COMMAND = "make race"
NOISY_CORES = 0.2
"""What others may use of the machine before a run is called noisy."""


def as_lines(found: Sequence[Row]) -> str:
    """Write the rows for a terminal: servelite beside the best of the others, those where it is not first before all else."""
    table = [("measure", "work", "clients", OURS, "best other", "", "ratio"), *map(_line, found)]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    behind = sum(not row.is_first for row in found)
    return "\n".join([*lines[: behind + 1], *(["-" * len(lines[0])] if behind else []), *lines[behind + 1 :]])


def _line(row: Row) -> tuple[str, ...]:
    rival, clients = row.rival, str(row.clients or "")
    if rival is None:
        return row.measure.name, row.work, clients, shown(row.measure, row.ours.value), "", "", ""
    label = f"{rival.name} ({rival.setting})" if rival.setting else rival.name
    values = shown(row.measure, row.ours.value), label, shown(row.measure, rival.value)
    return row.measure.name, row.work, clients, *values, f"{row.worst_ratio:.2f}"


def as_page(on: dict[str, Any], found: Sequence[Row], stints: Sequence[StintResult]) -> str:
    """Write docs/benchmarks.md."""
    parts = [_head(on, stints), _behind(found)]
    parts += [_measure(measure, [row for row in found if row.measure is measure]) for measure in MEASURES]
    parts += [_errors(stints), _settings(found), _contestants(on, stints), _missing(stints)]
    return "\n\n".join(filter(None, parts)) + "\n"


def _head(on: dict[str, Any], stints: Sequence[StintResult]) -> str:
    loads = [load for stint in stints for load in stint.loads if load.generator_cores]
    noise = median(load.other_cores for load in loads) if loads else 0.0
    generator = max((load.generator_cores for load in loads), default=0.0)
    fastest = max((load.per_s for load in loads), default=0.0)
    quiet = "so this was a quiet run" if noise <= NOISY_CORES else "so this was a noisy run: believe ratios, not figures"
    return f"""# Benchmarks

The same three works on servelite and on its peers, on one machine, measured on {on["date"]} by `{COMMAND}` (loadtests/peers/README.md).
This page is written by it.

| machine | |
|---|---|
| processor | {on["cpu"]}, {on["cores"]} cores |
| memory | {on["ram_gib"]} GiB |
| system | {on["kernel"]}, Python {on["python"]} |
| rounds | {on["rounds"]}, of {on["seconds"]:g} s a load; figures are medians |
| others | used {noise:.2f} cores meanwhile (median), {quiet} |
| generator | wrk on the same machine; it used {generator:.2f} cores at most, and sent up to {fastest:,.0f} requests a second |

*echo* gives back a text. *tiny* is a model of 64 numbers that takes some 10 µs. *medium* is a model of 384 → 4096 → 4096 → 10,
74 MB, which gains from batches. All check their input and answer JSON. servelite runs as it comes: in processes of its own, with
validation, receipts, and each call's row in an SQLite ledger; nobody else meters. Of each contestant the setting with the most
requests a second in a cell stands for it there; of memory and first answer it is the setting that is best.

A ratio says how many times better servelite is than the other: 1.00 is the same, below 1 the other is better.
*bare uvloop* (the same bytes to whatever comes) and *onnxruntime* (a loop in one process, batches as large as there are clients) do
less than the work, and show the limits."""


def _behind(found: Sequence[Row]) -> str:
    behind = [row for row in found if not row.is_first]
    title = f"## Where servelite is not first: {len(behind)} of {len(found)} rows"
    if not behind:
        return title
    cells = [("measure", "work", "clients", OURS, "first", "its figure", "ratio")]
    for row in behind:
        assert row.rival is not None
        figures = shown(row.measure, row.ours.value), row.rival.name, shown(row.measure, row.rival.value), f"**{row.worst_ratio:.2f}**"
        cells.append((row.measure.name, row.work, str(row.clients or "any"), *figures))
    return f"{title}\n\n{_table(cells)}"


def _measure(measure: Measure, found: Sequence[Row]) -> str:
    """Write a table of one measure: a column for each contestant, with its figure and the ratio."""
    if not found:
        return ""
    names = list(dict.fromkeys(entry.name for row in found for entry in row.others))
    limits = list(dict.fromkeys(entry.name for row in found for entry in row.limits))
    cells = [("work", "clients", OURS, *names, *(f"*{name}*" for name in limits))]
    for row in found:
        others, bounds = {entry.name: entry for entry in row.others}, {entry.name: entry for entry in row.limits}
        compared = [_compared(row, others.get(name)) for name in names]
        beside = [f"*{shown(measure, bounds[name].value)}*" if name in bounds else "" for name in limits]
        cells.append((row.work, str(row.clients or "any"), f"**{shown(measure, row.ours.value)}**", *compared, *beside))
    unit = f", {measure.unit}" if measure.unit else ""
    better = "more is better" if measure.more_is_better else "less is better"
    return f"## {measure.name[0].upper()}{measure.name[1:]}{unit} ({better}; in brackets the ratio)\n\n{_table(cells)}"


def _compared(row: Row, other: Entry | None) -> str:
    return "-" if other is None else f"{shown(row.measure, other.value)} ({row.ratio(other):.2f})"


def _errors(stints: Sequence[StintResult]) -> str:
    cells = [("contestant", "answers", "not 2xx, or broken", "wrong")]
    cells += [(name, f"{answers:,}", f"{failed:,}", f"{wrong:,}") for name, (answers, failed, wrong) in errors(stints).items()]
    return f"## Errors\n\nAnswers to all examples are held against onnxruntime's own, before and after each load.\n\n{_table(cells)}"


def _settings(found: Sequence[Row]) -> str:
    """Say which setting stands for whom in which cell."""
    cells = [("contestant", "setting", "the fastest at")]
    best: dict[tuple[str, str], list[str]] = {}
    for row in found:
        if row.measure is PER_S:
            for entry in (*row.others, *row.limits):
                best.setdefault((entry.name, entry.setting), []).append(f"{row.work} {row.clients}")
    cells += [(name, setting, ", ".join(sorted(where))) for (name, setting), where in sorted(best.items()) if setting]
    return f"## Settings\n\n{_table(cells)}"


def _contestants(on: dict[str, Any], stints: Iterable[StintResult]) -> str:
    kinds = {stint.name: stint.kind for stint in stints}
    cells = [("contestant", "what it is", "version", "onnxruntime", "packages")]
    for name, packages in on["packages"].items():
        if name in kinds:
            version = next((packages[word] for word in name.lower().split() if word in packages), "")
            cells.append((name, kinds[name], version, packages.get("onnxruntime", ""), str(len(packages))))
    return f"## Contestants\n\nPackages are those of an environment that serves these works with it.\n\n{_table(cells)}"


def _missing(stints: Iterable[StintResult]) -> str:
    cells = [("who", "why"), *((who, " ".join(why.split())[:200].replace("|", "/")) for who, why in did_not_run(stints).items())]
    return f"## Did not run\n\n{_table(cells)}" if len(cells) > 1 else ""


def _table(cells: Sequence[Sequence[str]]) -> str:
    head, *rest = cells
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rest))


def shown(measure: Measure, value: float) -> str:
    """Write a figure with as many digits as are worth reading."""
    digits = 0 if value >= 100 or measure is PER_S else 1 if value >= 10 else 2
    return f"{value:,.{digits}f}"
