"""JSON Schemas in short."""

from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from servelite.core.function import BINARY, JSON, TEXT, Contract
from servelite.core.notation import alternatives, fields, literal, taken
from servelite.core.notation import given as given_words


class Sentiment(BaseModel):
    text: str
    score: float = 0.5


class Tree(BaseModel):
    name: str
    children: "list[Tree]"


class Wide(BaseModel):
    a: int
    b: int
    c: int
    d: int
    e: int


@pytest.mark.parametrize(
    ("kind", "short"),
    [
        (str, "str"),
        (int, "int"),
        (float, "float"),
        (bool, "bool"),
        (None, "null"),
        (bytes, "bytes"),
        (Any, "any"),
        (list[str], "list[str]"),
        (list[list[int]], "list[list[int]]"),
        (list[Any], "list"),
        (dict[str, int], "dict[str, int]"),
        (dict[str, Any], "dict"),
        (tuple[int, str], "tuple[int, str]"),
        (set[str], "list[str]"),
        (Sentiment, "{text, score?}"),
        (list[Sentiment], "list[{text, score?}]"),
        (Wide, "{a, b, c, d, …}"),
        (list[Tree], "list[{name, children}]"),
        (str | None, "str | null"),
        (list[int | None], "list[int | null]"),
        (Literal["yes", "no"], '"yes" | "no"'),
        (Literal["a", "b", "c", "d"], '"a" | "b" | "c" | …'),
        (Literal[1, 2] | None, "1 | 2 | null"),
        (Sentiment | list[str], "{text, score?} | list[str]"),
        (list[list[list[list[str]]]], "list[list[list[list[…]]]]"),
    ],
    ids=str,
)
def test_a_type_in_short(kind: Any, short: str) -> None:
    assert taken(Contract((JSON,), JSON, TypeAdapter(kind).json_schema(), {})) == short


def test_a_recursive_list_ends() -> None:
    schema = {"$defs": {"Nest": {"type": "array", "items": {"$ref": "#/$defs/Nest"}}}, "$ref": "#/$defs/Nest"}
    assert taken(Contract((JSON,), JSON, schema, {})) == "list[list[list[list[…]]]]"


@pytest.mark.parametrize(
    ("media", "short"), [(TEXT, "str"), (BINARY, "bytes"), ("image/*", "bytes"), ("audio/*", "bytes"), (JSON, "str")], ids=str
)
def test_bytes_are_told_by_their_media_type(media: str, short: str) -> None:
    contract = Contract((media,), media, {"type": "string"}, {"type": "string"})
    assert (taken(contract), given_words(contract)) == (short, short)


@pytest.mark.parametrize(
    ("types", "joined"),
    [
        (["str"], "str"),
        (["null", "str"], "str | null"),
        (["str | null", "int | null"], "str | int | null"),
        (["list[int | null]", "list[int | null] | null"], "list[int | null] | null"),
        (["str", '"no"'], "str"),
        (["int", "0", "true", '""'], 'int | true | ""'),
        (["float", "0", "0.5", "-1"], "float"),
        (["bool", "true"], "bool"),
        (["str", "any"], "any"),
        (["str", "int", "float", "bool"], "str | int | float | …"),
    ],
    ids=" + ".join,
)
def test_alternatives_are_joined(types: list[str], joined: str) -> None:
    assert alternatives(types) == joined


def test_the_first_of_many_fields_are_named() -> None:
    assert (fields(["a", "b"]), fields(["a", "b", "c", "d", "e"])) == ("{a, b}", "{a, b, c, d, …}")


def test_a_long_value_is_cut_and_a_strange_one_escaped() -> None:
    assert literal({"text": "a long, long text"}) == '{"text": "a long, lo…'
    assert literal("\ud800\u202e\n") == '"\\ud800\\u202e\\n"'
    assert literal("你好") == '"你好"'


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
)


@given(JSONS)
def test_any_constant_has_a_type_in_one_printable_line(value: Any) -> None:
    short = given_words(Contract((), JSON, {}, {"const": value}))
    assert short
    assert "\n" not in short
