"""Make model.onnx again from scratch: the same bytes each time, from pinned packages."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from sklearn.pipeline import Pipeline

from functions import word_pairs
from functions.cards import write_artefact
from functions.held_out import hash_part
from functions.sentiment.corpora import HERE, Sentence, load_corpora
from functions.word_pairs import Shape, convert

MEAN_RATING = 1.5
"""About the mean size of a rating: weights are around 1, and C means what it usually does."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What was chosen among; the defaults are the best of `--choose`.

    strength  the regression's C
    bayes     the exponent of the naive Bayes ratio
    others    the weight of a tweet or product sentence beside that of a film review, of which there are most
    """

    strength: float = 4.0
    bayes: float = 0.5
    others: float = 2.0


def fit(train: Sequence[Sentence], settings: Settings = Settings()) -> Pipeline:
    """Fit vectoriser and regression; the pipeline takes lower-cased texts."""
    shape = Shape(strength=settings.strength, bayes=settings.bayes)
    return word_pairs.fit(lower(train), np.array([s.positive for s in train]), weigh(train, settings), shape)


def lower(sentences: Iterable[Sentence]) -> list[str]:
    """Return the texts as the handler sends them to the model."""
    return [s.text.lower() for s in sentences]


def weigh(train: Sequence[Sentence], settings: Settings) -> np.ndarray:
    """Return float[n]: a sentence counts as much as its rating is clear (Rotten Tomatoes has no degrees: 1)."""
    many = {"tweets": settings.others, "amazon": settings.others}
    return np.array([abs(s.rating) / MEAN_RATING * many.get(s.corpus, 1.0) for s in train])


def print_choice(train: Sequence[Sentence]) -> None:
    """Print the accuracies of each setting on four folds of the training sentences; no test sentence is used."""
    print("   C  bayes others   movie amazon tweets   mean")
    for chosen in product((2.0, 4.0, 8.0), (0.0, 0.5, 1.0), (1.0, 2.0)):
        right = cross_validate(train, Settings(*chosen))
        means = [np.mean([right[s.key] for s in train if s.corpus == name]) for name in ("movie", "amazon", "tweets")]
        print("{:4} {:6} {:6}".format(*chosen), " ", *(f"{mean:6.4f}" for mean in (*means, np.mean(means))))


def cross_validate(train: Sequence[Sentence], settings: Settings) -> dict[str, bool]:
    """Return for each sentence's key whether a model that did not learn from its fold is right."""
    right: dict[str, bool] = {}
    for fold in range(4):
        judge = [s for s in train if hash_part(s.key, 1) % 4 == fold]
        pipeline = fit([s for s in train if hash_part(s.key, 1) % 4 != fold], settings)
        said = pipeline.predict(lower(judge))
        right |= {s.key: bool(answer) == s.positive for s, answer in zip(judge, said, strict=True)}
    return right


def main() -> int:
    """Write the model, print its hash, and return 1 if the card says another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "model.onnx", help="the file to write")
    parser.add_argument("--choose", action="store_true", help="only compare settings, on a part of the training split")
    asked = parser.parse_args()
    train = load_corpora().train
    if asked.choose:
        print_choice(train)
        return 0
    print(f"Learnt from {len(train)} sentences.")
    return write_artefact(asked.output, convert(fit(train), "sentiment", "positive"), HERE)


if __name__ == "__main__":
    sys.exit(main())
