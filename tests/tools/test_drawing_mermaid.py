"""Pipelines as Mermaid flowcharts; read back by a reader of the part of Mermaid's grammar that is written."""

import re
from html import unescape
from typing import Any

from hypothesis import given

from servelite.core.drawing import Arrow, Box, Drawing, draw
from servelite.core.outline import outline
from servelite.tools.drawing.mermaid import CLASSES, LINES, SHAPES, mermaid
from tests.core.drawings import ANY_KNOWN, KNOWN

TEXT = r'"([^"`\n]*)"'
BOX = re.compile(rf"(n\d+)([(\[{{/]+){TEXT}([)\]}}/]+)")
FRAME = re.compile(rf"subgraph (f\d+)\[{TEXT}\]")
ARROW = re.compile(rf"([nf]\d+) (-->|-\.->|==>)(?:\|{TEXT}\|)? (n\d+)")
CLASS = re.compile(r"class ([nf]\d+(?:,[nf]\d+)*) (\w+)")
LOOK = re.compile(r"classDef (\w+) [a-z-]+:[#\w ]+(,[a-z-]+:[#\w ]+)*")


def plain(text: str) -> str:
    """Return a text as Mermaid shows it."""
    return unescape(re.sub(r"#(\d+|\w+);", lambda found: f"&{'#' * found[1].isdigit()}{found[1]};", text))


class Flowchart:
    """What is read from a flowchart: boxes and frames with the frame that they are in, arrows, classes."""

    def __init__(self, text: str) -> None:
        first, *lines = text.splitlines()
        assert first == "flowchart TB"
        self.boxes: dict[str, tuple[str, tuple[str, str], str]] = {}
        self.frames: dict[str, tuple[str, str]] = {}
        self.arrows: list[tuple[str, str, str, str]] = []
        self.classes: dict[str, str] = {}
        self.looks: set[str] = set()
        self._open = [""]
        for line in lines:
            self._read(line.strip())
        assert self._open == [""]

    def _read(self, line: str) -> None:
        if line == "end":
            self._open.pop()
        elif found := FRAME.fullmatch(line):
            self.frames[found[1]] = plain(found[2]), self._open[-1]
            self._open.append(found[1])
        elif found := BOX.fullmatch(line):
            self.boxes[found[1]] = found[3], (found[2], found[4]), self._open[-1]
        elif found := ARROW.fullmatch(line):
            self.arrows.append((found[1], found[2], plain(found[3] or ""), found[4]))
        elif found := CLASS.fullmatch(line):
            self.classes |= dict.fromkeys(found[1].split(","), found[2])
        else:
            looks = LOOK.fullmatch(line)
            assert looks, line
            self.looks.add(looks[1])


def shown(box: Box) -> str:
    small = ", ".join(box.notes)
    return (box.title or " ") + (f"\n{small}" if small else "")


def assert_says(flowchart: Flowchart, drawing: Drawing) -> None:
    texts = {name: plain(re.sub(r"<br/><small>(.*)</small>", r"\n\1", text)) for name, (text, _, _) in flowchart.boxes.items()}
    assert texts == {box.id: shown(box) for box in drawing.boxes}
    assert {name: (shape, frame) for name, (_, shape, frame) in flowchart.boxes.items()} == {
        box.id: (SHAPES[box.kind], box.frame) for box in drawing.boxes
    }
    assert flowchart.frames == {frame.id: (frame.label, frame.frame) for frame in drawing.frames}
    assert flowchart.arrows == [(one.start, LINES[one.kind], one.label, one.end) for one in drawing.arrows]
    told = {box.id: box.kind for box in drawing.boxes if box.kind in CLASSES} | {frame.id: "frame" for frame in drawing.frames}
    assert flowchart.classes == told
    assert set(told.values()) == flowchart.looks


@given(ANY_KNOWN)
def test_any_drawing_can_be_read_from_its_flowchart(known: dict[str, Any]) -> None:
    drawing = draw("any", outline("any", known, is_deep=True))
    assert_says(Flowchart(mermaid(drawing)), drawing)


def test_a_flowchart_has_every_kind_of_part() -> None:
    drawing = draw("review", outline("review", KNOWN, is_deep=True))
    text = mermaid(drawing)
    assert_says(Flowchart(text), drawing)
    assert '    subgraph f0["read, pipeline"]\n        n1["detect<br/><small>function</small>"]\n' in text
    assert '    n1 -->|"list[bytes]"| n2\n    n2 -.->|"if it fails"| n3\n' in text
    assert text.endswith("frame\n")


def test_what_mermaid_would_take_for_its_own_is_escaped() -> None:
    """Mermaid looks for these statements in any line, in quoted texts too, before it parses."""
    strange = 'a "style: x#y;" `direction TB` <b>&\\n'
    drawing = Drawing("it", (Box("n0", "value", strange),), (), (Arrow("n0", "n0", carries=strange),))
    text = mermaid(drawing)
    assert not re.search(r"style.*:\S*#.*;", text.partition("classDef")[0])
    assert not re.search(r"direction\s+TB", text)
    assert text.count("`") == text.count("&") == text.count("\\") == 0
    assert_says(Flowchart(text), drawing)
