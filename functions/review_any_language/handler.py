"""Is a review positive or negative? English ones are judged, others are told why not."""

from typing import Literal

from pydantic import BaseModel

from servelite import route, sequence


class Identified(BaseModel):
    """What langid found, and the text that it found it in."""

    text: str
    language: str
    score: float


class Refused(BaseModel):
    """Why a review is not judged."""

    label: Literal["not judged"] = "not judged"
    language: str
    message: str


def choose(found: Identified) -> Literal["english", "other"]:
    """Judge what is English; short texts of which no language can be told are tried as English too."""
    return "english" if found.language in ("en", "und") else "other"


def refuse(found: Identified) -> Refused:
    """Say in which language the review seems to be."""
    message = (
        f"Thank you for your review. It seems to be in another language ({found.language}), and only English ones can be judged so far."
    )
    return Refused(language=found.language, message=message)


pipeline = sequence("langid", route(choose, english="sentiment", other=refuse))
