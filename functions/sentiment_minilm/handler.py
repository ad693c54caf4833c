"""Is an English text positive or negative, by what it means? It takes the embedding that embed answers."""

import json
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import BaseModel, Field

from servelite import InvalidInput, function

WIDTH = 384


class Embedding(BaseModel):
    """An embedding of functions/embed."""

    embedding: Annotated[list[float], Field(min_length=WIDTH, max_length=WIDTH, description="a vector of length 1")]


class Sentiment(BaseModel):
    """The more probable of two labels."""

    label: Literal["positive", "negative"]
    score: float = Field(ge=0, le=1, description="probability of the label")


head = json.loads((Path(__file__).parent / "head.json").read_text())
weights, bias = np.array(head["weights"]), float(head["bias"])


@function(max_batch=64, timeout_s=2, memory_mib=256)
def sentiment_minilm(embeddings: list[Embedding]) -> list[Sentiment | InvalidInput]:
    """Tell whether texts are positive or negative; refuse vectors that embed would not answer."""
    rows = np.array([one.embedding for one in embeddings])
    chances = 1 / (1 + np.exp(-(rows * weights).sum(1) - bias))
    return [answer(*row) for row in zip(chances.tolist(), np.linalg.norm(rows, axis=1).tolist(), strict=True)]


def answer(positive: float, length: float) -> Sentiment | InvalidInput:
    """Make one answer; of a vector of another length it would be another one."""
    if not 0.99 < length < 1.01:
        return InvalidInput(f"The embedding is {length:.3g} long, not 1. Send one as functions/embed answers it.")
    if positive >= 0.5:
        return Sentiment(label="positive", score=round(positive, 4))
    return Sentiment(label="negative", score=round(1 - positive, 4))
