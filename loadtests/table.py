"""A figure, how it stands to what was asked, and the table of them all."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median

HEADINGS = ("figure", "asked", "measured", "ratio")


@dataclass(frozen=True, slots=True)
class Figure:
    """A number that was measured.

    asked      the bound that it should keep; None: shown beside one that has a bound
    at_least   whether the bound is the smallest value that is fine, not the largest
    is_timing  whether it may be off on a busy machine; the others must be right anywhere
    """

    name: str
    measured: float
    unit: str = ""
    asked: float | None = None
    at_least: bool = False
    is_timing: bool = True
    note: str = ""
    samples: Sequence[float] = field(default=())

    @classmethod
    def of(cls, name: str, samples: Sequence[float], unit: str, asked: float | None = None) -> "Figure":
        """Make a figure of the median of some samples; the bound is the largest value that is fine."""
        return cls(name, median(samples), unit, asked, samples=samples)

    @property
    def is_met(self) -> bool:
        if self.asked is None:
            return True
        return self.measured >= self.asked if self.at_least else self.measured <= self.asked

    @property
    def ratio(self) -> float | None:
        """How many times over the figure is met, 1 being just; None where that is no number."""
        if not self.asked or self.measured <= 0:
            return None
        return self.measured / self.asked if self.at_least else self.asked / self.measured

    def cells(self) -> tuple[str, str, str, str]:
        """Return its row of the table."""
        asked = "" if self.asked is None else f"{'≥' if self.at_least else '≤'} {self._shown(self.asked)}"
        stands = "" if self.asked is None else ("met" if self.is_met else "missed")
        ratio = stands if self.ratio is None else f"{self.ratio:.2f}"
        return self.name, asked, " ".join(filter(None, (self._shown(self.measured), self.note))), ratio

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON-able data."""
        return {
            "figure": self.name,
            "asked": self.asked,
            "at_least": self.at_least,
            "measured": self.measured,
            "unit": self.unit,
            "ratio": self.ratio,
            "met": self.is_met,
            "note": self.note,
            "samples": list(self.samples),
        }

    def _shown(self, value: float) -> str:
        digits = 0 if value == int(value) or abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
        return f"{value:,.{digits}f} {self.unit}".rstrip()


def as_table(figures: Sequence[Figure]) -> str:
    """Write figures in four columns."""
    rows = [HEADINGS, *(figure.cells() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def as_json(figures: Sequence[Figure]) -> str:
    """Write figures with their samples, and what they were measured on."""
    return json.dumps({"on": machine(), "figures": [figure.to_dict() for figure in figures]}, indent=2)


def machine() -> dict[str, object]:
    """Say what is measured on, and how busy it is."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }
