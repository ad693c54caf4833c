"""JSON Schemas read as what a value may be: alternatives of one type each, through references and unions, and in words."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, product
from math import inf
from typing import Any, TypeAlias

Schema: TypeAlias = Mapping[str, Any] | bool
Shape: TypeAlias = dict[str, Any]
"""A schema without references and unions: what can be known of one value without looking elsewhere."""

DEFINITION = "#/$defs/"
_OBJECT = ("properties", "required", "additionalProperties", "patternProperties", "propertyNames")
_LIST = ("items", "prefixItems")
_TELLING = {"type", "format", "const", "enum", "minItems", "maxItems", *_OBJECT, *_LIST}
_WORDS = {
    "": ("anything", "anything"),
    "null": ("null", "nulls"),
    "boolean": ("a boolean", "booleans"),
    "integer": ("an integer", "integers"),
    "number": ("a number", "numbers"),
    "string": ("a string", "strings"),
    "binary": ("a byte string", "byte strings"),
    "array": ("a list", "lists"),
    "object": ("an object", "objects"),
}
_MANY = 5


class Reader:
    """Reads the subschemas of one document, whose `$defs` they refer to."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._definitions = document.get("$defs", {})

    def alternatives(self, schema: Schema, followed: frozenset[str] = frozenset()) -> list[tuple[Shape, ...]]:
        """Return what a value may be: each alternative is some shapes that hold together; Any is the empty tuple."""
        if isinstance(schema, bool):
            return [()] if schema else []
        own = {key: schema[key] for key in schema if key in _TELLING}
        every = [self.alternatives(one, followed) for one in schema.get("allOf", ())]
        unions = [schema[key] for key in ("anyOf", "oneOf") if key in schema]
        some = [[parts for one in union for parts in self.alternatives(one, followed)] for union in unions]
        there = [self._referred(schema["$ref"], followed)] if "$ref" in schema else []
        found = [tuple(chain(*parts)) for parts in product([(own,) if own else ()], *every, *some, *there)]
        return [*found, ({"type": "null"},)] if schema.get("nullable") else found

    def values(self, schema: Schema) -> list[Shape]:
        """Return the same, each alternative one shape of one `type` ("" for Any), constants one by one."""
        return [shape for parts in self.alternatives(schema) for shape in _by_type(_merged(parts))]

    def is_open(self, schema: Schema) -> bool:
        """Tell whether Any is among the alternatives."""
        return any(not shape["type"] for shape in self.values(schema))

    def words(self, schema: Schema) -> str:
        """Say what a schema allows: `a list of strings or null`."""
        shapes = sorted(self.values(schema), key=lambda shape: shape["type"] == "null")
        constants = [_literal(shape["const"]) for shape in shapes if shape.get("const") is not None]
        rest = [self.phrase(shape) for shape in shapes if shape.get("const") is None]
        said = [*dict.fromkeys([*([f"one of {shortened(constants)}"] if len(constants) > 1 else constants), *rest])]
        return " or ".join([part for part in (", ".join(said[:-1]), *said[-1:]) if part]) or "nothing"

    def phrase(self, shape: Shape) -> str:
        """Say what one alternative is."""
        if "const" in shape:
            return _literal(shape["const"])
        if shape["type"] == "object" and (fields := shape.get("required")):
            return f"an object with {listed(fields)}"
        if "prefixItems" in shape or shape.get("maxItems") == 0:
            return list_words(*lengths_of(shape))
        inner = {"object": rest_of(shape, unsaid=True), "array": shape.get("items", True)}.get(shape["type"], True)
        many = " or ".join(dict.fromkeys(_WORDS[one["type"]][1] for one in self.values(inner)))
        alone = _WORDS[shape["type"]][0]
        return alone if many in {"", "anything"} else f"{alone} of {many}"

    def _referred(self, reference: str, followed: frozenset[str]) -> list[tuple[Shape, ...]]:
        if reference in followed:
            return []  # a union that holds itself is no more than its other alternatives
        return self.alternatives(self._definitions.get(reference.removeprefix(DEFINITION), True), followed | {reference})


def kinds_of(shape: Shape) -> list[str]:
    """Return the types that a shape allows, all where it is empty; one that only says what is inside means objects, or lists."""
    said = shape.get("type") or ["object"] * any(key in shape for key in _OBJECT) or ["array"] * any(key in shape for key in _LIST)
    types = [said] if isinstance(said, str) else said
    return ["binary" if kind == "string" and shape.get("format") == "binary" else kind for kind in types]


def constants_of(shape: Shape) -> list[Any] | None:
    """Return the only values that a shape allows, None where it does not list them."""
    return [shape["const"]] if "const" in shape else shape.get("enum")


def rest_of(shape: Shape, *, unsaid: bool) -> Schema:
    """Return the schema of the fields that an object may have besides those it names, whatever patterns their names follow."""
    patterns = [*shape.get("patternProperties", {}).values()]
    found: Schema = patterns[0] if len(patterns) == 1 else shape.get("additionalProperties", unsaid or bool(patterns))
    return found


def lengths_of(shape: Shape) -> tuple[float, float]:
    """Return how many items a list has at least and at most."""
    limit = len(shape.get("prefixItems", ())) if shape.get("items") is False else inf
    return shape.get("minItems", 0), min(limit, shape.get("maxItems", inf))


def item_at(shape: Shape, index: int) -> Schema:
    """Return the schema of the item at a position."""
    first: Sequence[Schema] = shape.get("prefixItems", ())
    return first[index] if index < len(first) else shape.get("items") or True  # False is a matter of length


def listed(names: Iterable[str]) -> str:
    """Name fields: `'text', 'score'`."""
    return shortened([f"'{name}'" for name in names])


def shortened(words: Sequence[str]) -> str:
    """Join words, the first few of many."""
    return ", ".join([*words[:_MANY], *["…"] * (len(words) > _MANY)])


def list_words(least: float, most: float) -> str:
    """Say how long a list is."""
    if least == most:
        return f"a list of {least}" if most else "an empty list"
    if most == inf:
        return f"a list of at least {least}" if least else "a list"
    return f"a list of {least} to {most}" if least else f"a list of at most {most}"


def _literal(value: Any) -> str:
    return f"'{value}'" if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _merged(parts: Iterable[Shape]) -> Shape:
    whole: Shape = {}
    for part in parts:
        both = {"properties": {**whole.get("properties", {}), **part["properties"]}} if "properties" in part else {}
        required = {"required": [*whole.get("required", ()), *part["required"]]} if "required" in part else {}
        whole = {**whole, **part, **both, **required}
    return whole


def _by_type(shape: Shape) -> list[Shape]:
    values = constants_of(shape)
    return [{**shape, "type": kind} for kind in kinds_of(shape) or [""]] if values is None else [_constant(value) for value in values]


def _constant(value: Any) -> Shape:
    """Return the shape of a constant, with what is in it."""
    if isinstance(value, list):
        items = [{"const": one} for one in value]
        return {"const": value, "type": "array", "prefixItems": items, "minItems": len(value), "maxItems": len(value)}
    if isinstance(value, dict):
        return {"const": value, "type": "object", "properties": {name: {"const": value[name]} for name in value}, "required": [*value]}
    named = {type(None): "null", bool: "boolean", str: "string"}
    return {"const": value, "type": named.get(type(value)) or ("integer" if value % 1 == 0 else "number")}
