"""What does a line of text say? It takes the lines that ocr_detect finds."""

import io
import math
from collections import defaultdict

import numpy as np
from PIL import Image
from pydantic import Base64Bytes, BaseModel, Field

from servelite import InvalidInput, function, load_onnx

HEIGHT = 48
NARROWEST, WIDEST, STEP = 320, 3200, 64
"""Pixels. A line is padded to a multiple of STEP, by its own width: so an answer can't depend on its batch-mates."""

MOST_PIXELS = 10_000_000


class Line(BaseModel):
    """A picture of one line of text."""

    image: Base64Bytes = Field(description="PNG or JPEG of one line, upright, with little around it")


class Text(BaseModel):
    """What the line says."""

    text: str
    score: float = Field(ge=0, le=1, description="mean probability of its characters, 0 where there are none")


model = load_onnx("model.onnx")  # float32[n, 3, 48, width], blue first, from -1 to 1, to chances float32[n, width / 8, 6625]
characters = ["", *model.get_modelmeta().custom_metadata_map["character"].splitlines(), " "]  # the first means: none here


@function(max_batch=16, timeout_s=20, memory_mib=1536, max_workers=1)
def ocr_recognise(lines: list[Line]) -> list[Text | InvalidInput]:
    """Read lines; those of about the same width are run together."""
    answers: list[Text | InvalidInput] = []
    by_width = defaultdict(list)
    for place, line in enumerate(lines):
        try:
            pixels = open_line(line.image)
            by_width[pixels.shape[-1]].append((place, pixels))
            answers.append(Text(text="", score=0))
        except InvalidInput as error:
            answers.append(error)
    for same in by_width.values():
        (chances,) = model.run(None, {model.get_inputs()[0].name: np.stack([pixels for _, pixels in same])})
        for (place, _), rows in zip(same, chances, strict=True):
            answers[place] = decode(rows)
    return answers


def open_line(content: bytes) -> np.ndarray:
    """Return float32[3, 48, width]: the line 48 pixels high, grey where it has ended."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
            width = math.ceil(HEIGHT * picture.width / picture.height)
            if width > WIDEST or picture.width * picture.height > MOST_PIXELS:
                raise InvalidInput(f"The line has {picture.width} x {picture.height} pixels, too long for one. Send it in parts.")
            # Sharp edges: blurred ones cost the spaces between words.
            scaled = picture.convert("RGB").resize((width, HEIGHT), Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidInput(f"image is no PNG or JPEG picture that can be read: {error}.") from error
    padded = np.zeros((3, HEIGHT, max(NARROWEST, -(-width // STEP) * STEP)), np.float32)
    padded[:, :, :width] = np.asarray(scaled, np.float32)[..., ::-1].transpose(2, 0, 1) / 127.5 - 1
    return padded


def decode(chances: np.ndarray) -> Text:
    """Return what a line says: its most probable characters (CTC), float32[steps, 6625]; one in a row of the same counts once."""
    best = chances.argmax(1)
    counts = (best > 0) & np.append(True, best[1:] != best[:-1])
    score = float(chances.max(1)[counts].mean()) if counts.any() else 0.0
    return Text(text="".join(characters[index] for index in best[counts]).strip(), score=round(min(score, 1), 4))
