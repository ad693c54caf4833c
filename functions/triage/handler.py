"""What is to be done with a message: throw it away, translate it, answer it soon, or answer it in its turn?"""

from typing import Literal

from pydantic import BaseModel, Field

from servelite import parallel, sequence, stage, value


class Label(BaseModel):
    """What a model said of the message."""

    label: str
    score: float


class Language(BaseModel):
    """What langid found."""

    language: str
    score: float


class Findings(BaseModel):
    """What all models said; None where one could not read the message."""

    spam: Label | None
    language: Language
    sentiment: Label | None


class Triage(BaseModel):
    """One verdict, and what it was made of."""

    action: Literal["discard", "translate", "answer soon", "answer"]
    language: str
    spam: float | None = Field(description="probability of spam; null where it can't be told")
    positive: float | None = Field(description="probability that it is friendly; null where it can't be told")


def judge(found: Findings) -> Triage:
    """Make one verdict: spam goes, what is not English is translated, complaints come first."""
    spam, positive = chance(found.spam, "spam"), chance(found.sentiment, "positive")
    is_foreign = found.language.language not in ("en", "und")
    action: Literal["discard", "translate", "answer soon", "answer"] = "answer"
    if is_foreign:
        action = "translate"
    elif spam is not None and spam >= 0.9:
        action = "discard"
    elif positive is not None and positive < 0.3:
        action = "answer soon"
    return Triage(action=action, language=found.language.language, spam=spam, positive=positive)


def chance(found: Label | None, label: str) -> float | None:
    """Return the probability of a label, of which a model names only the likelier of two."""
    if found is None:
        return None
    return found.score if found.label == label else round(1 - found.score, 4)


readings = parallel(
    spam=stage("spam", fallback=value(None)),
    language="langid",
    sentiment=stage("sentiment", fallback=value(None)),
)
pipeline = sequence(readings, judge)
