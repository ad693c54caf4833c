"""Measure ocr_detect on pages of pages.py: how many lines it finds, and how many of its boxes are lines."""

import sys
from typing import Any

import numpy as np

from functions.cards import report
from functions.measuring import ask, cpu_milliseconds
from functions.ocr_detect.pages import HERE, Page, make_pages

COVERED = 0.8
"""A box is of a line if its middle is on it, and so much of the two widths is the same."""


def measure() -> dict[str, Any]:
    """Return how many lines there are, how many are found, and how many boxes are of a line; pages in order as read."""
    pages = list(make_pages())
    found = ask("ocr_detect", [page.picture for page in pages])
    matches = [match(page, boxes) for page, boxes in zip(pages, found, strict=True)]
    lines, boxes = sum(len(page.lines) for page in pages), sum(map(len, found))
    return {
        "pages": len(pages),
        "lines": lines,
        "line_recall": round(sum(len(set(places) - {-1}) for places in matches) / lines, 4),
        "box_precision": round(sum(place >= 0 for places in matches for place in places) / boxes, 4),
        "pages_in_order": round(float(np.mean([places == sorted(places) for places in matches])), 4),
        "cpu_ms": cpu_milliseconds("ocr_detect", [page.picture for page in pages[:16]], 2),
    }


def match(page: Page, boxes: list[dict[str, Any]]) -> list[int]:
    """Return the number of the line that each box is of, -1 for none."""
    return [_line(page, page.upright(np.array(box["box"]))) for box in boxes]


def _line(page: Page, corners: np.ndarray) -> int:
    (left, top), (right, bottom) = corners.min(0), corners.max(0)
    lefts, tops, rights, bottoms = page.places.T
    shared = np.minimum(rights, right) - np.maximum(lefts, left)
    same = shared / (np.maximum(rights, right) - np.minimum(lefts, left)) >= COVERED
    fits = same & (tops < (top + bottom) / 2) & ((top + bottom) / 2 < bottoms)
    return int(fits.argmax()) if fits.any() else -1


if __name__ == "__main__":
    sys.exit(report(HERE, measure))
