"""Measure digits on the held-out pictures."""

import sys
from typing import Any

import numpy as np

from functions.cards import report
from functions.digits.samples import HERE, load_samples
from functions.measuring import ask, cpu_milliseconds


def measure() -> dict[str, Any]:
    """Return rows of the split, how often the digit is right, of all and of the digit that is read worst, and what a call takes."""
    train, test = load_samples()
    inputs = [{"pixels": image.tolist()} for image in test.images]
    right = np.array([answer["digit"] for answer in ask("digits", inputs)]) == test.digits
    return {
        "train_rows": len(train.digits),
        "test_rows": len(test.digits),
        "accuracy": round(float(right.mean()), 4),
        "worst_digit_accuracy": round(min(float(right[test.digits == digit].mean()) for digit in range(10)), 4),
        "cpu_ms": cpu_milliseconds("digits", inputs[:50]),
    }


if __name__ == "__main__":
    sys.exit(report(HERE, measure))
