"""Where are the lines of text on a picture? Each comes as a picture of its own, which ocr_recognise reads."""

import io
from typing import Annotated

import numpy as np
from boxes import Box, find_boxes
from PIL import Image, ImageOps
from pydantic import Base64Bytes, BaseModel, Field

from servelite import InvalidInput, function, load_onnx

LONGEST_SIDE = 1280
"""Pixels; a larger picture is looked at in this size. Lines are cut out of the picture as it came."""

MOST_PIXELS = 40_000_000
MARGIN = 16
"""Pixels of paper that are added around a picture: the network misses text that touches its edge."""

STEP = 32
"""The network takes sides that are multiples of so many pixels."""

LINE_HEIGHT = 48
"""Pixels that ocr_recognise looks at; a higher line is made as low as that."""

TALL = 1.5
"""A box so many times as high as it is wide is a line from top to bottom; it is turned to the left."""

Point = tuple[float, float]


class Line(BaseModel):
    """A line of text; the lines of a page come in reading order."""

    image: Base64Bytes = Field(description="the line as a PNG, upright, at most 48 pixels high")
    box: Annotated[list[Point], Field(min_length=4, max_length=4, description="its corners x, y, clockwise from the top left")]
    score: float = Field(ge=0, le=1, description="mean chance that a pixel in the box is of text")


model = load_onnx("model.onnx")  # float32[1, 3, height, width], blue first, from -1 to 1, to chances float32[1, 1, height, width]


@function(timeout_s=20, memory_mib=1536, max_workers=1)
def ocr_detect(image: bytes) -> list[Line]:
    """Find the lines of text on a PNG or JPEG picture."""
    page = with_margin(open_picture(image))
    size = [max(STEP, round(side * min(1, LONGEST_SIDE / max(page.size)) / STEP) * STEP) for side in page.size]
    pixels = np.asarray(page.resize((size[0], size[1]), Image.Resampling.BILINEAR), np.float32)[..., ::-1]
    (chances,) = model.run(None, {model.get_inputs()[0].name: (pixels / 127.5 - 1).transpose(2, 0, 1)[None]})
    scale = np.array(page.size) / size
    return [cut(page, box, scale) for box in find_boxes(chances[0, 0])]


def open_picture(content: bytes) -> Image.Image:
    """Read a picture as its reader sees it: turned as its camera says, on white where it is transparent."""
    try:
        with Image.open(io.BytesIO(content), formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise InvalidInput(f"The picture has {picture.width} x {picture.height} pixels. Send one of at most {MOST_PIXELS:,}.")
            turned = ImageOps.exif_transpose(picture).convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise InvalidInput(f"The body is no PNG or JPEG picture that can be read: {error}.") from error
    return Image.alpha_composite(Image.new("RGBA", turned.size, "white"), turned).convert("RGB")


def with_margin(picture: Image.Image) -> Image.Image:
    """Add a margin in the colour of most of the picture's edge."""
    pixels = np.asarray(picture)
    edge = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    red, green, blue = np.median(edge, axis=0).astype(int).tolist()
    return ImageOps.expand(picture, MARGIN, (red, green, blue))


def cut(page: Image.Image, box: Box, scale: np.ndarray) -> Line:
    """Cut one line out of the page with its margin; the box is in pixels of the network's input."""
    corners = np.clip(box.corners() * scale, 0, page.size)
    width, height = (max(1, round(float(np.linalg.norm(corners[place] - corners[0])))) for place in (1, 3))
    line = page.transform((width, height), Image.Transform.QUAD, corners[[0, 3, 2, 1]].ravel().tolist(), Image.Resampling.BICUBIC)
    if height >= TALL * width:
        line = line.transpose(Image.Transpose.ROTATE_90)
    if line.height > LINE_HEIGHT:
        line = line.resize((max(1, round(line.width * LINE_HEIGHT / line.height)), LINE_HEIGHT), Image.Resampling.LANCZOS)
    points = [(x, y) for x, y in np.clip(corners - MARGIN, 0, np.array(page.size) - 2 * MARGIN).round(1).tolist()]
    return Line.model_construct(image=to_png(line), box=points, score=round(box.score, 4))  # not validated: image is no base64 yet


def to_png(picture: Image.Image) -> bytes:
    """Write a picture as PNG, quickly rather than small."""
    content = io.BytesIO()
    picture.save(content, "PNG", compress_level=1)
    return content.getvalue()
