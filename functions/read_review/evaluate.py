"""Measure read_review on the pages of functions/ocr_detect/pages.py: how much of their text comes out, and whose sentiment it has."""

import sys
from pathlib import Path
from typing import Any

from functions.cards import report
from functions.measuring import ask
from functions.ocr_detect.pages import make_pages
from functions.ocr_recognise.evaluate import errors

HERE = Path(__file__).resolve().parent


def measure() -> dict[str, Any]:
    """Return the character errors of the text, with and without spaces, and for how many pages the label is that of what they say."""
    pages = list(make_pages())
    answers = ask("read_review", [page.picture for page in pages])
    wanted = [" ".join(page.lines) for page in pages]
    pairs = [(answer["text"], text) for answer, text in zip(answers, wanted, strict=True)]
    judged = ask("sentiment", [{"text": text} for text in wanted])
    same = sum(answer["sentiment"]["label"] == one["label"] for answer, one in zip(answers, judged, strict=True))
    return {
        "pages": len(pages),
        "character_error": errors(pairs),
        "character_error_without_spaces": errors([("".join(one.split()), "".join(other.split())) for one, other in pairs]),
        "same_label_as_of_the_text": round(same / len(pages), 4),
    }


if __name__ == "__main__":
    sys.exit(report(HERE, measure))
