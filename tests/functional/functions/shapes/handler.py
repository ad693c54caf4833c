"""Takes floats in every shape in which a type may hold them, and says what it saw."""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from pydantic import BaseModel, RootModel
from typing_extensions import TypedDict

from servelite import function


@dataclass
class Point:
    x: float


class Pair(NamedTuple):
    x: float


class Row(TypedDict):
    x: float


class Shapes(BaseModel, extra="allow"):
    field: float = 0
    keys: dict[float, int] = {}
    values: dict[str, float] = {}
    queue: deque[float] = deque()
    unique: set[float] = set()
    pair: Pair = Pair(0)
    row: Row = {"x": 0}
    point: Point = Point(0)
    root: RootModel[list[float]] = RootModel([])


@function
def shapes(shapes: Shapes) -> str:
    return f"saw {shapes!r}"
