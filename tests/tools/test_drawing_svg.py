"""Pipelines as SVG pictures."""

import re
import sys
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings

from servelite.core.drawing import Arrow, Box, Drawing, draw
from servelite.core.errors import DefinitionError
from servelite.core.outline import outline
from servelite.tools.drawing.svg import svg
from tests.core.drawings import ANY_KNOWN, KNOWN

SVG = "{http://www.w3.org/2000/svg}"


class Picture:
    """What is read from a picture: the groups of a class with their texts."""

    def __init__(self, text: str) -> None:
        self.root = ElementTree.fromstring(text)

    def groups(self, kind: str) -> list[tuple[str, list[str]]]:
        """Return the titles of all groups of a class, each with its lines of text."""
        found = [one for one in self.root.iter(f"{SVG}g") if kind in one.get("class", "").split()]
        return [(one.findtext(f"{SVG}title", ""), [text.text or "" for text in one.findall(f"{SVG}text")]) for one in found]


@pytest.fixture(scope="module")
def review() -> Drawing:
    return draw("review", outline("review", KNOWN, is_deep=True))


def test_a_picture_has_every_box_with_its_kind(review: Drawing) -> None:
    picture = Picture(svg(review))
    assert dict(picture.groups("function"))["n1"] == ["detect", "function"]
    assert dict(picture.groups("function"))["n2"] == ["recognise", "function", "retried twice on timed_out", "at most 1.5 s"]
    assert sorted(texts[0] for _, texts in picture.groups("glue")) == ["join", "judge", "judge"]
    assert sorted(texts[0] for _, texts in picture.groups("value")) == ['""', "null", '{"n": 0}']
    assert picture.groups("choice")[0][1] == ["choose", "glue that chooses"]


def test_a_picture_has_every_arrow_with_what_it_carries(review: Drawing) -> None:
    picture = Picture(svg(review))
    assert len(picture.groups("edge")) == len(review.arrows)
    assert ("n1->n2", ["list[bytes]"]) in [(title, [text.strip() for text in texts]) for title, texts in picture.groups("flow")]
    assert [[text.strip() for text in texts] for _, texts in picture.groups("fallback")] == [["if it fails"], ["if it fails"]]


def test_what_frames_are_called_stands_above_the_arrows(review: Drawing) -> None:
    picture = Picture(svg(review))
    assert picture.groups("captions") == [("", [frame.label for frame in review.frames])]
    assert all(texts == [] for _, texts in picture.groups("cluster"))


def test_a_picture_is_light_or_dark_as_its_reader_wants(review: Drawing) -> None:
    text = svg(review)
    style = Picture(text).root.findtext(f"{SVG}style", "")
    light, _, dark = style.partition("@media (prefers-color-scheme: dark)")
    for kind in {box.kind for box in review.boxes} - {"input", "output", "fork", "join"}:
        for look in (light, dark):
            assert re.search(rf"\.{kind} (path|polygon)", look)
    assert '<polygon class="paper"' in text


def test_a_picture_loads_and_runs_nothing(review: Drawing) -> None:
    root = Picture(svg(review)).root
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= {
        "svg",
        "style",
        "g",
        "title",
        "text",
        "path",
        "polygon",
        "ellipse",
    }


def test_strange_texts_are_shown_as_they_are() -> None:
    strange = 'a "quoted" \\n <b>&amp; ✗ 你好 \\'
    drawing = Drawing('it "s', (Box("n0", "glue", strange), Box("n1", "glue", "b")), (), (Arrow("n0", "n1", carries=strange),))
    picture = Picture(svg(drawing))
    assert dict(picture.groups("glue"))["n0"] == [strange]
    assert [texts[0].strip() for _, texts in picture.groups("flow")] == [strange]
    assert picture.groups("graph")[0][0] == 'it "s'


def test_nothing_is_said_on_stderr(review: Drawing, capfd: pytest.CaptureFixture[str]) -> None:
    svg(review)
    assert capfd.readouterr() == ("", "")


@settings(max_examples=30)
@given(ANY_KNOWN)
def test_any_drawing_is_a_picture_with_all_its_parts(known: dict[str, Any]) -> None:
    drawing = draw("any", outline("any", known, is_deep=True))
    picture = Picture(svg(drawing))
    assert sorted(title for title, _ in picture.groups("node")) == sorted(box.id for box in drawing.boxes)
    assert len(picture.groups("edge")) == len(drawing.arrows)
    assert len(picture.groups("cluster")) == len(drawing.frames)


def test_a_missing_package_is_told_with_its_cure(review: Drawing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    with pytest.raises(DefinitionError, match=r"pip install 'servelite\[draw\]'"):
        svg(review)
