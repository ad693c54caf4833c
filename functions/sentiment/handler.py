"""Is an English review positive or negative?"""

from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from servelite import InvalidInput, function, load_onnx


class Review(BaseModel):
    """A text to judge."""

    text: str = Field(min_length=1, max_length=10_000, description="a review, tweet or sentence in English")


class Sentiment(BaseModel):
    """The more probable of two labels."""

    label: Literal["positive", "negative"]
    score: float = Field(ge=0, le=1, description="probability of the label")


model = load_onnx("model.onnx")  # string[n] to positive float32[n] and known bool[n]; see card.toml


@function(max_batch=64, timeout_s=2, memory_mib=512)
def sentiment(reviews: list[Review]) -> list[Sentiment | InvalidInput]:
    """Tell whether English reviews are positive or negative; refuse text that the model can't read."""
    # Lower-cased here: ONNX's own StringNormalizer needs a locale that slim images lack.
    texts = np.array([review.text.lower() for review in reviews], dtype=object)
    positive, known = model.run(["positive", "known"], {"text": texts})
    rows = zip(reviews, positive.tolist(), known.tolist(), strict=True)
    return [answer(review, chance if is_known else None) for review, chance, is_known in rows]


def answer(review: Review, positive: float | None) -> Sentiment | InvalidInput:
    """Make one answer from the probability of "positive", None if no word of the text is known.

    Without the refusals, text that the model can't read would be answered from next to nothing.
    """
    if not review.text.strip():
        return InvalidInput("The text is blank. Send a review of at least one English word.")
    if not mainly_latin(review.text):
        return InvalidInput(
            "The text is not mainly in Latin letters, and this model knows English only. "
            "Send English text, or put a language detector before it."
        )
    if positive is None:
        return InvalidInput(
            f'None of the words in "{shorten(review.text)}" is known to this model, which learnt from English reviews '
            "and tweets. Send more text, or check its spelling and language."
        )
    if positive >= 0.5:
        return Sentiment(label="positive", score=round(positive, 4))
    return Sentiment(label="negative", score=round(1 - positive, 4))


def mainly_latin(text: str) -> bool:
    """Tell whether there are letters and at least half of them are Latin, with or without accents."""
    letters = [character for character in text if character.isalpha()]
    return bool(letters) and 2 * sum(letter < "\u0250" for letter in letters) >= len(letters)


def shorten(text: str) -> str:
    """Return at most the first 60 characters, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:59]}…"
