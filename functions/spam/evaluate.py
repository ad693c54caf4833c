"""Measure spam on the held-out mails, and with --check-parity beside scikit-learn.

A mail that is refused, because no word of it is known, counts as a wrong answer.
"""

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from functions.cards import report
from functions.measuring import ask, cpu_milliseconds
from functions.spam.mails import HERE, Mail, load_mails
from functions.spam.train import fit, lower

PARITY = 1e-4
"""Answers are rounded to four digits."""


def measure() -> dict[str, Any]:
    """Return rows of the split, and how often the label is right: of all, of spam, of ham, of the ham that looks like spam."""
    mails = load_mails()
    right = dict(zip(mails.test, map(_is_right, mails.test, answers(mails.test)), strict=True))
    of_spam, of_ham = ([right[mail] for mail in mails.test if mail.is_spam == is_spam] for is_spam in (True, False))
    return {
        "train_rows": len(mails.train),
        "dropped_rows": mails.dropped,
        "test_rows": len(mails.test),
        "test_spam_rows": len(of_spam),
        "accuracy": _share(list(right.values())),
        "spam_recall": _share(of_spam),
        "ham_recall": _share(of_ham),
        "hard_ham_recall": _share([ok for mail, ok in right.items() if mail.group == "hard-ham-1"]),
        "cpu_ms": cpu_milliseconds("spam", [{"text": mail.text} for mail in mails.test[::20]]),
    }


def answers(mails: Sequence[Mail]) -> list[Any]:
    """Return what the function answers."""
    return ask("spam", [{"text": mail.text} for mail in mails])


def check_parity() -> int:
    """Return 1 unless the function and scikit-learn answer alike on the whole test split."""
    mails = load_mails()
    expected = fit(mails.train).predict_proba(lower(mails.test))[:, 1]
    pairs = [(_chance(answer), chance) for answer, chance in zip(answers(mails.test), expected, strict=True) if isinstance(answer, dict)]
    furthest = max(abs(one - other) for one, other in pairs)
    differ = sum((one >= 0.5) != (other >= 0.5) for one, other in pairs)
    print(f"Parity on {len(pairs)} texts: {differ} labels differ, probabilities by at most {furthest:.1e}.")
    return int(differ > 0 or furthest > PARITY)


def _chance(answer: dict[str, Any]) -> float:
    return float(answer["score"] if answer["label"] == "spam" else 1 - answer["score"])


def _is_right(mail: Mail, answer: Any) -> bool:
    return isinstance(answer, dict) and (answer["label"] == "spam") == mail.is_spam


def _share(right: Sequence[bool]) -> float:
    return round(float(np.mean(right)), 4)


if __name__ == "__main__":
    sys.exit(check_parity() if "--check-parity" in sys.argv else report(HERE, measure))
