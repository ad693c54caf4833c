"""Whether two outputs are alike: equal, but for floats, which may be a little apart; and where they differ most."""

import json
from collections.abc import Iterator
from math import inf, isfinite
from typing import Any, NamedTuple

TOLERANCE = 1e-3
"""How far two floats may be apart, as a part of the larger one, as in the tests of ONNX's own backends.

Kernels add in another order in a larger batch: twelve float32 layers of 768 differ by 5e-5 alone and in 64 rows (measured)."""

SMALL = 0.1
"""Floats below this may be apart as far as this one may: as a part of next to nothing, every difference is large."""


class Difference(NamedTuple):
    """Where two outputs differ (`scores[2]`), and how far two numbers are apart; infinitely, where they are no numbers."""

    where: str
    expected: Any
    got: Any
    apart: float

    def __str__(self) -> str:
        """Say it: `score is 0.61, not 0.42 (0.19 apart)`."""
        said = f"{self.where or 'the output'} is {_shown(self.got)}, not {_shown(self.expected)}"
        return f"{said} ({self.apart:.2g} apart)" if isfinite(self.apart) else said


def difference(expected: Any, got: Any, tolerance: float = TOLERANCE) -> Difference | None:
    """Return the largest difference of two JSON values, None where they are alike."""
    return max(_differences(expected, got, tolerance, ""), key=lambda one: one.apart, default=None)


def _differences(expected: Any, got: Any, tolerance: float, where: str) -> Iterator[Difference]:
    if isinstance(expected, dict) and isinstance(got, dict) and expected.keys() == got.keys():
        for name, value in expected.items():
            yield from _differences(value, got[name], tolerance, f"{where}.{name}".removeprefix("."))
    elif isinstance(expected, list) and isinstance(got, list) and len(expected) == len(got):
        for index, (one, other) in enumerate(zip(expected, got, strict=True)):
            yield from _differences(one, other, tolerance, f"{where}[{index}]")
    elif {type(expected), type(got)} in ({float}, {float, int}):
        if (apart := abs(expected - got)) > tolerance * max(abs(expected), abs(got), SMALL):
            yield Difference(where, expected, got, apart)
    elif type(expected) is not type(got) or expected != got:  # True is not 1 here
        yield Difference(where, expected, got, inf)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
