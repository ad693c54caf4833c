"""A picture of each day's compute-seconds, as PNG; matplotlib has its room here."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from servelite.core.errors import DefinitionError
from servelite.core.tariff import MICRO

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIZE_INCHES, MARGIN_INCHES, DOTS_AN_INCH = (10, 4.8), 0.18, 160

INK, GREY, BAR, WEEKEND = "#1f2933", "#6b7785", "#2f6fb2", "#8fb4da"

SATURDAY = 5


def draw_days(file: Path, days: Sequence[tuple[date, int]], title: str, subtitle: str) -> None:
    """Draw the compute time of each day, µs, as bars.

    Raises:
        DefinitionError: matplotlib is not installed.
        OSError: the file can't be written.
    """
    try:
        from matplotlib.figure import Figure  # not pyplot, which looks for a display
        from matplotlib.layout_engine import ConstrainedLayoutEngine
    except ImportError as error:
        raise DefinitionError("--png draws with matplotlib, which is not installed: pip install 'servelite[plot]'") from error
    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_AN_INCH, layout=ConstrainedLayoutEngine(w_pad=MARGIN_INCHES, h_pad=MARGIN_INCHES))
    axes = figure.add_subplot()
    _draw_bars(axes, days)
    axes.set_title(f"{title}\n", loc="left", color=INK, fontsize=15, fontweight="bold")
    axes.text(0, 1.035, subtitle, transform=axes.transAxes, color=GREY, fontsize=10.5, parse_math=False)  # names may hold a $
    axes.set_ylabel("compute-seconds", color=GREY)
    axes.set_xlabel("day (UTC); weekends are lighter", color=GREY)
    figure.savefig(file, format="png")


def _draw_bars(axes: "Axes", days: Sequence[tuple[date, int]]) -> None:
    numbers = [day.day for day, _ in days]
    colours = [WEEKEND if day.weekday() >= SATURDAY else BAR for day, _ in days]
    axes.bar(numbers, [us / MICRO for _, us in days], width=0.78, color=colours, zorder=2)
    axes.set_xlim(0.4, len(days) + 0.6)
    axes.set_xticks(numbers)
    if not any(us for _, us in days):
        axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter("{x:,.6g}")
    axes.grid(axis="y", color="#e3e8ee", zorder=0)
    axes.tick_params(colors=GREY, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color("#b8c2cc")
