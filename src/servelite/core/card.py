"""The bars of a card: what `[acceptance]` asks of the figures in `[measured]`, name by name.

A number is the least that a figure may be; `{ min = …, max = … }`, or one of the two, is a span; any other table
is a group of bars, and its figures are in the table of the same name below `[measured]`.
"""

from collections.abc import Iterator
from math import inf
from typing import Any, NamedTuple


class Bar(NamedTuple):
    """What one figure must clear; `asked` is as the card has it."""

    name: str
    asked: Any
    figure: Any

    @property
    def shortfall(self) -> str | None:
        """Say what is wrong and the cure; None where the figure clears the bar."""
        span = self.asked if _is_span(self.asked) else {"min": self.asked}
        if not all(map(_is_number, span.values())):
            return f"[acceptance] {self.name} = {self.asked!r} is no bar: write a number, the least, or {{ min = …, max = … }}."
        if not _is_number(self.figure):
            return f"[acceptance] has a bar for {self.name}, but [measured] has no such figure: measure it, or remove the bar."
        if self.figure < span.get("min", -inf):
            return f"{self.name} is {self.figure}, below its bar of {span['min']}: improve the model, or lower the bar."
        if self.figure > span.get("max", inf):
            return f"{self.name} is {self.figure}, above its bar of {span['max']}: improve the model, or raise the bar."
        return None


def read_bars(card: dict[str, Any]) -> list[Bar]:
    """Return the bars of a card, each with its figure, None where there is none."""
    return list(_bars("", card.get("acceptance", {}), card.get("measured")))


def _bars(name: str, asked: Any, measured: Any) -> Iterator[Bar]:
    if not isinstance(asked, dict) or _is_span(asked):
        yield Bar(name, asked, measured)
        return
    for key, part in asked.items():
        figure = measured.get(key) if isinstance(measured, dict) else None
        yield from _bars(f"{name}.{key}".removeprefix("."), part, figure)


def _is_span(asked: Any) -> bool:
    return isinstance(asked, dict) and bool(asked) and asked.keys() <= {"min", "max"}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
