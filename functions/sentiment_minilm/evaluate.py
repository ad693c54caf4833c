"""Measure sentiment_minilm on the sentences that functions/sentiment is measured on, by corpus; a refused one counts as a wrong answer."""

import sys
from typing import Any

import numpy as np

from functions.cards import report
from functions.measuring import ask, cpu_milliseconds
from functions.sentiment.corpora import CORPORA, load_corpora
from functions.sentiment_minilm.embedded import HERE, embed


def measure() -> dict[str, Any]:
    """Return rows and accuracy of each corpus, and what a call takes besides embedding."""
    test = load_corpora().test
    inputs = [{"embedding": row.astype(float).round(7).tolist()} for row in embed(test)]
    said = ask("sentiment_minilm", inputs)
    right = np.array([isinstance(a, dict) and (a["label"] == "positive") == s.positive for a, s in zip(said, test, strict=True)])
    of = np.array([s.corpus for s in test])
    by_corpus = {name: {"rows": int((of == name).sum()), "accuracy": round(float(right[of == name].mean()), 4)} for name in CORPORA}
    return {**by_corpus, "cpu_ms": cpu_milliseconds("sentiment_minilm", inputs[:50])}


if __name__ == "__main__":
    sys.exit(report(HERE, measure))
