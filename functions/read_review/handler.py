"""What does a review on a picture say, and is it positive or negative?"""

from pydantic import BaseModel

from servelite import InvalidInput, each, parallel, sequence


class Line(BaseModel):
    """A line that was read."""

    text: str


class Review(BaseModel):
    """A text to judge, as sentiment takes it."""

    text: str


def join_lines(lines: list[Line]) -> Review:
    """Put the lines of a picture together, from top to bottom."""
    text = " ".join(line.text.strip() for line in lines).strip()
    if not text:
        raise InvalidInput("No text was found on the picture. Send one on which printed lines can be read.")
    return Review(text=text)


def text_of(review: Review) -> str:
    """Hand the text on beside its sentiment."""
    return review.text


pipeline = sequence("ocr_detect", each("ocr_recognise"), join_lines, parallel(text=text_of, sentiment="sentiment"))
