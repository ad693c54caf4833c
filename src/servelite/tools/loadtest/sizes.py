"""Inputs of many sizes, most of them like the example, a few much longer: texts and lists grow where the schema lets them."""

from collections.abc import Mapping
from itertools import cycle, islice
from typing import Any

COUNT = 32
"""Sizes that an example is given; the largest is 26 times as long."""

STEEPNESS = 1.2
"""Of the Pareto distribution that sizes follow: half are up to 1.8 times as long, one of ten is 7 times as long."""

MOST_CHARS, MOST_ITEMS = 100_000, 10_000

_TYPES = {str: "string", list: "array", dict: "object", bool: "boolean", int: "integer", float: "number", type(None): "null"}
_FIXED = ("enum", "const", "pattern", "format", "contentEncoding", "contentMediaType")
"""Texts whose schema says one of these can't be any longer text."""


def factors() -> list[float]:
    """Return how many times longer inputs are made, as evenly as a long tail is spread."""
    return [(1 - (place + 0.5) / COUNT) ** (-1 / STEEPNESS) for place in range(COUNT)]


def stretched(value: Any, schema: Mapping[str, Any], factor: float) -> Any:
    """Return an input with its texts and its outermost lists that many times longer, as far as the schema says that it may be."""
    return _stretched(value, schema, schema, factor)


def _stretched(value: Any, schema: Any, document: Mapping[str, Any], factor: float) -> Any:
    shape = _shape(value, schema, document)
    if isinstance(value, str):
        return value if any(key in shape for key in _FIXED) else _longer_text(value, shape, factor)
    if isinstance(value, list):
        return _longer_list(value, shape, factor)
    if isinstance(value, dict):
        inner = shape.get("properties", {})
        return {name: _stretched(one, inner[name], document, factor) if name in inner else one for name, one in value.items()}
    return value


def _longer_text(text: str, shape: Mapping[str, Any], factor: float) -> str:
    most = min(shape.get("maxLength", MOST_CHARS), MOST_CHARS)
    length = min(int(len(text) * factor), most)
    return "".join(islice(cycle(f"{text} "), length)) if length > len(text) else text


def _longer_list(items: list[Any], shape: Mapping[str, Any], factor: float) -> list[Any]:
    most = min(shape.get("maxItems", MOST_ITEMS), MOST_ITEMS)
    length = min(int(len(items) * factor), most)
    can_grow = length > len(items) and not shape.get("uniqueItems") and "prefixItems" not in shape
    return list(islice(cycle(items), length)) if can_grow else items


def _shape(value: Any, schema: Any, document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follow references and unions to what a schema says of such a value; it fixes nothing where it says nothing."""
    if not isinstance(schema, dict):
        return {}
    if "$ref" in schema:
        return _shape(value, document.get("$defs", {}).get(schema["$ref"].removeprefix("#/$defs/")), document)
    for union in ("anyOf", "oneOf"):
        for one in schema.get(union, ()):
            if (shape := _shape(value, one, document)) and shape.get("type") == _TYPES.get(type(value)):
                return shape
    return schema
