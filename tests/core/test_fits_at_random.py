"""Types made at random, in pairs that resemble each other: what `misfit` says of their schemas is held against jsonschema.

Values are made of the output's schema in two ways: `corners` has each alternative of each place once, `values` mixes them.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any, Literal, NotRequired, Union

import jsonschema
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, create_model
from typing_extensions import TypedDict

from servelite.core.fits import Misfit, all_of, any_of, item_of, list_of, misfit, object_of
from servelite.core.schema import Codec

SCALARS: dict[str, Any] = {"int": int, "float": float, "str": str, "bool": bool, "null": None, "moment": datetime}
CONSTANTS = ("a", "b", "c", 1, 2, True)
NAMES = ("x", "y", "z")
RECORDS = ("model", "closed", "typed", "tree")


@dataclass(frozen=True)
class Kind:
    """A type to be: a scalar, `constants`, or list, tuple, dict, union, model, closed, typed, tree of others."""

    name: str
    inner: tuple["Kind", ...] = ()
    fields: tuple[str, ...] = ()
    needed: tuple[bool, ...] = ()
    constants: tuple[Any, ...] = ()


INTEGER, NUMBER, STRING, NULL = map(Kind, ("int", "float", "str", "null"))


def record(name: str, /, **fields: Kind) -> Kind:
    return Kind(name, tuple(fields.values()), tuple(fields), (True,) * len(fields))


@cache
def as_type(kind: Kind) -> Any:
    """Make the type that an author would write."""
    if kind.name in SCALARS:
        return SCALARS[kind.name]
    inner = [as_type(one) for one in kind.inner]
    return {
        "list": lambda: list[inner[0]],
        "dict": lambda: dict[str, inner[0]],
        "tuple": lambda: tuple[tuple(inner)],
        "union": lambda: Union[tuple(inner)],  # noqa: UP007  made of a list
        "constants": lambda: Literal[kind.constants],
        "model": lambda: as_model(kind, inner, "ignore"),
        "closed": lambda: as_model(kind, inner, "forbid"),
        "typed": lambda: as_typed(kind, inner),
        "tree": lambda: as_tree(inner[0]),
    }[kind.name]()


def as_model(kind: Kind, inner: list[Any], extra: Literal["ignore", "forbid"]) -> Any:
    fields = zip(kind.fields, inner, kind.needed, strict=True)
    made = {name: (one, ... if needed else Field(default=None)) for name, one, needed in fields}
    return create_model("Model", __config__=ConfigDict(extra=extra), **made)


def as_typed(kind: Kind, inner: list[Any]) -> Any:
    fields = zip(kind.fields, inner, kind.needed, strict=True)
    return TypedDict("Typed", {name: one if needed else NotRequired[one] for name, one, needed in fields})


def as_tree(value: Any) -> Any:
    tree = create_model("Tree", value=(value, ...), children=(list["Tree"], []))  # noqa: F821  it is told below
    tree.model_rebuild(_types_namespace={"Tree": tree})
    return tree


def gives(kind: Kind) -> dict[str, Any]:
    return Codec(str, as_type(kind)).schemas()[1]


def takes(kind: Kind) -> dict[str, Any]:
    return Codec(as_type(kind), str).schemas()[0]


# Kinds at random, and kinds that resemble them.

scalars = st.sampled_from([Kind(name) for name in SCALARS])
constants = st.lists(st.sampled_from(CONSTANTS), min_size=1, max_size=3, unique_by=lambda one: (one, type(one))).map(
    lambda some: Kind("constants", constants=tuple(some))
)


@st.composite
def records(draw: st.DrawFn, inner: st.SearchStrategy[Kind]) -> Kind:
    names = draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True))
    return Kind(
        draw(st.sampled_from(["model", "closed", "typed"])),
        tuple(draw(inner) for _ in names),
        tuple(names),
        tuple(draw(st.booleans()) for _ in names),
    )


def union_of(some: list[Kind]) -> Kind:
    return Kind("union", tuple(dict.fromkeys(some)))


kinds = st.recursive(
    scalars | constants,
    lambda inner: st.one_of(
        inner.map(lambda one: Kind("list", (one,))),
        inner.map(lambda one: Kind("dict", (one,))),
        inner.map(lambda one: Kind("tree", (one,))),
        st.lists(inner, max_size=3).map(lambda some: Kind("tuple", tuple(some))),
        st.lists(inner, min_size=1, max_size=3).map(union_of),
        records(inner),
    ),
    max_leaves=8,
)


def within(kind: Kind, index: int, new: Kind) -> Kind:
    return replace(kind, inner=(*kind.inner[:index], new, *kind.inner[index + 1 :]))


def without(kind: Kind, index: int) -> Kind:
    def left(some: tuple[Any, ...]) -> tuple[Any, ...]:
        return some[:index] + some[index + 1 :]

    return replace(kind, inner=left(kind.inner), fields=left(kind.fields), needed=left(kind.needed))


def neighbours(kind: Kind) -> Iterator[Kind]:
    """Return what an author may change about a type, for better or worse."""
    yield Kind("list", (kind,))
    yield Kind("union", (kind, NULL))
    yield from kind.inner
    if kind.name in {"union", "tuple", "model", "closed", "typed"}:
        yield from (without(kind, index) for index in range(len(kind.inner)) if kind.name != "union" or len(kind.inner) > 1)
    for index in range(len(kind.needed)):
        yield replace(kind, needed=tuple(needed != (one == index) for one, needed in enumerate(kind.needed)))
    if kind.name in {"model", "closed", "typed"}:
        yield from (replace(kind, name=name) for name in ("model", "closed", "typed"))
    if kind.name == "tree":
        yield record("model", value=kind.inner[0], children=Kind("list", (kind,)))
    if kind.name == "constants":
        yield from (Kind("constants", constants=tuple(dict.fromkeys((*kind.constants, one)))) for one in ("a", 2))
    yield from map(Kind, SCALARS)


@st.composite
def changed(draw: st.DrawFn, kind: Kind) -> Kind:
    if kind.inner and draw(st.integers(0, 2)):
        index = draw(st.integers(0, len(kind.inner) - 1))
        return within(kind, index, draw(changed(kind.inner[index])))
    return draw(st.sampled_from([*neighbours(kind)]))


@st.composite
def loosened(draw: st.DrawFn, kind: Kind) -> Kind:
    """Return a kind that takes all that this one gives, and more."""
    new = replace(kind, inner=tuple(draw(loosened(one)) for one in kind.inner))
    if new.needed:
        new = replace(new, needed=tuple(needed and draw(st.booleans()) for needed in new.needed))
    if new.fields and new.name != "closed" and draw(st.booleans()):
        new = without(new, draw(st.integers(0, len(new.fields) - 1)))
    if new.name == "int":
        new = draw(st.sampled_from([new, NUMBER]))
    if new.name == "constants" and not any(isinstance(one, int) for one in new.constants):
        new = draw(st.sampled_from([new, STRING, Kind("constants", constants=("a", "b", "c", 2))]))
    return union_of([new, draw(scalars)]) if draw(st.integers(0, 3)) == 0 else new


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Kind, Kind]:
    """Two kinds, the second like the first but for a few changes."""
    first = draw(kinds)
    second = draw(loosened(first)) if draw(st.booleans()) else first
    for _ in range(draw(st.integers(0, 2))):
        second = draw(changed(second))
    return first, second


# Values of a schema, and a schema's judgement of them.

SIMPLE: dict[str, list[Any]] = {"null": [None], "boolean": [True, False], "integer": [7], "number": [0.5, 7], "string": ["text"]}


def corners(schema: Any, document: dict[str, Any], way: tuple[str, ...] = ()) -> list[Any]:
    """Return values so that each alternative of each place is there at least once."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return corners(document["$defs"][name], document, (*way, name)) if way.count(name) < 2 else []  # a tree within a tree will do
    if "anyOf" in schema:
        return [value for one in schema["anyOf"] for value in corners(one, document, way)]
    if "enum" in schema or "const" in schema:
        return schema.get("enum") or [schema["const"]]
    if schema["type"] == "array":
        return list_corners(schema, document, way)
    return object_corners(schema, document, way) if schema["type"] == "object" else SIMPLE[schema["type"]]


def list_corners(schema: dict[str, Any], document: dict[str, Any], way: tuple[str, ...]) -> list[Any]:
    if "items" in schema:
        items = corners(schema["items"], document, way)
        return [[], items, *([one] for one in items)]
    places = [corners(one, document, way) for one in schema.get("prefixItems", [])]
    if not all(places):
        return []
    first = [place[0] for place in places]
    return [first, *([*first[:index], value, *first[index + 1 :]] for index, place in enumerate(places) for value in place[1:])]


def object_corners(schema: dict[str, Any], document: dict[str, Any], way: tuple[str, ...]) -> list[Any]:
    required, rest = schema.get("required", []), schema.get("additionalProperties", False)
    fields = {name: corners(one, document, way) for name, one in schema.get("properties", {}).items()}
    if not all(fields[name] for name in required):
        return []
    least = {name: fields[name][0] for name in required}
    single = [{**least, name: value} for name, some in fields.items() for value in some]
    full = {**{name: some[0] for name, some in fields.items() if some}, **least}
    more = [{name: value} for value in (corners(rest, document, way) if rest else []) for name in (*NAMES, "value", "more")]
    return [least, full, *single, *more, *([{key: one[key] for one in more for key in one}] if more else [])]


def values(schema: Any, document: dict[str, Any], depth: int = 2) -> st.SearchStrategy[Any]:
    """Return a strategy of the values that a schema allows."""
    if "$ref" in schema:
        return values(document["$defs"][schema["$ref"].rpartition("/")[2]], document, depth - 1)
    if "anyOf" in schema:
        return st.one_of([values(one, document, depth) for one in schema["anyOf"]])
    if "enum" in schema or "const" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    if schema["type"] == "array":
        return lists(schema, document, depth)
    return objects(schema, document, depth) if schema["type"] == "object" else st.sampled_from(SIMPLE[schema["type"]])


def lists(schema: Any, document: dict[str, Any], depth: int) -> st.SearchStrategy[list[Any]]:
    if "items" in schema:
        return st.lists(values(schema["items"], document, depth), max_size=2) if depth > 0 else st.just([])
    return st.tuples(*(values(one, document, depth) for one in schema.get("prefixItems", []))).map(list)


def objects(schema: Any, document: dict[str, Any], depth: int) -> st.SearchStrategy[dict[str, Any]]:
    if rest := schema.get("additionalProperties"):
        return st.dictionaries(st.sampled_from([*NAMES, "more"]), values(rest, document, depth), max_size=2)
    fields = {name: values(one, document, depth) for name, one in schema.get("properties", {}).items()}
    optional = {name: fields.pop(name) for name in [*fields] if name not in schema.get("required", [])}
    return st.fixed_dictionaries(fields, optional=optional)


def by_type(schema: Any) -> Any:
    """Return a schema without what is left to the running call: lengths."""
    if isinstance(schema, dict):
        return {key: by_type(value) for key, value in schema.items() if key not in {"minItems", "maxItems"}}
    return [by_type(one) for one in schema] if isinstance(schema, list) else schema


def refused(schema: dict[str, Any], some: list[Any]) -> list[Any]:
    validator = jsonschema.Draft202012Validator(schema)
    return [value for value in some if not validator.is_valid(value)]


def told_apart(kind: Kind) -> bool:
    """Tell whether no union has two alternatives with something inside: values of one alternative fit one only."""
    compound = [one for one in kind.inner if one.inner or one.fields or one.name in {*RECORDS, "union", "tuple"}]
    return (kind.name != "union" or len(compound) <= 1) and all(map(told_apart, kind.inner))


# What holds.


@settings(max_examples=50)
@given(kinds)
def test_values_made_here_are_values_of_the_schema(kind):
    schema = gives(kind)
    assert refused(schema, corners(schema, schema)) == []


@given(kinds)
def test_a_schema_fits_itself(kind):
    assert misfit(gives(kind), gives(kind)) is None
    assert misfit(takes(kind), takes(kind)) is None


@settings(max_examples=50)
@given(st.data(), kinds)
def test_what_takes_more_fits(data, kind):
    looser = data.draw(loosened(kind))
    given_, taken = gives(kind), takes(looser)
    assert misfit(given_, taken) is None
    assert refused(taken, corners(given_, given_)) == []


MANY = pytest.mark.parametrize("examples", [100, pytest.param(1_000, marks=pytest.mark.slow)], ids=["some", "many"])


@MANY
def test_where_no_misfit_is_found_every_value_is_taken(examples):
    @settings(max_examples=examples)
    @given(st.data(), pairs())
    def holds(data: st.DataObject, pair: tuple[Kind, Kind]) -> None:
        given_, taken = gives(pair[0]), takes(pair[1])
        if misfit(given_, taken) is None:
            mixed = [data.draw(values(given_, given_)) for _ in range(3)]
            assert refused(by_type(taken), [*corners(given_, given_), *mixed]) == []

    holds()


@MANY
def test_where_a_misfit_is_found_some_value_is_refused(examples):
    @settings(max_examples=examples)
    @given(pairs().filter(lambda pair: told_apart(pair[1])))
    def holds(pair: tuple[Kind, Kind]) -> None:
        given_, taken = gives(pair[0]), takes(pair[1])
        if found := misfit(given_, taken):
            assert refused(taken, corners(given_, given_)), str(found)

    holds()


BROKEN = [
    pytest.param(
        record("model", x=INTEGER), record("model", x=INTEGER, y=STRING), Misfit("y", "no field 'y'", "a string"), id="a dropped field"
    ),
    pytest.param(STRING, INTEGER, Misfit("", "a string", "an integer"), id="another type"),
    pytest.param(Kind("list", (STRING,)), STRING, Misfit("", "a list of strings", "a string"), id="wrapped into a list"),
    pytest.param(STRING, Kind("list", (STRING,)), Misfit("", "a string", "a list of strings"), id="an item for a list"),
    pytest.param(Kind("union", (STRING, NULL)), STRING, Misfit("", "null", "a string"), id="null too"),
    pytest.param(STRING, Kind("constants", constants=("a", "b")), Misfit("", "a string", "one of 'a', 'b'"), id="a string for an enum"),
]
LAYERS = {
    "[]": lambda one, _: Kind("list", (one,)),
    ".*": lambda one, _: Kind("dict", (one,)),
    "[1]": lambda one, beside: Kind("tuple", (beside, one)),
    ".y": lambda one, beside: record("model", x=beside, y=one),
    ".z": lambda one, beside: record("typed", z=one, x=beside),
    ".value": lambda one, _: Kind("tree", (one,)),
}


@pytest.mark.parametrize(("given_", "taken", "found"), BROKEN)
@settings(max_examples=20)
@given(layers=st.lists(st.sampled_from([*LAYERS]), max_size=4), beside=kinds)
def test_a_misfit_deep_inside_is_told_with_its_way(given_, taken, found, layers, beside):
    for layer in layers:
        given_, taken = LAYERS[layer](given_, beside), LAYERS[layer](taken, beside)
    way = "".join([*reversed(layers), f".{found.field}" if found.field else ""])
    assert misfit(gives(given_), takes(taken)) == replace(found, field=way.removeprefix("."))


@given(kinds, kinds)
def test_the_item_of_a_list_is_what_the_list_was_made_of(kind, other):
    schema, others = gives(kind), takes(other)
    item = item_of(list_of(schema))
    assert item is not None
    assert misfit(item, others) == misfit(schema, others)
    inside = misfit(schema, others)
    assert misfit(list_of(schema), list_of(others)) == (inside and inside.within("[]"))


@settings(max_examples=50)
@given(kinds, kinds, pairs())
def test_an_object_holds_the_schemas_it_was_made_of(kind, other, pair):
    given_, taken = object_of({"a": gives(kind), "b": gives(other), "c": gives(pair[0])}), object_of({"c": takes(pair[1])})
    inside = misfit(gives(pair[0]), takes(pair[1]))
    assert misfit(given_, taken) == (inside and inside.within("c"))
    (whole, *_) = corners(given_, given_) or [{}]
    for name, one in (("a", kind), ("b", other)) if whole else ():
        assert refused(given_, [{**whole, name: value} for value in corners(gives(one), gives(one))]) == []


@settings(max_examples=50)
@given(kinds, kinds, kinds)
def test_any_of_some_fits_what_takes_each_of_them(one, other, taken):
    each = [misfit(gives(kind), takes(taken)) for kind in (one, other)]
    assert (misfit(any_of([gives(one), gives(other)]), takes(taken)) is None) == (each == [None, None])


@settings(max_examples=50)
@given(kinds, kinds, kinds)
@example(INTEGER, Kind("list", (INTEGER,)), Kind("union", (INTEGER, NUMBER)))  # said "an integer or a number is taken"
def test_all_of_some_take_what_each_of_them_takes(given_, one, other):
    each = [misfit(gives(given_), takes(kind)) for kind in (one, other)]
    assert misfit(gives(given_), all_of([takes(one), takes(other)])) == next(filter(None, each), None)
