"""functions/ocr_detect and functions/ocr_recognise: boxes from a map, and, where their models are built, what the two answer together."""

import base64
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.functions.making import CHECKOUT, run_script

from functions.measuring import ask
from functions.ocr_detect.boxes import GROWTH, Box, around, find_boxes, in_reading_order, regions
from servelite import InvalidInput

DETECT, RECOGNISE = (CHECKOUT / "functions" / name for name in ("ocr_detect", "ocr_recognise"))
PICTURES = [json.loads(line)["input"] for line in (DETECT / "examples.jsonl").read_text().splitlines()]
SAID = [
    ["A warm, funny and beautifully", "acted film. 1 loved every", "minute of it."],
    ["Two hours of my life that I", "will never get back: a dull", "plot and wooden acting."],
    ["Table 4, 12:30"],
]
"""What the examples say, as the model reads it."""


def draw(*rectangles: tuple[int, int, int, int], size: tuple[int, int] = (60, 200)) -> np.ndarray:
    """Return a map with certain text in rectangles of left, top, right, bottom."""
    chances = np.zeros(size, np.float32)
    for left, top, right, bottom in rectangles:
        chances[top:bottom, left:right] = 1
    return chances


def test_touching_pixels_are_one_region_across_corners_too() -> None:
    picture = ["##..#", "..#.#", "#..##"]
    found = regions(np.array([[one == "#" for one in row] for row in picture]))
    assert sorted(sorted(map(tuple, points.tolist())) for points in found) == [
        [(0, 0), (1, 0), (2, 1), (2, 1), (3, 2), (4, 0), (4, 0), (4, 1), (4, 1), (4, 2)],
        [(0, 2), (0, 2)],
    ]


def test_a_region_with_a_hole_or_two_arms_is_one() -> None:
    ring, fork = draw((10, 10, 50, 40)), draw((10, 10, 20, 50), (40, 10, 50, 50), (10, 45, 50, 50))
    ring[20:30, 20:40] = 0
    assert (len(regions(ring > 0)), len(regions(fork > 0))) == (1, 1)


def test_an_empty_map_has_no_boxes() -> None:
    assert find_boxes(draw()) == []


def test_a_box_is_the_region_grown_by_its_size() -> None:
    (box,) = find_boxes(draw((50, 20, 151, 31)))
    more = 100 * 10 * GROWTH / (100 + 10)
    assert (box.width, box.height) == pytest.approx((100 + more, 10 + more))
    assert box.centre == pytest.approx([100, 25])
    assert box.score == pytest.approx(1)


@pytest.mark.parametrize("degrees", [-40, -10, 0, 3, 30, 44, 60, 90, 170])
def test_the_smallest_box_lies_along_its_line_with_the_text_upright(degrees: float) -> None:
    turn = np.deg2rad(degrees)
    along, across = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
    points = np.array([1000 + along * x + across * y for x in (-400, 0, 400) for y in (-50, 50)]).round().astype(int)
    box = around(points)
    assert sorted((box.width, box.height)) == pytest.approx([100, 800], abs=3)
    assert box.along[0] >= abs(box.along[1]) - 1e-3
    top_left, top_right, bottom_right, bottom_left = box.corners()
    assert top_left[0] < top_right[0]
    assert top_left[1] < bottom_left[1]
    assert bottom_right == pytest.approx(top_right + bottom_left - top_left)


@pytest.mark.parametrize("points", [[[5, 7]], [[5, 7], [9, 7]], [[5, 7], [5, 9]]], ids=["a point", "a row", "a column"])
def test_a_region_without_an_area_has_a_box_without_one(points: list[list[int]]) -> None:
    box = around(np.array(points))
    assert box.width * box.height == 0


def test_small_and_faint_regions_are_no_text() -> None:
    faint = draw((50, 20, 150, 30)) * 0.4
    assert find_boxes(np.maximum(draw((10, 10, 12, 40)), faint)) == []


def test_boxes_are_read_row_by_row_from_the_left() -> None:
    places = [(150, 12), (20, 50), (50, 10), (100, 48), (20, 80)]
    boxes = [Box(np.array(place, float), np.array([1.0, 0.0]), 40, 20) for place in places]
    assert [tuple(box.centre) for box in in_reading_order(boxes)] == [(50, 10), (150, 12), (20, 50), (100, 48), (20, 80)]


def png(width: int, height: int, level: int = 255) -> str:
    """Return a grey picture as base64."""
    rows = zlib.compress((b"\0" + bytes([level]) * width) * height)
    return fake_png(width, height, rows)


def fake_png(width: int, height: int, content: bytes) -> str:
    """Return a PNG that says it has a size, whatever it holds."""
    chunks = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)), (b"IDAT", content), (b"IEND", b""))
    parts = [struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks]
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


@pytest.fixture
def models() -> None:
    for folder in (DETECT, RECOGNISE):
        if not (folder / "model.onnx").exists() or not (folder / ".venv").exists():
            pytest.skip(f"The model of {folder.name} or its environment is missing: make them with `make models ONLY={folder.name}`.")


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_the_lines_that_one_finds_are_what_the_other_reads() -> None:
    pages = ask("ocr_detect", PICTURES)
    texts = iter(ask("ocr_recognise", [line for page in pages for line in page]))
    assert [[next(texts)["text"] for _ in page] for page in pages] == SAID


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_a_line_comes_with_its_place_on_the_page() -> None:
    ((line,),) = ask("ocr_detect", PICTURES[2:])
    (left, top), _, (right, bottom), _ = line["box"]
    assert 0 <= left < 20
    assert 0 <= top < 20
    assert right - left > 150
    assert 25 < bottom - top < 60


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_a_picture_without_text_has_no_lines() -> None:
    assert ask("ocr_detect", [png(300, 200), png(1, 1, 0), png(3000, 20, 128)]) == [[], [], []]


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_what_is_no_picture_is_refused_by_both() -> None:
    cut_short = base64.b64encode(base64.b64decode(PICTURES[0])[:2000]).decode()
    gif = base64.b64encode(b"GIF89a\1\0\1\0\0\0\0;").decode()
    broken = [base64.b64encode(b"not a picture").decode(), cut_short, gif, ""]
    for answers in (ask("ocr_detect", broken), ask("ocr_recognise", [{"image": one} for one in broken])):
        assert [type(answer) for answer in answers] == [InvalidInput] * 4
        assert all("no PNG or JPEG picture that can be read" in str(answer) for answer in answers)


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_a_picture_that_would_fill_the_memory_is_refused_before_it_is_unpacked() -> None:
    (large,) = ask("ocr_detect", [fake_png(8_000, 8_000, b"")])
    (bomb,) = ask("ocr_detect", [fake_png(100_000, 100_000, b"")])
    (long,) = ask("ocr_recognise", [{"image": png(5000, 40)}])
    assert "The picture has 8000 x 8000 pixels. Send one of at most 40,000,000" in str(large)
    assert isinstance(bomb, InvalidInput)
    assert "The line has 5000 x 40 pixels, too long for one" in str(long)


@pytest.mark.slow
@pytest.mark.usefixtures("models")
def test_a_blank_line_says_nothing_and_leaves_its_batch_mates_alone() -> None:
    lines: list[Any] = [json.loads(line) for line in (RECOGNISE / "examples.jsonl").read_text().splitlines()]
    answers = ask("ocr_recognise", [lines[0]["input"], {"image": png(200, 30)}, {"image": "eA=="}, lines[1]["input"]])
    assert answers[1] == {"text": "", "score": 0.0}
    assert isinstance(answers[2], InvalidInput)
    assert [answer["text"] for answer in (answers[0], answers[3])] == SAID[0][:2]


@pytest.mark.lengthy
@pytest.mark.training
@pytest.mark.usefixtures("models")
@pytest.mark.parametrize("name", ["ocr_detect", "ocr_recognise", "read_review"])
def test_the_card_holds_what_is_measured(name: str) -> None:
    python = Path(DETECT / ".venv" / "bin" / "python")
    assert "holds what was measured" in run_script(f"functions.{name}.evaluate", "--check-card", python=python)
