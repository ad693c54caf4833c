"""Make model.onnx again from scratch, in about a minute: the same bytes each time, from the pinned package.

The network is trained by Adam (Kingma and Ba, 2015) on images that are moved by up to two pixels each time they are seen. It computes
with 64 bits and its weights are rounded, so that another processor's last bits change no byte of the file.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from functions.cards import write_artefact
from functions.digits.network import Weights, convert, draw_weights, gradients
from functions.digits.samples import HERE, Samples, load_samples

ROUNDS = 20
BATCH = 64
RATE = 0.002
"""Adam's step at the beginning; it falls to nothing along a cosine."""

DECAY, MEMORY, LONG_MEMORY, TINY = 1e-2, 0.9, 0.999, 1e-8
FARTHEST = 2
DECIMALS = 3


def train(samples: Samples, rounds: int = ROUNDS) -> Weights:
    """Return the weights of a network that has seen each sample `rounds` times."""
    random = np.random.default_rng(0)
    weights = draw_weights(random)
    mean, square = ({name: np.zeros_like(value) for name, value in weights.items()} for _ in range(2))
    steps = rounds * (len(samples.digits) // BATCH)
    for step, (images, digits) in enumerate(_batches(samples, rounds, random)):
        rate = RATE * (1 + np.cos(np.pi * step / steps)) / 2
        for name, gradient in gradients(weights, images, digits).items():
            mean[name] += (1 - MEMORY) * (gradient - mean[name])
            square[name] += (1 - LONG_MEMORY) * (gradient**2 - square[name])
            fair = np.sqrt(square[name] / (1 - LONG_MEMORY ** (step + 1))) + TINY
            weights[name] -= rate * (mean[name] / (1 - MEMORY ** (step + 1)) / fair + DECAY * weights[name])
    return {name: value.round(DECIMALS) for name, value in weights.items()}


def _batches(samples: Samples, rounds: int, random: np.random.Generator) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for _ in range(rounds):
        order = random.permutation(len(samples.digits))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            yield _move(samples.images[chosen] / 255, random), samples.digits[chosen]


def _move(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Move each image by up to two pixels down or up, and to a side; their border is black."""
    moves = random.integers(-FARTHEST, FARTHEST + 1, (len(images), 2))
    return np.stack([np.roll(image, move, (0, 1)) for image, move in zip(images, moves, strict=True)])


def main() -> int:
    """Write the model, print its hash, and return 1 if the card says another."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=HERE / "model.onnx", help="the file to write")
    asked = parser.parse_args()
    samples, _ = load_samples()
    return write_artefact(asked.output, convert(train(samples)), HERE)


if __name__ == "__main__":
    sys.exit(main())
