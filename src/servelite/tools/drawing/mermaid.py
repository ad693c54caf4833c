"""A pipeline's drawing as the text of a Mermaid flowchart, which GitHub, GitLab and many editors show as a picture."""

import re
from collections.abc import Iterator

from servelite.core.drawing import Arrow, Box, Drawing

SHAPES = {
    "input": ("([", "])"),
    "output": ("([", "])"),
    "function": ("[", "]"),
    "pipeline": ("[[", "]]"),
    "glue": ("(", ")"),
    "value": ("[/", "/]"),
    "missing": ("[", "]"),
    "choice": ("{", "}"),
    "fork": ("((", "))"),
    "join": ("((", "))"),
}
"""What encloses the text of a box, by its kind."""

CLASSES = {
    "function": "fill:#d3ebe6,stroke:#0d6e62,color:#0b2f2a",
    "pipeline": "fill:#d3ebe6,stroke:#0d6e62,color:#0b2f2a,stroke-width:2px",
    "glue": "fill:#f7e6c4,stroke:#a8721a,color:#3d2a08",
    "choice": "fill:#f7e6c4,stroke:#a8721a,color:#3d2a08",
    "value": "fill:#e6def2,stroke:#75579f,color:#2a1c42",
    "missing": "fill:#fbe0dd,stroke:#b3261e,color:#5c120d,stroke-dasharray:5 4",
    "fork": "fill:#8a94a0,stroke:#8a94a0,color:#8a94a0",
    "join": "fill:#8a94a0,stroke:#8a94a0,color:#8a94a0",
}
"""Colours that are readable on white and on black."""

FRAME = "fill:none,stroke:#8a94a0"

LINES = {"flow": "-->", "fallback": "-.->", "misfit": "==>"}

_UNSAFE = re.compile(r'["#<>&;:`\\]|(?<=direction)\s')
"""What ends a quoted text or is markup in it; Mermaid also looks for `style…:…#…;` and `direction TB` wherever they stand."""

_NAMED = {'"': "quot", "<": "lt", ">": "gt", "&": "amp"}


def mermaid(drawing: Drawing) -> str:
    """Return the text of a flowchart, top to bottom."""
    return "\n".join(["flowchart TB", *_inside(drawing, "", "    "), *_arrows(drawing), *_classes(drawing)]) + "\n"


def _inside(drawing: Drawing, frame: str, indent: str) -> Iterator[str]:
    """Yield the boxes of a frame, and the frames in it."""
    yield from (f"{indent}{_box(box)}" for box in drawing.boxes if box.frame == frame)
    for inner in drawing.frames:
        if inner.frame == frame:
            yield f"{indent}subgraph {inner.id}[{_quoted(inner.label)}]"
            yield from _inside(drawing, inner.id, f"{indent}    ")
            yield f"{indent}end"


def _box(box: Box) -> str:
    left, right = SHAPES[box.kind]
    small = ", ".join(box.notes)
    text = _escaped(box.title or " ") + (f"<br/><small>{_escaped(small)}</small>" if small else "")
    return f'{box.id}{left}"{text}"{right}'


def _arrows(drawing: Drawing) -> Iterator[str]:
    return (f"    {arrow.start} {LINES[arrow.kind]}{_label(arrow)} {arrow.end}" for arrow in drawing.arrows)


def _label(arrow: Arrow) -> str:
    return f"|{_quoted(arrow.label)}|" if arrow.label else ""


def _classes(drawing: Drawing) -> Iterator[str]:
    for kind, look in CLASSES.items():
        if ids := [box.id for box in drawing.boxes if box.kind == kind]:
            yield f"    classDef {kind} {look}"
            yield f"    class {','.join(ids)} {kind}"
    if drawing.frames:
        yield f"    classDef frame {FRAME}"
        yield f"    class {','.join(frame.id for frame in drawing.frames)} frame"


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'


def _escaped(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"#{_NAMED.get(found[0], ord(found[0]))};", text)
