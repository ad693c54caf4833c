"""What does an English text mean? An answer is a direction in 384 dimensions, near that of texts which mean the like."""

from collections import defaultdict
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field
from wordpiece import Tokenizer

from servelite import InvalidInput, function, load_onnx

WIDTH = 384
LONGEST = 256
STEP = 8
"""Texts are padded to a multiple of so many words, each by its own length: so an answer can't depend on its batch-mates."""


class Text(BaseModel):
    """A text to embed."""

    text: str = Field(min_length=1, max_length=10_000, description="English; what is beyond about 1,000 characters is not read")


class Embedding(BaseModel):
    """A vector of length 1; the product of two says how alike their texts are, 1 for the same."""

    embedding: Annotated[list[float], Field(min_length=WIDTH, max_length=WIDTH)]


model = load_onnx("model.onnx")  # ids int64[n, length], padded with 0, to embedding float32[n, 384]; see card.toml
tokenizer = Tokenizer(Path(__file__).parent / "vocab.txt")


@function(max_batch=32, timeout_s=20, memory_mib=768, max_workers=1)
def embed(texts: list[Text]) -> list[Embedding | InvalidInput]:
    """Embed texts; those of about the same length are run together."""
    ids = [tokenizer.encode(one.text, LONGEST) for one in texts]
    lengths = defaultdict(list)
    for place, found in enumerate(ids):
        lengths[-(-len(found) // STEP) * STEP].append(place)
    answers: list[Embedding | InvalidInput] = [InvalidInput("The text has no word in it. Send at least one.")] * len(texts)
    for length, places in lengths.items():
        padded = np.array([ids[place] + [0] * (length - len(ids[place])) for place in places])
        (rows,) = model.run(["embedding"], {"ids": padded})
        for place, row in zip(places, rows.astype(float).round(7).tolist(), strict=True):
            if len(ids[place]) > 2:  # more than its beginning and its end
                answers[place] = Embedding(embedding=row)
    return answers
