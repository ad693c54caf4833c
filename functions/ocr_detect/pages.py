"""Pages to measure reading with: held-out reviews of functions/sentiment, written in two typefaces, many sizes, colours and angles.

Made with the Python of the function's own environment, which has Pillow; Aileron comes with it.
"""

import base64
import io
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from functions.packages import fetch, read
from functions.sentiment.corpora import load_corpora

HERE = Path(__file__).resolve().parent

PAGES = 80
SIZES = (16, 18, 20, 22, 24, 28, 32, 40)
COLOURS = (("black", "white"), ("#333333", "#fdf6e3"), ("white", "#123456"))
ANGLES = (0, 0, 2, 0, -3)
MARGIN = 24
COLUMNS = 48
"""Characters of a line."""


@dataclass(frozen=True, slots=True)
class Page:
    """A picture as base64, its lines, and where they are: float[4] left, top, right, bottom each, before the page was turned."""

    picture: str
    lines: tuple[str, ...]
    places: np.ndarray
    angle: float
    size: tuple[int, int]
    turned_size: tuple[int, int]

    def upright(self, corners: np.ndarray) -> np.ndarray:
        """Return points of the turned page where they were before."""
        turn = np.deg2rad(self.angle)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        upright: np.ndarray = (corners - np.array(self.turned_size) / 2) @ matrix.T + np.array(self.size) / 2
        return upright


def make_pages() -> Iterator[Page]:
    """Yield the pages: two or three sentences of film and product reviews each, in plain ASCII."""
    texts = [s.text for s in load_corpora().test if s.corpus in ("movie", "amazon") and s.text.isascii() and 40 < len(s.text) < 400]
    serif = read(fetch(HERE, "font-source-serif-pro"), "font_source_serif_pro/files/SourceSerifPro-Regular.ttf")
    for number in range(PAGES):
        size = SIZES[number % len(SIZES)]
        font = ImageFont.truetype(io.BytesIO(serif), size) if number % 2 else ImageFont.load_default(size)
        lines = textwrap.wrap(" ".join(" ".join(text.split()) for text in texts[3 * number : 3 * number + 2 + number % 2]), COLUMNS)
        yield _page(lines, font, size, number)


def _page(lines: Sequence[str], font: ImageFont.FreeTypeFont | ImageFont.ImageFont, size: int, number: int) -> Page:
    ink, paper = COLOURS[number % len(COLOURS)]
    width = int(max(font.getlength(line) for line in lines)) + 2 * MARGIN
    picture = Image.new("RGB", (width, int(len(lines) * size * 1.5) + 2 * MARGIN), paper)
    drawing = ImageDraw.Draw(picture)
    corners = [(MARGIN, MARGIN + row * size * 1.5) for row in range(len(lines))]
    for corner, line in zip(corners, lines, strict=True):
        drawing.text(corner, line, fill=ink, font=font)
    places = np.array([drawing.textbbox(corner, line, font=font) for corner, line in zip(corners, lines, strict=True)])
    angle = ANGLES[number % len(ANGLES)]
    turned = picture.rotate(angle, Image.Resampling.BICUBIC, expand=True, fillcolor=paper) if angle else picture
    return Page(_write(turned, number), tuple(lines), places, angle, picture.size, turned.size)


def _write(picture: Image.Image, number: int) -> str:
    content = io.BytesIO()
    if number % 3:
        picture.save(content, "PNG")
    else:
        picture.save(content, "JPEG", quality=75)
    return base64.b64encode(content.getvalue()).decode()
