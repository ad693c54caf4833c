"""Service level objectives: `p95=50ms,errors=0` read, and held against what was measured."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from servelite.core.errors import DefinitionError
from servelite.tools.loadtest.summary import Row

TIMES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
METRICS = (*TIMES, "errors", "rps")
UNITS_US = {"us": 1, "µs": 1, "ms": 1000, "s": 1_000_000}
EXAMPLE = "Write for example p95=50ms,errors=0"


@dataclass(frozen=True, slots=True)
class Objective:
    """A bound of one metric: at most `limit` µs or errors, or at least `limit` calls a second; `is_share` of errors in all calls."""

    metric: str
    limit: float
    is_share: bool = False

    def is_met(self, row: Row) -> bool:
        """Tell whether what was measured keeps to it; where nothing was answered no time does."""
        if self.metric in TIMES:
            us = row.us(self.metric)
            return us is not None and us <= self.limit
        if self.metric == "rps":
            return row.rps >= self.limit
        return row.failed <= (self.limit * row.calls if self.is_share else self.limit)

    def __str__(self) -> str:
        if self.metric in TIMES:
            return f"{self.metric} <= {said_us(self.limit)}"
        if self.metric == "rps":
            return f"rps >= {self.limit:,g}"
        return f"errors <= {self.limit:.4g}" if not self.is_share else f"errors <= {self.limit:.4%}".rstrip("0%").rstrip(".") + "%"

    def seen(self, row: Row) -> str:
        """Say what was measured."""
        if self.metric in TIMES:
            return said_us(row.us(self.metric))
        if self.metric == "rps":
            return f"{row.rps:,.1f}"
        return f"{row.failed:,} of {row.calls:,}"


def parse_slo(text: str) -> tuple[Objective, ...]:
    """Read objectives.

    Raises:
        DefinitionError: one is none, or is said twice; with the cure.
    """
    found = [_objective(part.strip()) for part in text.split(",") if part.strip()]
    metrics = [one.metric for one in found]
    for metric in metrics:
        if metrics.count(metric) > 1:
            raise DefinitionError(f"'{text[:100]}' has two bounds for {metric}. Give it one.")
    if not found:
        raise DefinitionError(f"The SLO is empty. {EXAMPLE}.")
    return tuple(found)


def missed(objectives: Sequence[Objective], row: Row) -> list[Objective]:
    """Return the objectives that are not met."""
    return [one for one in objectives if not one.is_met(row)]


def said_us(us: float | None) -> str:
    """Write a time to three digits, in µs, ms or s."""
    if us is None:
        return "-"
    for unit, below in (("µs", 999.5), ("ms", 999_500)):
        if us < below:
            return f"{us / UNITS_US[unit]:.3g} {unit}"
    return f"{us / 1_000_000:,.3g} s" if us < 999.5e6 else f"{us / 1_000_000:,.0f} s"


def _objective(part: str) -> Objective:
    metric, equals, said = (one.strip() for one in part.partition("="))
    if metric not in METRICS:
        raise DefinitionError(f"'{metric[:40]}' is no metric of an SLO. There are {', '.join(METRICS)}. {EXAMPLE}.")
    number = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*(%|[a-zµ]*)", said)
    if not equals or not number:
        raise DefinitionError(f"'{part[:60]}' gives {metric} no bound. {EXAMPLE}.")
    limit, unit = float(number[1]), number[2]
    if metric in TIMES:
        if unit not in UNITS_US:
            raise DefinitionError(f"'{part[:60]}': a time has a unit, us, ms or s. Write for example {metric}={number[1]}ms.")
        return Objective(metric, limit * UNITS_US[unit])
    if metric == "errors" and unit == "%":
        return Objective(metric, limit / 100, is_share=True)
    if unit:
        cure = "Write for example errors=0, or errors=1%" if metric == "errors" else "Write for example rps=100"
        raise DefinitionError(f"'{part[:60]}': {metric} is a number, and '{unit}' none of its units. {cure}.")
    return Objective(metric, limit)
