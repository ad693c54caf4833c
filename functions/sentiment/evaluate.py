"""Measure model.onnx on the held-out sentences, beside VADER's lexicon, and hold card.toml to it.

A text with no known word, which the handler refuses, counts as a wrong answer.
"""

import argparse
import importlib.util
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from sklearn.metrics import accuracy_score, f1_score

from functions.sentiment.corpora import CORPORA, HERE, Corpora, Sentence, load_corpora, read_from_sdist
from functions.sentiment.train import fit, lower

Measured = dict[str, float]

PARITY = 1e-5
"""Probabilities of scikit-learn (64 bits) and ONNX (32 bits) may differ by so much."""


def measure(corpora: Corpora) -> dict[str, Measured]:
    """Return the figures of every corpus: rows, and accuracy and macro-F1 of the model and of VADER's lexicon."""
    return {name: measure_corpus([s for s in corpora.test if s.corpus == name]) for name in CORPORA}


def measure_corpus(test: Sequence[Sentence]) -> Measured:
    """Return the figures of one corpus's test sentences."""
    truth = np.array([s.positive for s in test])
    positive, known = predict(test)
    said = np.where(known, positive >= 0.5, ~truth)
    lexicon = ask_lexicon(test)
    figures = {
        "accuracy": accuracy_score(truth, said),
        "macro_f1": f1_score(truth, said, average="macro"),
        "mean_score": np.maximum(positive, 1 - positive)[known].mean(),
        "lexicon_accuracy": accuracy_score(truth, lexicon),
        "lexicon_macro_f1": f1_score(truth, lexicon, average="macro"),
    }
    counts = {"rows": len(test), "positive_rows": int(truth.sum()), "refused_rows": int((~known).sum())}
    return {**counts, **{name: round(float(figure), 4) for name, figure in figures.items()}}


def predict(sentences: Sequence[Sentence]) -> tuple[np.ndarray, np.ndarray]:
    """Return what the model answers: positive float32[n] and known bool[n]."""
    session = onnxruntime.InferenceSession(HERE / "model.onnx", providers=["CPUExecutionProvider"])
    answers = [session.run(["positive", "known"], {"text": np.array([text], object)}) for text in lower(sentences)]
    positive, known = (np.concatenate(column) for column in zip(*answers, strict=True))
    return positive, known


def ask_lexicon(sentences: Sequence[Sentence]) -> np.ndarray:
    """Return bool[n]: whether VADER's compound score is above zero. It reads the case, so texts stay as they are."""
    with tempfile.TemporaryDirectory() as folder:
        for file in ("vaderSentiment.py", "vader_lexicon.txt", "emoji_utf8_lexicon.txt"):
            (Path(folder) / file).write_bytes(read_from_sdist(f"vaderSentiment/{file}"))
        spec = importlib.util.spec_from_file_location("vaderSentiment", Path(folder) / "vaderSentiment.py")
        assert spec is not None
        assert spec.loader is not None
        vader = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(vader)
        analyser = vader.SentimentIntensityAnalyzer()
    return np.array([analyser.polarity_scores(s.text)["compound"] > 0 for s in sentences])


def as_toml(corpora: Corpora, measured: dict[str, Measured]) -> str:
    """Return the generated part of card.toml."""
    lines = ["[split.rows]"]
    for name in CORPORA:
        train, test = (sum(s.corpus == name for s in part) for part in (corpora.train, corpora.test))
        lines.append(f"{name} = {{ train = {train}, test = {test} }}")
    for name, figures in measured.items():
        lines += ["", f"[measured.{name}]", *(f"{key} = {figure}" for key, figure in figures.items())]
    return "\n".join(lines)


def check_card(corpora: Corpora, measured: dict[str, Measured]) -> list[str]:
    """Return what card.toml says otherwise than measured, one sentence each."""
    recorded = tables(tomllib.loads((HERE / "card.toml").read_text()))
    true = tables(tomllib.loads(as_toml(corpora, measured)))
    return [f"[{name}] should be {true[name]}." for name in true if recorded.get(name) != true[name]]


def tables(card: dict[str, Any]) -> dict[str, Any]:
    """Return the generated tables of a card by their full names."""
    return {"split.rows": card["split"]["rows"]} | {f"measured.{name}": t for name, t in card["measured"].items()}


def check_parity(corpora: Corpora) -> list[str]:
    """Return where model.onnx and scikit-learn differ on the whole test split, one sentence each."""
    pipeline = fit(corpora.train)
    texts, (positive, known) = lower(corpora.test), predict(corpora.test)
    expected = pipeline.predict_proba(texts)[:, 1]
    has_words = pipeline[0].transform(texts).getnnz(axis=1) > 0
    labels_differ = int(((positive >= 0.5) != pipeline.predict(texts))[known].sum())
    furthest = float(np.abs(positive - expected)[known].max())
    print(f"Parity on {len(texts)} texts: {labels_differ} labels differ, probabilities by at most {furthest:.1e}.")
    wrong = [f"{int((known != has_words).sum())} texts are known to one only."] if (known != has_words).any() else []
    if labels_differ or furthest > PARITY:
        wrong.append(f"Labels must be equal and probabilities within {PARITY}; look for a trap named in word_pairs.py.")
    return wrong


def main() -> int:
    """Print the figures, or check them; return 1 if a check fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check-card", action="store_true", help="fail unless card.toml holds just these figures")
    parser.add_argument("--check-parity", action="store_true", help="fail unless scikit-learn answers the same")
    asked = parser.parse_args()
    corpora = load_corpora()
    wrong = []
    if asked.check_parity:
        wrong += check_parity(corpora)
    if asked.check_card:
        wrong += (differing := check_card(corpora, measure(corpora)))
        print("card.toml is not what was measured." if differing else "card.toml holds just what was measured.")
    if not (asked.check_parity or asked.check_card):
        print(as_toml(corpora, measure(corpora)))
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
