"""A schema is read through its references and unions, and said in words."""

from enum import Enum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from servelite.core.shapes import Reader


class Line(BaseModel):
    text: str
    score: float = 0


class Wide(BaseModel):
    a: int
    b: int
    c: int
    d: int
    e: int
    f: int


class Answer(Enum):
    YES = "yes"
    NO = 0
    UNKNOWN = None


WORDS = [
    (str, "a string"),
    (bytes, "a byte string"),
    (int | None, "an integer or null"),
    (None | int, "an integer or null"),
    (int | float | str | None, "an integer, a number, a string or null"),
    (list, "a list"),
    (list[Any], "a list"),
    (list[Line], "a list of objects"),
    (list[list[int]], "a list of lists"),
    (list[int | str], "a list of integers or strings"),
    (list[Literal["a", "b"]], "a list of strings"),
    (set[bool], "a list of booleans"),
    (tuple[int, str], "a list of 2"),
    (tuple[()], "an empty list"),
    (dict, "an object"),
    (dict[str, float], "an object of numbers"),
    (Line, "an object with 'text'"),
    (Line | None, "an object with 'text' or null"),
    (Wide, "an object with 'a', 'b', 'c', 'd', 'e', …"),
    (Literal["en"], "'en'"),
    (Literal["en", "de"], "one of 'en', 'de'"),
    (Literal["en", "de"] | None, "one of 'en', 'de' or null"),
    (Literal[1, True, "x"], "one of 1, true, 'x'"),
    (Literal["a", "b", "c", "d", "e", "f"], "one of 'a', 'b', 'c', 'd', 'e', …"),
    (Answer, "one of 'yes', 0 or null"),
    (Any, "anything"),
    (Annotated[str, Field(min_length=1)], "a string"),
]


@pytest.mark.parametrize(("kind", "said"), WORDS, ids=[said for _, said in WORDS])
def test_a_type_is_said_in_words(kind, said):
    schema = TypeAdapter(kind).json_schema()
    assert Reader(schema).words(schema) == said


INTEGER, STRING, NULL = {"type": "integer"}, {"type": "string"}, {"type": "null"}
BY_HAND = [
    ("true", True, "anything"),
    ("false", False, "nothing"),
    ("only a title", {"title": "Text", "default": 1}, "anything"),
    ("a list of types", {"type": ["string", "null"]}, "a string or null"),
    ("null first", {"anyOf": [NULL, INTEGER]}, "an integer or null"),
    ("nullable", {"type": "string", "nullable": True}, "a string or null"),
    ("one type in allOf", {"allOf": [STRING], "title": "Text"}, "a string"),
    ("allOf merges", {"allOf": [{"required": ["a"]}, {"properties": {"b": INTEGER}, "required": ["b"]}]}, "an object with 'a', 'b'"),
    ("anyOf within anyOf", {"anyOf": [INTEGER, {"anyOf": [STRING, NULL]}]}, "an integer, a string or null"),
    ("what holds for all of a union", {"type": "object", "anyOf": [{"required": ["a"]}, NULL]}, "an object with 'a' or null"),
    ("properties without a type", {"properties": {}, "required": ["a"]}, "an object with 'a'"),
    ("items without a type", {"items": INTEGER}, "a list of integers"),
    ("a definition that does not exist", {"$ref": "#/$defs/Nothing"}, "anything"),
    ("a reference with a title", {"$ref": "#/$defs/Text", "title": "A text"}, "a string"),
    ("a reference to a reference", {"$ref": "#/$defs/Alias"}, "a string"),
    ("a union that holds itself", {"$ref": "#/$defs/Loop"}, "an integer"),
    ("a list of itself", {"$ref": "#/$defs/Nest"}, "an integer or a list of integers or lists"),
    ("a constant list", {"const": [1, "a"]}, '[1, "a"]'),
    ("a list without items", {"type": "array", "prefixItems": [INTEGER], "items": False}, "a list of at most 1"),
    ("a list of some items", {"type": "array", "prefixItems": [INTEGER], "minItems": 1, "maxItems": 3}, "a list of 1 to 3"),
    ("a list of more items", {"type": "array", "prefixItems": [INTEGER], "minItems": 1}, "a list of at least 1"),
]


@pytest.mark.parametrize(("schema", "said"), [row[1:] for row in BY_HAND], ids=[row[0] for row in BY_HAND])
def test_a_schema_written_by_hand_is_read(schema, said):
    nest = {"anyOf": [INTEGER, {"type": "array", "items": {"$ref": "#/$defs/Nest"}}]}
    loop = {"anyOf": [{"$ref": "#/$defs/Loop"}, INTEGER]}
    reader = Reader({"$defs": {"Text": STRING, "Alias": {"$ref": "#/$defs/Text"}, "Loop": loop, "Nest": nest}})
    assert reader.words(schema) == said
