"""The rated sentences of functions/sentiment, as functions/embed answers them; kept in build/, for that takes minutes."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from functions.cards import read_card
from functions.measuring import FUNCTIONS, ask
from functions.sentiment.corpora import Sentence

HERE = Path(__file__).resolve().parent
KEPT = HERE.parents[1] / "build" / "embedded"

WIDTH = 384


def embed(sentences: Sequence[Sentence]) -> np.ndarray:
    """Return float32[n, 384]; a sentence that embed refuses is all zero."""
    texts = [sentence.text for sentence in sentences]
    model = read_card(FUNCTIONS / "embed")["model"]["sha256"]
    digest = hashlib.sha256("\0".join([model, *texts]).encode()).hexdigest()
    file = KEPT / f"{digest[:16]}.npy"
    if not file.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        np.save(file, _ask(texts))
    return np.asarray(np.load(file))


def _ask(texts: Sequence[str]) -> np.ndarray:
    """Ask for all, the short ones first: texts of one length share a run."""
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    rows = np.zeros((len(texts), WIDTH), np.float32)
    for place, answer in zip(order, ask("embed", [{"text": texts[place]} for place in order]), strict=True):
        if isinstance(answer, dict):
            rows[place] = answer["embedding"]
    return rows
