"""Which handwritten digit is in a picture of 28 x 28?"""

from typing import Annotated

import numpy as np
from pydantic import BaseModel, Field

from servelite import InvalidInput, function, load_onnx

SIDE = 28

Level = Annotated[int, Field(ge=0, le=255)]
Row = Annotated[list[Level], Field(min_length=SIDE, max_length=SIDE)]


class Picture(BaseModel):
    """A digit, white on black."""

    pixels: Annotated[list[Row], Field(min_length=SIDE, max_length=SIDE, description="28 rows of 28 levels, 0 is black and 255 white")]


class Digit(BaseModel):
    """The most probable digit."""

    digit: int = Field(ge=0, le=9)
    score: float = Field(ge=0, le=1, description="probability of the digit")


model = load_onnx("model.onnx")  # image uint8[n, 28, 28] to chances float32[n, 10]; see card.toml


@function(max_batch=64, timeout_s=2, memory_mib=256)
def digits(pictures: list[Picture]) -> list[Digit | InvalidInput]:
    """Read each picture's digit; refuse a picture with nothing on it."""
    images = np.array([picture.pixels for picture in pictures], np.uint8)
    (chances,) = model.run(["chances"], {"image": images})
    return [read(image, row) for image, row in zip(images, chances, strict=True)]


def read(image: np.ndarray, chances: np.ndarray) -> Digit | InvalidInput:
    """Make one answer; of a picture of one shade it would be made of nothing."""
    if image.min() == image.max():
        return InvalidInput(f"All pixels are {image.max()}: there is nothing on the picture. Send a digit in white on black.")
    digit = int(chances.argmax())
    return Digit(digit=digit, score=round(float(chances[digit]), 4))
