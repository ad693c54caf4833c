"""Measure ocr_recognise on the lines that ocr_detect finds on pages of functions/ocr_detect/pages.py.

A character error is a character too many, too few or another one, by Levenshtein's distance, as a part of what the pages say.
"""

import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from functions.cards import report
from functions.measuring import ask, cpu_milliseconds
from functions.ocr_detect.pages import make_pages

HERE = Path(__file__).resolve().parent


def measure() -> dict[str, Any]:
    """Return the errors with spaces and line ends, and without them, and the pages without any."""
    pages = list(make_pages())
    found = ask("ocr_detect", [page.picture for page in pages])
    lines = [{"image": line["image"]} for page in found for line in page]
    texts = iter([answer["text"] for answer in ask("ocr_recognise", lines)])
    read = ["\n".join(next(texts) for _ in page) for page in found]
    wanted = ["\n".join(page.lines) for page in pages]
    bare = [("".join(one.split()), "".join(other.split())) for one, other in zip(read, wanted, strict=True)]
    return {
        "pages": len(pages),
        "lines": len(lines),
        "characters": sum(map(len, wanted)),
        "character_error": errors(list(zip(read, wanted, strict=True))),
        "character_error_without_spaces": errors(bare),
        "cpu_ms": cpu_milliseconds("ocr_recognise", lines[:32], 2),
    }


def errors(pairs: Sequence[tuple[str, str]]) -> float:
    """Return the character errors of pairs of what was read and what it says."""
    return round(sum(distance(one, other) for one, other in pairs) / sum(len(wanted) for _, wanted in pairs), 4)


def distance(one: str, other: str) -> int:
    """Return how many characters are to be added, removed or changed."""
    row = list(range(len(other) + 1))
    for count, character in enumerate(one, start=1):
        above, row = row, [count]
        for place, (diagonal, straight) in enumerate(pairwise(above)):
            row.append(min(straight + 1, row[-1] + 1, diagonal + (character != other[place])))
    return row[-1]


if __name__ == "__main__":
    sys.exit(report(HERE, measure))
