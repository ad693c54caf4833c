"""Whether an output fits an input: a table to read, and properties held against jsonschema with types made at random."""

from copy import deepcopy
from datetime import datetime
from enum import Enum, IntEnum
from typing import Annotated, Any, Literal, NotRequired

import pytest
from pydantic import Base64Bytes, BaseModel, ConfigDict, Field, Json, JsonValue, computed_field
from typing_extensions import TypeAliasType, TypedDict

from servelite.core.fits import Misfit, any_of, item_of, list_of, misfit, object_of
from servelite.core.schema import Codec

# Types that a reader of the tables below may look up.


class Line(BaseModel):
    text: str
    score: float


class NumberedLine(BaseModel):
    text: int


class Text(BaseModel):
    text: str


class OnlyText(Text):
    model_config = ConfigDict(extra="forbid")


class AnyMore(Text):
    model_config = ConfigDict(extra="allow")


class Nothing(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextIfAny(TypedDict):
    text: NotRequired[str]


class TextOrDefault(BaseModel):
    text: str = ""


class TextOrNull(BaseModel):
    text: str | None = None


class Titled(BaseModel):
    text: str = Field(alias="title")


class Shouted(BaseModel):
    words: list[str]

    @computed_field
    def text(self) -> str:
        return " ".join(self.words).upper()


class Page(BaseModel):
    lines: list[Line]


class NumberedPage(BaseModel):
    lines: list[NumberedLine]


class Book(BaseModel):
    pages: dict[str, Page]


class NumberedBook(BaseModel):
    pages: dict[str, NumberedPage]


class Circle(BaseModel):
    kind: Literal["circle"]
    radius: float


class Square(BaseModel):
    kind: Literal["square"]
    side: float


class Blob(BaseModel):
    kind: Literal["circle", "square"]
    radius: int
    side: int


class RoundOrFlat(Blob):
    kind: Literal["circle", "flat"]


class Point(BaseModel):
    x: float


class LooseCircle(BaseModel):
    kind: Literal["circle"]
    radius: str


class Tree(BaseModel):
    value: int
    children: "list[Tree]" = []


class FloatTree(BaseModel):
    value: float
    children: "list[FloatTree]" = []
    note: str = ""


class NamedTree(BaseModel):
    value: int
    children: "list[NamedTree]"
    name: str


class Leafless(BaseModel):
    value: int
    children: "list[Stump]"


class Stump(BaseModel):
    value: str
    children: list[Leafless]


class Language(Enum):
    ENGLISH = "en"
    GERMAN = "de"


class Digit(IntEnum):
    ONE = 1
    TWO = 2


Shape = Annotated[Circle | Square, Field(discriminator="kind")]
Key = Annotated[str, Field(pattern="^a")]
Nested = TypeAliasType("Nested", "int | list[Nested]")
NestedNumber = TypeAliasType("NestedNumber", "float | list[NestedNumber] | None")

CIRCLE_OR_POINT = "an object with 'kind', 'radius' or an object with 'x'"

FITTING = [
    ("the same", Page, Page),
    ("an integer is a number", int, float),
    ("a string is one of several", str, int | str),
    ("each of a union", int | str, str | float | None),
    ("a constant is a string", Literal["a", "b"], str),
    ("constants among more", Literal["a"], Literal["b", "a"]),
    ("constants in several alternatives", Literal["a", 1, None], str | int | None),
    ("an enum and its values", Language, Literal["de", "en"]),
    ("an IntEnum is an integer", Digit, int),
    ("true and false are all of bool", bool, Literal[True, False]),
    ("null is the constant null", None, Literal[None, "a"]),
    ("a date is a string", datetime, str),
    ("a string may be a date", str, datetime),
    ("lengths are left to the call", str, Annotated[str, Field(min_length=3, pattern="^a")]),
    ("ranges are left to the call", int, Annotated[float, Field(ge=0, lt=1)]),
    ("base64 is a string", Base64Bytes, str),
    ("bytes", bytes, bytes),
    ("JSON in a string", str, Json[Line]),
    ("what JSON in a string is read as", Json[Line], Line),
    ("more fields than needed", Line, Text),
    ("a field with a default may be missing", Text, TextOrNull),
    ("an output's default is always written", TextOrDefault, Text),
    ("a computed field", Shouted, Text),
    ("a field under its alias", Titled, Titled),
    ("exactly the only fields", Text, OnlyText),
    ("a field that is not always given", TextIfAny, TextOrDefault),
    ("a model is a dict", Text, dict[str, str]),
    ("a model is a dict of anything", Page, dict),
    ("dicts of numbers", dict[str, int], dict[str, float]),
    ("dicts with some keys", dict[Literal["a"], int], dict[Literal["a", "b"], int]),
    ("dicts with keys of a pattern", dict[Key, int], dict[str, int]),
    ("a dict of a pattern takes any key", dict[str, int], dict[Key, int]),
    ("numbers as keys", dict[int, str], dict[int, str]),
    ("a list of models", list[Line], list[Text]),
    ("a list is a set", list[int], set[int]),
    ("a tuple is a list", tuple[int, float], list[float]),
    ("a list may be a tuple", list[int], tuple[int, float]),
    ("tuples by position", tuple[int, str], tuple[float, str | None]),
    ("the empty tuple is a list", tuple[()], list[int]),
    ("a discriminated union", Shape, Shape),
    ("one of a discriminated union", Circle, Shape),
    ("a discriminated union, told apart by its constants", Blob, Shape),
    ("a recursive type", Tree, Tree),
    ("a recursive type with wider values", Tree, FloatTree),
    ("a recursive type that gives more", NamedTree, Tree),
    ("a recursive union", Nested, NestedNumber),
    ("anything takes all", Page, Any),
    ("Any may be anything", Any, Page),
    ("a JsonValue may be anything", JsonValue, int),
    ("a list of anything", list, list[Page]),
    ("a dict of anything may have the field", dict, Text),
    ("extra fields of any kind may be the one", AnyMore, Line),
    ("a dict of anything may have no more", dict[str, Any], OnlyText),
]

UNFITTING = [
    ("a string is no integer", str, int, Misfit("", "a string", "an integer")),
    ("a number is no integer", float, int, Misfit("", "a number", "an integer")),
    ("a number is neither", Literal["a"] | float, str | int, Misfit("", "a number", "a string or an integer")),
    ("a boolean is no integer", bool, int, Misfit("", "a boolean", "an integer")),
    ("a boolean is no number", bool, float, Misfit("", "a boolean", "a number")),
    ("none of three", float, str | int | bool, Misfit("", "a number", "a string, an integer or a boolean")),
    ("true is not 1", bool, Literal[1, 0], Misfit("", "a boolean", "one of 1, 0")),
    ("raw bytes are no string", bytes, str, Misfit("", "a byte string", "a string")),
    ("a string is no raw bytes", str, bytes, Misfit("", "a string", "a byte string")),
    ("null where none is taken", str | None, str, Misfit("", "null", "a string")),
    ("one of a union too many", int | str, int | None, Misfit("", "a string", "an integer or null")),
    ("a string against an enum", str, Language, Misfit("", "a string", "one of 'en', 'de'")),
    ("one constant too many", Literal["en", "fr"], Language, Misfit("", "'fr'", "one of 'en', 'de'")),
    ("a constant of another type", Literal["a", 1], str, Misfit("", "1", "a string")),
    ("a list against its item", list[Line], Line, Misfit("", "a list of objects", "an object with 'text', 'score'")),
    ("an item against a list", Line, list[Line], Misfit("", "an object with 'text', 'score'", "a list of objects")),
    ("an object against a string", Line, str, Misfit("", "an object with 'text', 'score'", "a string")),
    ("a missing field", Text, Line, Misfit("score", "no field 'score'", "a number")),
    ("a field of another name", Titled, Text, Misfit("text", "no field 'text'", "a string")),
    ("a field only sometimes", TextIfAny, Text, Misfit("text", "an optional field 'text'", "a required one")),
    ("a field that may be null", TextOrNull, Text, Misfit("text", "null", "a string")),
    ("a field of another type", Text, NumberedLine, Misfit("text", "a string", "an integer")),
    ("a field within a list", Page, NumberedPage, Misfit("lines[].text", "a string", "an integer")),
    ("a field within a dict", Book, NumberedBook, Misfit("pages.*.lines[].text", "a string", "an integer")),
    ("a list in a list", list[list[str]], list[list[int]], Misfit("[][]", "a string", "an integer")),
    ("a forbidden field", Line, OnlyText, Misfit("score", "a field 'score'", "no other than 'text'")),
    ("any field is forbidden", Text, Nothing, Misfit("text", "a field 'text'", "no field")),
    ("a dict where fields are forbidden", dict[str, str], Nothing, Misfit("*", "fields of any name", "no field")),
    ("a dict may lack the field", dict[str, str], Text, Misfit("text", "an optional field 'text'", "a required one")),
    ("a dict's values as a field", dict[str, int], TextOrDefault, Misfit("text", "an integer", "a string")),
    ("a dict's values", dict[str, str], dict[str, int], Misfit("*", "a string", "an integer")),
    ("a model's field in a dict", Line, dict[str, str], Misfit("score", "a number", "a string")),
    ("a dict's values under keys of a pattern", dict[Key, str], dict[str, int], Misfit("*", "a string", "an integer")),
    ("the values that keys of a pattern take", dict[str, str], dict[Key, int], Misfit("*", "a string", "an integer")),
    ("a dict's keys", dict[str, int], dict[Literal["a"], int], Misfit("*", "a string", "'a'")),
    ("a model's field among keys", Line, dict[Literal["text"], Any], Misfit("score", "'score'", "'text'")),
    ("a pair against a triple", tuple[int, int], tuple[int, int, int], Misfit("", "a list of 2", "a list of 3")),
    ("an empty list against a pair", tuple[()], tuple[int, int], Misfit("", "an empty list", "a list of 2")),
    ("a tuple's second item", tuple[int, str], list[int], Misfit("[1]", "a string", "an integer")),
    ("a tuple's later items", list[int | str], tuple[int | str, int], Misfit("[1]", "a string", "an integer")),
    ("the item of a list or null", list[Text] | None, list[NumberedLine] | None, Misfit("[].text", "a string", "an integer")),
    ("the alternative that was meant", LooseCircle, Shape, Misfit("radius", "a string", "a number")),
    ("a constant of no alternative", RoundOrFlat, Shape, Misfit("kind", "'flat'", "'circle' or 'square'")),
    ("no alternative was meant", Text, Circle | Point, Misfit("", "an object with 'text'", CIRCLE_OR_POINT)),
    ("a recursive type's value", FloatTree, Tree, Misfit("value", "a number", "an integer")),
    ("what a recursive type lacks", Tree, NamedTree, Misfit("name", "no field 'name'", "a string")),
    ("every other level", Tree, Leafless, Misfit("children[].value", "an integer", "a string")),
    ("null in a recursive union", NestedNumber, Nested, Misfit("", "a number", "an integer or a list of integers or lists")),
]


def schemas(gives: Any, takes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the output schema of one type, and the input schema of another."""
    return Codec(str, gives).schemas()[1], Codec(takes, str).schemas()[0]


@pytest.mark.parametrize(("gives", "takes"), [row[1:] for row in FITTING], ids=[row[0] for row in FITTING])
def test_what_fits_is_no_misfit(gives, takes):
    assert misfit(*schemas(gives, takes)) is None


@pytest.mark.parametrize(("gives", "takes", "found"), [row[1:] for row in UNFITTING], ids=[row[0] for row in UNFITTING])
def test_a_misfit_names_the_field_and_both_sides(gives, takes, found):
    assert misfit(*schemas(gives, takes)) == found


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (Misfit("lines[].text", "an integer", "a string"), "at lines[].text: an integer is given, a string is taken"),
        (Misfit("", "null", "a string"), "null is given, a string is taken"),
    ],
    ids=["of a field", "of the whole"],
)
def test_a_misfit_is_said_in_one_clause(found, said):
    assert str(found) == said


def test_a_list_has_items():
    assert item_of(schemas(list[Line], str)[0])["$ref"] == "#/$defs/Line"


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        pytest.param(list[int], {"type": "integer"}, id="of a list"),
        pytest.param(set[str], {"type": "string"}, id="of a set"),
        pytest.param(tuple[int, str, int], {"anyOf": [{"type": "integer"}, {"type": "string"}]}, id="of a tuple"),
        pytest.param(list[int] | list[str], {"anyOf": [{"type": "integer"}, {"type": "string"}]}, id="of either list"),
        pytest.param(tuple[()], {}, id="of the empty list"),
        pytest.param(list, {}, id="of any list"),
        pytest.param(Any, {}, id="of anything"),
        pytest.param(list[int] | None, None, id="of a list or null"),
        pytest.param(Line, None, id="of an object"),
        pytest.param(str, None, id="of a string"),
    ],
)
def test_the_item_is(kind, item):
    assert item_of(schemas(kind, str)[0]) == item


def test_definitions_of_one_name_are_kept_apart():
    one = {"$defs": {"Tree": {"items": {"$ref": "#/$defs/Tree"}, "type": "array"}}, "$ref": "#/$defs/Tree"}
    other = {
        "$defs": {"Tree": {"type": "object"}, "Tree_2": {"type": "null"}},
        "anyOf": [{"$ref": "#/$defs/Tree"}, {"$ref": "#/$defs/Tree_2"}],
    }
    made = object_of({"a": one, "b": other, "c": one})
    assert made == {
        "type": "object",
        "required": ["a", "b", "c"],
        "properties": {
            "a": {"$ref": "#/$defs/Tree"},
            "b": {"anyOf": [{"$ref": "#/$defs/Tree_3"}, {"$ref": "#/$defs/Tree_2"}]},
            "c": {"$ref": "#/$defs/Tree"},
        },
        "$defs": {**one["$defs"], "Tree_2": {"type": "null"}, "Tree_3": {"type": "object"}},
    }


def test_what_is_equal_may_refer_to_what_differs():
    def wrapped(kind: str) -> dict[str, Any]:
        return {"$defs": {"Box": {"items": {"$ref": "#/$defs/In"}, "type": "array"}, "In": {"type": kind}}, "$ref": "#/$defs/Box"}

    made = object_of({"a": wrapped("string"), "b": wrapped("integer")})
    takes = {"properties": {"b": {"type": "array", "items": {"type": "integer"}}}, "required": ["b"]}
    assert misfit(made, takes) is None
    assert misfit(any_of([wrapped("string"), wrapped("integer")]), takes["properties"]["b"]) == Misfit("[]", "a string", "an integer")


def test_the_mapping_of_a_discriminator_follows_its_definitions():
    shape = schemas(str, Shape)[1]
    other = {"$defs": {"Circle": {"type": "null"}}, "$ref": "#/$defs/Circle"}
    made = object_of({"other": other, "shape": shape})
    mapping = made["properties"]["shape"]["discriminator"]["mapping"]
    assert mapping == {"circle": "#/$defs/Circle_2", "square": "#/$defs/Square"}
    assert made["$defs"]["Circle_2"] == shape["$defs"]["Circle"]


def test_a_schema_without_definitions_gets_none():
    assert list_of({"type": "string"}) == {"type": "array", "items": {"type": "string"}}


INT, STR = {"type": "integer"}, {"type": "string"}
BY_HAND = [
    pytest.param({"const": {"a": 1}}, {"properties": {"a": INT}, "required": ["a"]}, None, id="a constant object"),
    pytest.param(
        {"allOf": [{"properties": {"a": INT}}, {"properties": {"b": STR}}]},
        {"properties": {"a": STR}},
        "at a: an integer is given, a string is taken",
        id="all of two objects",
    ),
    pytest.param({"const": {"a": 1}}, {"const": {"a": 1}}, None, id="the same constant object"),
    pytest.param(
        {"const": [1, "x"]},
        {"type": "array", "items": INT},
        "at [1]: 'x' is given, an integer is taken",
        id="a constant list",
    ),
    pytest.param({"const": 2.0}, INT, None, id="a whole float is an integer"),
    pytest.param({"const": 2.5}, INT, "2.5 is given, an integer is taken", id="a broken one is not"),
    pytest.param(STR, False, "a string is given, nothing is taken", id="nothing is taken"),
    pytest.param(False, STR, None, id="nothing is given"),
    pytest.param({"type": "object"}, {"required": ["a"]}, None, id="an object of which nothing is said"),
    pytest.param({"properties": {}}, {"required": ["a"]}, "at a: no field 'a' is given, anything is taken", id="a field of any type"),
    pytest.param({"type": ["string", "null"]}, {"type": "string", "nullable": True}, None, id="null in two ways"),
    pytest.param({"$ref": "#/$defs/Gone"}, STR, None, id="a definition that is gone"),
    pytest.param({"items": STR, "maxItems": 1}, {"prefixItems": [STR, INT]}, None, id="a second item that is never given"),
    pytest.param({"prefixItems": [STR], "items": INT, "maxItems": 1}, {"items": STR}, None, id="later items that are never given"),
    pytest.param(
        {"type": "array", "items": STR},
        {"type": "array", "prefixItems": [STR], "items": False},
        None,
        id="a list for one of at most one",
    ),
    pytest.param(
        {"type": "array", "prefixItems": [STR] * 2, "minItems": 2},
        {"type": "array", "prefixItems": [STR], "items": False},
        "a list of at least 2 is given, a list of at most 1 is taken",
        id="two for at most one",
    ),
]


@pytest.mark.parametrize(("gives", "takes", "said"), BY_HAND)
def test_a_schema_written_by_hand_is_compared(gives, takes, said):
    found = misfit({"anyOf": [gives]}, {"anyOf": [takes]})
    assert (found and str(found)) == said


def test_many_types_that_hold_each_other_are_compared_once_a_pair():
    names = [f"T{number}" for number in range(20)]

    def web(leaf: str) -> dict[str, Any]:
        some = {"anyOf": [{"$ref": f"#/$defs/{name}"} for name in names]}
        fields = {"leaf": {"type": leaf}, "one": some, "more": {"type": "array", "items": some}}
        return deepcopy({"$defs": {name: {"properties": fields} for name in names}, **some})

    assert misfit(web("integer"), web("number")) is None
    assert misfit(web("number"), web("integer")) is not None


def test_what_fits_only_if_something_else_did_is_compared_again():
    def ring(a: str, b: str, c: str, leaf: str) -> dict[str, Any]:
        return {
            a: {"properties": {"b": {"$ref": f"#/$defs/{b}"}, "leaf": {"type": leaf}}},
            b: {"properties": {"c": {"$ref": f"#/$defs/{c}"}}},
            c: {"properties": {"a": {"$ref": f"#/$defs/{a}"}}},
        }

    gives = {"$defs": ring("A", "B", "C", "integer"), "properties": {"first": {"$ref": "#/$defs/C"}, "then": {"$ref": "#/$defs/B"}}}
    anything_too = {"anyOf": [{"$ref": "#/$defs/Z"}, {}]}
    takes = {"$defs": ring("X", "Y", "Z", "string"), "properties": {"first": anything_too, "then": {"$ref": "#/$defs/Y"}}}
    assert misfit(gives, takes) == Misfit("then.c.a.leaf", "an integer", "a string")
