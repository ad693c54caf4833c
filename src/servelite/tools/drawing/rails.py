"""A pipeline as lines of text: its stages from top to bottom along a rail, branches indented from theirs.

○ {text}          input
│
● words           function
│ list[str]
↻ each item       64 at a time
├─ ● count        function, retried twice
│ list[int]
○ int             output
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from servelite.core.drawing import IF_IT_FAILS
from servelite.core.outline import Step

Piece = tuple[str, str]
"""Some text and its style, as rich names it."""

Line = tuple[list[Piece], str]
"""What is on the rails, and the remark on its right."""

SIGNS = {
    "function": ("●", "cyan"),
    "pipeline": ("◉", "cyan"),
    "glue": ("◆", "yellow"),
    "value": ("■", "magenta"),
    "missing": ("✗", "red"),
    "route": ("◇", "yellow"),
    "parallel": ("⇉", "blue"),
    "each": ("↻", "blue"),
    "sequence": ("↓", "blue"),
}

FAINT = "bright_black"


def rails(step: Step) -> Iterator[list[Piece]]:
    """Yield the lines of a pipeline's drawing, each in pieces."""
    lines = [_end(step.takes, "input"), _rail(""), *_stages(step), _rail(""), _end(step.result, "output")]
    width = max(_width(pieces) for pieces, remark in lines if remark)
    for pieces, remark in lines:
        gap = " " * (width - _width(pieces) + 2)
        yield [*pieces, (gap, ""), (remark, FAINT)] if remark else pieces


def _end(carries: str, remark: str) -> Line:
    return [("○ ", FAINT), (carries, "italic")], remark


def _rail(carries: str, *, fits: bool = True) -> Line:
    said = [(f" {carries}", "italic")] if carries else []
    return [("│", FAINT), *said, *([] if fits else [("  ✗ does not fit what is next", "red")])], ""


def _stages(step: Step, *, is_last: bool = False) -> Iterator[Line]:
    """Yield the lines of a step; it is the last where no rail goes on below it."""
    is_plain = step.kind == "sequence" and not step.notes and step.fallback is None
    stages = [inner for _, inner in step.inner] if is_plain else [step]
    for stage, following in zip(stages, [*stages[1:], None], strict=True):
        yield from _stage(stage, is_last=is_last and following is None)
        if following is not None:
            yield _rail(stage.result, fits=following.fits)


def _stage(step: Step, *, is_last: bool) -> Iterator[Line]:
    sign, style = SIGNS[step.kind]
    yield [(f"{sign} ", style), (step.title, "red" if step.kind == "missing" else "bold")], ", ".join(step.remarks)
    inside = (("", replace(step, notes=(), fallback=None)),) if step.kind == "sequence" else step.inner
    width = max((len(name) for name, _ in inside), default=0)
    branches = [("─", f"{name:{width}} " if name else "", inner) for name, inner in inside]
    if step.fallback is not None:
        branches.append(("╌", f"{IF_IT_FAILS} ", step.fallback))
    for number, (dash, label, inner) in enumerate(branches, start=1):
        turn, rail = ("╰", " ") if is_last and number == len(branches) else ("├", "│")
        yield from _branch(f"{turn}{dash} ", label, list(_stages(inner, is_last=True)), rail)


def _branch(turn: str, label: str, lines: Sequence[Line], rail: str) -> Iterator[Line]:
    """Put the lines of a branch beside its name."""
    indent = " " * (len(turn) - 1 + len(label))
    for number, (pieces, remark) in enumerate(lines):
        before = [(rail, FAINT), (indent, "")] if number else [(turn, FAINT), (label, "")]
        yield [*before, *pieces], remark


def _width(pieces: Sequence[Piece]) -> int:
    return sum(len(text) for text, _ in pieces)
