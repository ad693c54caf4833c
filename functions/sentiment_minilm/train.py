"""Make head.json again: a logistic regression on embeddings of the sentences that functions/sentiment learns from, split as there.

Another processor embeds a little differently (1e-7), so a number of the head may be another one in its last digit.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from functions.cards import write_artefact
from functions.held_out import hash_part
from functions.sentiment.corpora import Sentence, load_corpora
from functions.sentiment.train import Settings, weigh
from functions.sentiment_minilm.embedded import HERE, embed

STRENGTH = 0.3
"""The best of `--choose`."""

DECIMALS = 3


def fit(train: Sequence[Sentence], rows: np.ndarray, strength: float = STRENGTH) -> LogisticRegression:
    """Fit the head; a sentence counts as much as its rating is clear, as in functions/sentiment."""
    regression = LogisticRegression(C=strength, solver="newton-cholesky", tol=1e-10, max_iter=1000)
    return regression.fit(rows.astype(float), [s.positive for s in train], weigh(train, Settings()))


def convert(head: LogisticRegression) -> bytes:
    """Return the head as JSON: 384 weights and a bias."""
    numbers = {"weights": head.coef_[0].round(DECIMALS).tolist(), "bias": round(float(head.intercept_[0]), DECIMALS)}
    return (json.dumps(numbers) + "\n").encode()


def print_choice(train: Sequence[Sentence], rows: np.ndarray) -> None:
    """Print the accuracy of each strength on four folds of the training sentences; no test sentence is used."""
    folds = np.array([hash_part(s.key, 1) % 4 for s in train])
    positive = np.array([s.positive for s in train])
    for strength in (0.1, 0.3, 1.0, 3.0, 10.0):
        right = []
        for fold in range(4):
            head = fit([s for s, of in zip(train, folds, strict=True) if of != fold], rows[folds != fold], strength)
            right.append(head.predict(rows[folds == fold]) == positive[folds == fold])
        print(f"strength {strength}: {np.concatenate(right).mean():.4f}")


def main() -> int:
    """Write the head, print its hash, and return 1 if the card says another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "head.json", help="the file to write")
    parser.add_argument("--choose", action="store_true", help="only compare strengths, on a part of the training split")
    asked = parser.parse_args()
    train = load_corpora().train
    rows = embed(train)
    if asked.choose:
        print_choice(train, rows)
        return 0
    print(f"Learnt from {len(train)} sentences.")
    return write_artefact(asked.output, convert(fit(train, rows)), HERE)


if __name__ == "__main__":
    sys.exit(main())
