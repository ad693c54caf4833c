"""The race's results as people read them: lines for the terminal, and docs/benchmarks.md."""

from typing import Any


def as_lines(found):
    out = []
    for row in found:
        rival = row.rival
        out.append(f"{row.measure.name:14} {row.work:7} {row.clients or '':>3} servelite {row.ours.value:10,.1f}  " + (f"{rival.name} ({rival.setting}) {rival.value:,.1f}  {row.ratio(rival):.2f}" if rival else ""))
    return "\n".join(out)


def as_page(on: dict[str, Any], found, stints) -> str:
    return ""
