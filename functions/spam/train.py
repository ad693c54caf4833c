"""Make model.onnx again from scratch: the same bytes each time, from the pinned package."""

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from sklearn.pipeline import Pipeline

from functions import word_pairs
from functions.cards import write_artefact
from functions.held_out import hash_part
from functions.spam.mails import HERE, Mail, load_mails
from functions.word_pairs import Shape, convert

SHAPE = Shape(features=16_000, min_texts=4, strength=64.0)
"""The strength of `--choose` beyond which little is gained. Mails are long: a word in fewer texts is a name or a typing error."""


def fit(train: Sequence[Mail], shape: Shape = SHAPE) -> Pipeline:
    """Fit vectoriser and regression; the pipeline takes lower-cased texts."""
    return word_pairs.fit(lower(train), np.array([mail.is_spam for mail in train]), shape=shape)


def lower(mails: Iterable[Mail]) -> list[str]:
    """Return the texts as the handler sends them to the model."""
    return [mail.text.lower() for mail in mails]


def print_choice(train: Sequence[Mail]) -> None:
    """Print the accuracy of each strength on four folds of the training mails; no test mail is used."""
    for strength in (16.0, 64.0, 256.0):
        shape = Shape(SHAPE.features, SHAPE.min_texts, strength)
        print(f"strength {strength}: {np.mean(list(_cross_validate(train, shape))):.4f}")


def _cross_validate(train: Sequence[Mail], shape: Shape) -> Iterable[bool]:
    for fold in range(4):
        judge = [mail for mail in train if hash_part(mail.key, 1) % 4 == fold]
        pipeline = fit([mail for mail in train if hash_part(mail.key, 1) % 4 != fold], shape)
        yield from (answer == mail.is_spam for mail, answer in zip(judge, pipeline.predict(lower(judge)), strict=True))


def main() -> int:
    """Write the model, print its hash, and return 1 if the card says another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "model.onnx", help="the file to write")
    parser.add_argument("--choose", action="store_true", help="only compare strengths, on a part of the training split")
    asked = parser.parse_args()
    train = load_mails().train
    if asked.choose:
        print_choice(train)
        return 0
    print(f"Learnt from {len(train)} mails.")
    return write_artefact(asked.output, convert(fit(train), "spam", "spam"), HERE)


if __name__ == "__main__":
    sys.exit(main())
