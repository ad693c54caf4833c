"""Is a mail spam?"""

from typing import Literal

import numpy as np
from pydantic import BaseModel, Field

from servelite import InvalidInput, function, load_onnx


class Mail(BaseModel):
    """A mail as its reader sees it."""

    text: str = Field(min_length=1, max_length=10_000, description="subject and text of a mail in English, without headers and markup")


class Verdict(BaseModel):
    """The more probable of two labels; ham is what is no spam."""

    label: Literal["spam", "ham"]
    score: float = Field(ge=0, le=1, description="probability of the label")


model = load_onnx("model.onnx")  # string[n] to spam float32[n] and known bool[n]; see card.toml


@function(max_batch=64, timeout_s=2, memory_mib=512)
def spam(mails: list[Mail]) -> list[Verdict | InvalidInput]:
    """Tell spam from ham; refuse text of which the model knows no word."""
    # Lower-cased here: ONNX's own StringNormalizer needs a locale that slim images lack.
    texts = np.array([mail.text.lower() for mail in mails], dtype=object)
    chances, known = model.run(["spam", "known"], {"text": texts})
    return [answer(chance) if is_known else unknown() for chance, is_known in zip(chances.tolist(), known.tolist(), strict=True)]


def answer(chance: float) -> Verdict:
    """Make an answer of the probability of spam."""
    if chance >= 0.5:
        return Verdict(label="spam", score=round(chance, 4))
    return Verdict(label="ham", score=round(1 - chance, 4))


def unknown() -> InvalidInput:
    """Say why there is no answer: one would be made of nothing."""
    return InvalidInput(
        "No word of the text is known to this model, which learnt from English mails. Send more text, or check its language."
    )
