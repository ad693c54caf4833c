"""A JSON Schema in short, as programmers write types: `list[{text, score}]`."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from servelite.core.function import BINARY, Contract
from servelite.core.shapes import Reader, Schema, Shape, item_at, lengths_of, rest_of

MOST_FIELDS = 4
MOST_ALTERNATIVES = 3
MOST_LEVELS = 3
MOST_LETTERS = 20

_BETWEEN = re.compile(r" \| (?![^\[{]*[\]}])")
"""Between alternatives, not those inside of brackets."""

_NAMES = {"": "any", "boolean": "bool", "integer": "int", "number": "float", "string": "str", "binary": "bytes", "null": "null"}


def taken(contract: Contract) -> str:
    """Return what a stage takes; a value takes whatever comes."""
    return _of(contract.takes[0] if contract.takes else "", contract.input_schema)


def given(contract: Contract) -> str:
    """Return what a stage gives."""
    return _of(contract.gives, contract.output_schema)


def alternatives(types: Iterable[str]) -> str:
    """Join types of which any may come: `str | null`, null last, the first few of many, and no constant beside its own type."""
    all_types = dict.fromkeys(one for joined in types for one in _BETWEEN.split(joined))
    each = sorted((one for one in all_types if _types_of(one).isdisjoint(all_types)), key=lambda one: one == "null")
    return "any" if "any" in each else " | ".join([*each[:MOST_ALTERNATIVES], *["…"] * (len(each) > MOST_ALTERNATIVES)])


def fields(names: Sequence[str]) -> str:
    """Name the fields of an object: `{text, score}`, the first few of many."""
    return f"{{{', '.join([*map(_printed, names[:MOST_FIELDS]), *['…'] * (len(names) > MOST_FIELDS)])}}}"


def literal(value: Any) -> str:
    """Return a value as JSON, the beginning of a long one."""
    return _printed(json.dumps(value, ensure_ascii=False))


def _printed(text: str) -> str:
    """Return the beginning of a text, with what can't be printed escaped."""
    escaped = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)
    return escaped if len(escaped) <= MOST_LETTERS else f"{escaped[:MOST_LETTERS]}…"


def _types_of(constant: str) -> set[str]:
    """Return the types of which a constant is one; none where it is a type itself."""
    if constant[0] == '"':
        return {"str"}
    if constant[0] in "-0123456789":
        return {"int", "float"} if constant.lstrip("-").isdigit() else {"float"}
    return {"bool"} if constant in {"true", "false"} else set()


def _of(media: str, schema: Mapping[str, Any]) -> str:
    return "bytes" if media == BINARY or media.startswith(("image/", "audio/")) else _type(Reader(schema), schema, 0)


def _type(reader: Reader, schema: Schema, level: int) -> str:
    if level > MOST_LEVELS:
        return "…"
    return alternatives(_shape(reader, shape, level + 1) for shape in reader.values(schema)) or "nothing"


def _shape(reader: Reader, shape: Shape, level: int) -> str:
    match shape["type"]:
        case "object":
            return _object(reader, shape, level)
        case "array":
            return _list(reader, shape, level)
        case "string" if shape.get("format") == "base64":
            return "bytes"
    return literal(shape["const"]) if shape.get("const") is not None else _NAMES[shape["type"]]


def _object(reader: Reader, shape: Shape, level: int) -> str:
    required = shape.get("required", ())
    if names := [name if name in required else f"{name}?" for name in shape.get("properties", {})]:
        return fields(names)
    inner = _type(reader, rest_of(shape, unsaid=True), level)
    return "dict" if inner in {"any", "nothing"} else f"dict[str, {inner}]"


def _list(reader: Reader, shape: Shape, level: int) -> str:
    least, most = lengths_of(shape)
    if "prefixItems" in shape and least == most:
        return f"tuple[{', '.join(_type(reader, item_at(shape, index), level) for index in range(int(most)))}]" if most else "list"
    inner = _type(reader, item_at(shape, 0), level)
    return "list" if inner == "any" else f"list[{inner}]"
