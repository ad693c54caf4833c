"""From a map of chances that a pixel is of text to boxes around its lines.

Neighbouring pixels above a threshold are a region; a line's box is the smallest rectangle around its region, at any angle, grown: for
the network marks the core of a line only (DB, Liao et al., 2020).
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

THRESHOLD = 0.3
LEAST_SCORE = 0.5
LEAST_SIDE = 3
"""Pixels; what is smaller is no text. These three are PaddleOCR's own."""

GROWTH = 2.2
"""PaddleOCR's is 1.6; with more around a line, ocr_recognise sees the spaces between words (chosen on sentences to train from)."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle at any angle: its centre, the unit vector along its lines of text, and its size; x to the right, y down."""

    centre: np.ndarray
    along: np.ndarray
    width: float
    height: float
    score: float = 1.0

    @property
    def across(self) -> np.ndarray:
        """The unit vector from the top of a line to its bottom."""
        return np.array([-self.along[1], self.along[0]])

    def corners(self) -> np.ndarray:
        """Return float[4, 2]: top left, top right, bottom right, bottom left."""
        x, y = self.along * self.width / 2, self.across * self.height / 2
        corners: np.ndarray = self.centre + np.array([-x - y, x - y, x + y, y - x])
        return corners

    def grown(self) -> "Box":
        """Return the box as large as the text whose core it is: further out by the same on all sides."""
        more = self.width * self.height * GROWTH / (self.width + self.height)
        return Box(self.centre, self.along, self.width + more, self.height + more, self.score)


def find_boxes(chances: np.ndarray) -> list[Box]:
    """Return the boxes of all lines on a map float32[height, width], in its pixels and in reading order."""
    found = [(around(points), points) for points in regions(chances > THRESHOLD)]
    boxes = [Box(b.centre, b.along, b.width, b.height, _mean(chances, b)) for b, _ in found if min(b.width, b.height) >= LEAST_SIDE]
    return in_reading_order([box.grown() for box in boxes if box.score >= LEAST_SCORE])


def regions(mask: np.ndarray) -> list[np.ndarray]:
    """Return of each region of touching pixels, also across corners, the first and last ones of each row: int[n, 2] of x, y."""
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    (rows, starts), (_, ends) = np.nonzero(edges == 1), np.nonzero(edges == -1)
    width = mask.shape[1] + 2
    first = np.searchsorted((rows + 1) * width + ends, rows * width + starts)  # the runs of the row above that touch this one
    after = np.searchsorted((rows + 1) * width + starts, rows * width + ends, side="right")
    parents = list(range(len(rows)))
    for run, (low, high) in enumerate(zip(first.tolist(), after.tolist(), strict=True)):
        for other in range(low, high):
            parents[_root(parents, other)] = _root(parents, run)
    members = defaultdict(list)
    for run in range(len(rows)):
        members[_root(parents, run)].append(run)
    ends_of = np.stack([np.stack([starts, rows], 1), np.stack([ends - 1, rows], 1)], 1)
    return [ends_of[runs].reshape(-1, 2) for runs in members.values()]


def _root(parents: list[int], run: int) -> int:
    while parents[run] != run:
        parents[run] = parents[parents[run]]
        run = parents[run]
    return run


def around(points: np.ndarray) -> Box:
    """Return the smallest box around points: one of its sides lies on their hull."""
    hull = np.array(_hull(points), float)
    sides = np.roll(hull, -1, axis=0) - hull
    lengths = np.linalg.norm(sides, axis=1, keepdims=True)
    alongs = sides / lengths if lengths.all() else np.array([[1.0, 0.0]])
    acrosses = np.stack([-alongs[:, 1], alongs[:, 0]], 1)
    x, y = hull @ alongs.T, hull @ acrosses.T
    widths, heights = np.ptp(x, axis=0), np.ptp(y, axis=0)
    best = int((widths * heights).argmin())
    middle = alongs[best] * (x[:, best].max() + x[:, best].min()) / 2 + acrosses[best] * (y[:, best].max() + y[:, best].min()) / 2
    return _upright(Box(middle, alongs[best], float(widths[best]), float(heights[best])))


def _hull(points: np.ndarray) -> list[tuple[int, int]]:
    """Return the corners of the convex hull, by Andrew's monotone chain."""
    ordered = sorted(set(map(tuple, points.tolist())))
    if len(ordered) < 3:
        return ordered
    halves = [_chain(ordered), _chain(ordered[::-1])]
    return [*halves[0][:-1], *halves[1][:-1]]


def _chain(points: list[tuple[int, int]]) -> list[tuple[int, int]]:
    chain: list[tuple[int, int]] = []
    for x, y in points:
        while len(chain) > 1:
            (x1, y1), (x2, y2) = chain[-2:]
            if (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) > 0:
                break
            chain.pop()
        chain.append((x, y))
    return chain


def _upright(box: Box) -> Box:
    """Return the same box with its lines to the right, at most 45 degrees up or down."""
    if abs(box.along[0]) < abs(box.along[1]):
        box = Box(box.centre, box.across, box.height, box.width)
    return Box(box.centre, box.along * (1 if box.along[0] > 0 else -1), box.width, box.height)


def _mean(chances: np.ndarray, box: Box) -> float:
    """Return the mean chance within a box."""
    corners = box.corners()
    (left, top), (right, bottom) = np.floor(corners.min(0)).astype(int), np.ceil(corners.max(0)).astype(int) + 1
    part = chances[max(top, 0) : bottom, max(left, 0) : right]
    y, x = np.mgrid[max(top, 0) : max(top, 0) + part.shape[0], max(left, 0) : max(left, 0) + part.shape[1]]
    places = np.stack([x, y], -1) - box.centre
    inside = (abs(places @ box.along) <= box.width / 2) & (abs(places @ box.across) <= box.height / 2)
    return float(part[inside].mean()) if inside.any() else 0.0


def in_reading_order(boxes: list[Box]) -> list[Box]:
    """Return boxes from top to bottom, those of one height on the page from left to right."""
    rows: list[list[Box]] = []
    for box in sorted(boxes, key=lambda box: float(box.centre[1])):
        if rows and box.centre[1] - rows[-1][0].centre[1] < min(box.height, rows[-1][0].height) / 2:
            rows[-1].append(box)
        else:
            rows.append([box])
    return [box for row in rows for box in sorted(row, key=lambda box: float(box.centre[0]))]
