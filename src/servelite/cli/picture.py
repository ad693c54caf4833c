"""Pictures as PNG: each day's compute-seconds, what calls cost at many rates, and a load over time; matplotlib has its room here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, TYPE_CHECKING

from servelite.core.errors import DefinitionError
from servelite.core.tariff import MICRO

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE_INCHES, MARGIN_INCHES, DOTS_AN_INCH = (10, 4.8), 0.18, 160

INK, GREY, BAR, WEEKEND = "#1f2933", "#6b7785", "#2f6fb2", "#8fb4da"

SATURDAY = 5


LAMBDA, FLEET, FAILED = "#d9822b", "#2f6fb2", "#c23934"


@dataclass(frozen=True, slots=True)
class Costs:
    """What is drawn of a plan: at each of some rates what a month costs, in millionths of a dollar, None where it can't be had.

    asked_rps, even_rps  rates that are marked: the one that was asked about, and the break-even, if there is one
    """

    title: str
    subtitle: str
    rates: Sequence[float]
    lambda_micro: Sequence[int | None]
    fleet_micro: Sequence[int | None]
    asked_rps: float
    even_rps: float | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What is drawn of a load test, moment by moment.

    p50_ms, p95_ms    the median and the 95th percentile, None where nothing was answered
    answered, failed  calls a second that were answered rightly, and that were not
    """

    title: str
    subtitle: str
    at_s: Sequence[int]
    p50_ms: Sequence[float | None]
    p95_ms: Sequence[float | None]
    answered: Sequence[float]
    failed: Sequence[float]


def draw_days(file: Path, days: Sequence[tuple[date, int]], title: str, subtitle: str) -> None:
    """Draw the compute time of each day, µs, as bars.

    Raises:
        DefinitionError: matplotlib is not installed.
        OSError: the file can't be written.
    """
    figure, axes = _sheet(title, subtitle)
    _draw_bars(axes, days)
    axes.set_ylabel("compute-seconds", color=GREY)
    axes.set_xlabel("day (UTC); weekends are lighter", color=GREY)
    figure.savefig(file, format="png")


def draw_costs(file: Path, costs: Costs) -> None:
    """Draw what a month costs on Lambda and on servers as lines over the rate of calls; see `draw_days`."""
    figure, axes = _sheet(costs.title, costs.subtitle)
    _draw_line(axes, costs.rates, costs.lambda_micro, LAMBDA, "AWS Lambda, best memory size")
    _draw_line(axes, costs.rates, costs.fleet_micro, FLEET, "servers, as few as will do", step=True)
    axes.axvline(costs.asked_rps, color=GREY, linestyle=(0, (4, 4)), linewidth=1)
    axes.set(xscale="log", yscale="log")
    axes.set_xlim(costs.rates[0], costs.rates[-1])
    if costs.even_rps is not None and costs.rates[0] <= costs.even_rps <= costs.rates[-1]:
        axes.axvline(costs.even_rps, color=INK, linewidth=1)
        text, place = f"break-even: {costs.even_rps:.3g} calls a second", (costs.even_rps, 0.04)
        where = ("data", "axes fraction")
        axes.annotate(text, place, xytext=(6, 0), xycoords=where, textcoords="offset points", color=INK, fontsize=10.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:,.10g}")
    axes.legend(frameon=False, loc="upper left", labelcolor=INK)
    axes.set_xlabel("calls a second, the mean of a day", color=GREY)
    axes.set_ylabel("USD a month", color=GREY)
    figure.savefig(file, format="png")


def draw_load(file: Path | IO[bytes], load: Load) -> None:
    """Draw latency as lines over time, and throughput as an area behind them; see `draw_days`."""
    figure, axes = _sheet(load.title, load.subtitle)
    behind = axes.twinx()
    behind.fill_between(load.at_s, load.answered, step="mid", color=WEEKEND, alpha=0.45, linewidth=0, label="answers a second, right")
    if any(load.failed):
        behind.fill_between(load.at_s, load.failed, step="mid", color=FAILED, alpha=0.6, linewidth=0, label="errors a second")
    behind.set_ylabel("calls a second, as areas", color=GREY)
    behind.tick_params(colors=GREY, length=0)
    for side in behind.spines.values():
        side.set_visible(False)
    for times, colour, label in ((load.p50_ms, FLEET, "median"), (load.p95_ms, LAMBDA, "95 of 100 within")):
        heights = [float("nan") if ms is None else ms for ms in times]
        axes.plot(load.at_s, heights, color=colour, linewidth=2.2, label=label, solid_capstyle="round", marker="o", markersize=2.5)
    for one in (axes, behind):
        one.set_ylim(bottom=0)
    axes.set_zorder(behind.get_zorder() + 1)  # lines before areas
    axes.patch.set_visible(False)
    axes.set_ylabel("ms", color=GREY)
    axes.set_xlabel("seconds", color=GREY)
    lines, areas = (one.get_legend_handles_labels() for one in (axes, behind))
    figure.legend(lines[0] + areas[0], lines[1] + areas[1], frameon=False, loc="outside lower center", ncols=4, labelcolor=INK)
    figure.savefig(file, format="png")


def require_matplotlib() -> None:
    """Raise DefinitionError, with the cure, where matplotlib is not installed."""
    try:
        import matplotlib.figure  # noqa: F401  it is there
    except ImportError as error:
        raise DefinitionError("Pictures are drawn with matplotlib, which is not installed: pip install 'servelite[plot]'") from error


def _sheet(title: str, subtitle: str) -> "tuple[Figure, Axes]":
    """Return an empty picture with its titles."""
    require_matplotlib()
    from matplotlib.figure import Figure  # not pyplot, which looks for a display
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_AN_INCH, layout=ConstrainedLayoutEngine(w_pad=MARGIN_INCHES, h_pad=MARGIN_INCHES))
    axes = figure.add_subplot()
    axes.set_title(f"{title}\n", loc="left", color=INK, fontsize=15, fontweight="bold")
    axes.text(0, 1.035, subtitle, transform=axes.transAxes, color=GREY, fontsize=10.5, parse_math=False)  # names may hold a $
    axes.grid(axis="y", color="#e3e8ee", zorder=0)
    axes.tick_params(which="both", colors=GREY, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#b8c2cc")
    return figure, axes


def _draw_line(axes: "Axes", rates: Sequence[float], micro: Sequence[int | None], colour: str, label: str, *, step: bool = False) -> None:
    known = [(rate, amount / MICRO) for rate, amount in zip(rates, micro, strict=True) if amount]
    if known:
        style = "steps-post" if step else "default"
        axes.plot(*zip(*known, strict=True), color=colour, linewidth=2.2, label=label, drawstyle=style, solid_capstyle="round")


def _draw_bars(axes: "Axes", days: Sequence[tuple[date, int]]) -> None:
    numbers = [day.day for day, _ in days]
    colours = [WEEKEND if day.weekday() >= SATURDAY else BAR for day, _ in days]
    axes.bar(numbers, [us / MICRO for _, us in days], width=0.78, color=colours, zorder=2)
    axes.set_xlim(0.4, len(days) + 0.6)
    axes.set_xticks(numbers)
    if not any(us for _, us in days):
        axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter("{x:,.6g}")
