"""Whether what one stage gives fits the next: two JSON Schemas compared by their types, and the first field that does not fit.

For schemas as pydantic makes them, an output's (serialization) against an input's (validation). What is compared are types;
lengths, ranges, patterns and formats are left to the running call (422), for a load must not refuse what mostly works:

- An integer fits a number, not the other way round. Each constant of an enum or Literal is held against what is taken; a
  string fits no enum. Raw bytes (`format: binary`) are a type of their own; base64 is a string.
- Of an object, what is required must be given, and always. More fields are fine unless they are forbidden; one that is given
  without being asked for by name must fit `additionalProperties`. A model gives the fields it names and no others.
- Lists fit by item, tuples by position. Their lengths matter only where they can never meet (a pair against a triple), and a
  list with repetitions fits a set, for pydantic takes it.
- Every alternative of a union that is given must fit one alternative of what is taken. An object is held against one
  alternative at a time, its constants (`kind: "a"` or `"b"`) one by one: what only several together would take is a misfit.
- Any gives no promise, so it fits everything, as does a field of `dict[str, Any]`: the call will tell. Any takes everything.
- A recursive type is compared once around: while a pair is under examination, it is assumed to fit.
- Of `not`, `if` and other keywords that pydantic does not write, nothing is read.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from servelite.core.shapes import (
    DEFINITION,
    Reader,
    Schema,
    Shape,
    constants_of,
    item_at,
    kinds_of,
    lengths_of,
    list_words,
    listed,
    rest_of,
)

_STRING = {"type": "string"}


@dataclass(frozen=True, slots=True)
class Misfit:
    """Where an output does not fit an input: the field ("" for the whole, `lines[].text`, `scores.*`), and both sides in words."""

    field: str
    gives: str
    takes: str

    def __str__(self) -> str:
        """Say it: `at lines[].text: an integer is given, a string is taken`."""
        said = f"{self.gives} is given, {self.takes} is taken"
        return f"at {self.field}: {said}" if self.field else said

    def within(self, step: str) -> "Misfit":
        """Return the same misfit as seen from one level up: `text` is `[].text` there."""
        return replace(self, field=f"{step}{self.field}" if self.field[:1] in {"", "["} else f"{step}.{self.field}")


def misfit(gives: Mapping[str, Any], takes: Mapping[str, Any]) -> Misfit | None:
    """Return the first place where a value that `gives` allows would be refused by `takes` for its type; None where all fit."""
    return _Comparison(gives, takes).schema(gives, takes)


def item_of(schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the schema of a list's items, None where a value may be something else than a list; the items of Any are Any."""
    values = Reader(schema).values(schema)
    if not values or any(value["type"] not in {"", "array"} for value in values):
        return None
    items = [dict(item) if isinstance(item, Mapping) else {} for value in values for item in _items(value)]
    different = [item for index, item in enumerate(items) if item not in items[:index]]
    return _with_definitions(different[0] if len(different) == 1 else {"anyOf": different} if different else {}, schema.get("$defs", {}))


def list_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a list of such values."""
    (items,), definitions = _side_by_side([schema])
    return _with_definitions({"type": "array", "items": items}, definitions)


def object_of(properties: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema of an object that always has these properties."""
    schemas, definitions = _side_by_side(properties.values())
    fields = dict(zip(properties, schemas, strict=True))
    return _with_definitions({"type": "object", "properties": fields, "required": [*fields]}, definitions)


def any_of(schemas: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema of a value that at least one of these allows."""
    alternatives, definitions = _side_by_side(schemas)
    return _with_definitions({"anyOf": alternatives}, definitions)


def all_of(schemas: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the schema of a value that each of these allows."""
    parts, definitions = _side_by_side(schemas)
    return _with_definitions({"allOf": parts}, definitions)


class _Comparison:
    """What is given against what is taken, pair by pair of their subschemas, each pair once."""

    def __init__(self, gives: Mapping[str, Any], takes: Mapping[str, Any]) -> None:
        self._gives, self._takes = Reader(gives), Reader(takes)
        self._seen: dict[tuple[int, int], tuple[Schema, Schema, Misfit | None]] = {}  # it holds the schemas, so ids stay theirs

    def schema(self, gives: Schema, takes: Schema) -> Misfit | None:
        key, before = (id(gives), id(takes)), len(self._seen)
        if key in self._seen:
            return self._seen[key][2]
        self._seen[key] = gives, takes, None  # assumed to fit, should it hold itself
        found = self._first(gives, takes)
        if found:
            for later in [later for later in [*self._seen][before:] if self._seen[later][2] is None]:
                del self._seen[later]  # it may fit only if this pair does
            self._seen[key] = gives, takes, found
        return found

    def _first(self, gives: Schema, takes: Schema) -> Misfit | None:
        if isinstance(takes, Mapping) and takes.keys() - {"$defs"} == {
            "allOf"
        }:  # as `all_of` makes it: each part says best what it takes itself
            return next(filter(None, (self.schema(gives, part) for part in takes["allOf"])), None)
        taken = self._takes.alternatives(takes)
        given = (value for value in self._gives.values(gives) if value["type"])  # Any gives no promise
        return next(filter(None, (self._value(value, taken, takes) for value in given)), None)

    def _value(self, given: Shape, taken: Sequence[Sequence[Shape]], takes: Schema) -> Misfit | None:
        misfits = []
        for parts in taken:
            found = next(filter(None, (self._part(given, part) for part in parts)), None)
            if found is None:
                return None
            misfits.append(found)
        if split := self._by_constant(given, taken):
            return next(filter(None, (self._value(one, taken, takes) for one in split)), None)
        return self._nearest(misfits, given) or Misfit("", self._gives.phrase(given), self._takes.words(takes))

    def _by_constant(self, given: Shape, taken: Sequence[Sequence[Shape]]) -> list[Shape]:
        """Split an object by the constants of a field that may tell the alternatives apart."""
        fields = given.get("properties", {})
        tags = {name for parts in taken for part in parts for name in part.get("properties", {}) if _is_tag(part, name)}
        for name in [name for name in fields if name in tags] if len(taken) > 1 else ():
            values = self._gives.values(fields[name])
            if len(values) > 1 and all("const" in value for value in values):
                return [{**given, "properties": {**fields, name: {"const": value["const"]}}} for value in values]
        return []

    def _nearest(self, misfits: list[Misfit], given: Shape) -> Misfit | None:
        """Return the misfit with the alternative that was meant, as far as one can tell."""
        inside = [one for one in misfits if one.field]
        meant = [one for one in inside if not _is_tag(given, one.field)] or inside or misfits
        fields = {one.field for one in meant}
        if len(meant) > 1 and (len(fields) > 1 or "" in fields):
            return None
        return replace(meant[0], takes=" or ".join(dict.fromkeys(one.takes for one in meant))) if meant else None

    def _part(self, given: Shape, part: Shape) -> Misfit | None:
        kinds, constants = kinds_of(part), constants_of(part)
        if constants is not None:
            fits = _is_among(given, constants)
        else:
            fits = not kinds or given["type"] in kinds or (given["type"] == "integer" and "number" in kinds)
        if not fits:
            return Misfit("", self._gives.phrase(given), self._takes.words(part))
        compare = {"object": self._fields, "array": self._items} if constants is None else {}
        inside = compare[given["type"]](given, part) if given["type"] in compare else ()
        return next(filter(None, inside), None)

    def _fields(self, given: Shape, part: Shape) -> Iterator[Misfit | None]:
        fields, rest = given.get("properties", {}), rest_of(given, unsaid="properties" not in given)
        asked = {name: schema for name, schema in part.get("properties", {}).items() if name in fields or rest is not False}
        tags = [name for name in asked if _is_tag(part, name)]
        yield from (self._inside(name, fields.get(name, rest), asked[name]) for name in tags)
        yield from self._missing(given, part, rest)
        yield from (self._inside(name, fields.get(name, rest), asked[name]) for name in asked if name not in tags)
        yield from self._others(given, part, rest)

    def _missing(self, given: Shape, part: Shape, rest: Schema) -> Iterator[Misfit]:
        fields, always = given.get("properties", {}), given.get("required", ())
        for name in part.get("required", ()):
            if name not in fields and rest is False:
                yield Misfit(name, f"no field '{name}'", self._takes.words(part.get("properties", {}).get(name, True)))
            elif name not in always and (name in fields or not self._gives.is_open(rest)):
                yield Misfit(name, f"an optional field '{name}'", "a required one")

    def _others(self, given: Shape, part: Shape, rest: Schema) -> Iterator[Misfit | None]:
        """Compare the fields that are given, but not asked for by name."""
        allowed, names, asked = rest_of(part, unsaid=True), part.get("propertyNames", True), part.get("properties", {})
        others = {name: schema for name, schema in given.get("properties", {}).items() if name not in asked}
        said = [(name, f"a field '{name}'", {"const": name}, schema) for name, schema in others.items()]
        if rest is not False and not self._gives.is_open(rest):
            said.append(("*", "fields of any name", given.get("propertyNames", _STRING), rest))
        for step, gives, name, schema in said:
            if allowed is False:
                yield Misfit(step, gives, f"no other than {listed(asked)}" if asked else "no field")
            yield self._inside(step, name, names)
            yield self._inside(step, schema, allowed)

    def _items(self, given: Shape, part: Shape) -> Iterator[Misfit | None]:
        least, most = lengths_of(given)
        fewest, limit = lengths_of(part)
        if least > limit or most < fewest:
            yield Misfit("", list_words(least, most), list_words(fewest, limit))
        positions = max(len(one.get("prefixItems", ())) for one in (given, part))
        for index in range(int(min(positions, most))):
            yield self._inside(f"[{index}]", item_at(given, index), item_at(part, index))
        if most > positions:
            yield self._inside("[]", item_at(given, positions), item_at(part, positions))

    def _inside(self, step: str, gives: Schema, takes: Schema) -> Misfit | None:
        found = self.schema(gives, takes)
        return found and found.within(step)


def _is_among(given: Shape, constants: Iterable[Any]) -> bool:
    """Tell whether all that a shape allows is among the constants; True is not 1 there, as it is in Python."""
    few: dict[str, list[Any]] = {"boolean": [True, False], "null": [None]}
    values = [given["const"]] if "const" in given else few.get(given["type"], [])
    allowed = [(one, isinstance(one, bool)) for one in constants]
    return bool(values) and all((value, isinstance(value, bool)) in allowed for value in values)


def _is_tag(shape: Shape, name: str) -> bool:
    """Tell whether a field is declared as constants, by which alternatives are told apart."""
    field = shape.get("properties", {}).get(name)
    return isinstance(field, Mapping) and not field.keys().isdisjoint({"const", "enum"})


def _items(shape: Shape) -> list[Schema]:
    """Return the schemas that a list's items may have."""
    first = shape.get("prefixItems", [])
    return [*first, item_at(shape, len(first))] if lengths_of(shape)[1] > len(first) else [*first]


def _with_definitions(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    return {**schema, "$defs": {**definitions}} if definitions else {**schema}


def _side_by_side(schemas: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return schemas without their `$defs`, and one `$defs` for all: those that differ under one name get names of their own."""
    apart: list[dict[str, Any]] = []
    definitions: dict[str, Any] = {}
    for schema in schemas:
        own = schema.get("$defs", {})
        names = {DEFINITION + name: DEFINITION + new for name, new in _renames(own, definitions).items()}
        definitions |= {names.get(DEFINITION + name, name).removeprefix(DEFINITION): _renamed(one, names) for name, one in own.items()}
        apart.append(_renamed({key: value for key, value in schema.items() if key != "$defs"}, names))
    return apart, definitions


def _renames(own: Mapping[str, Any], others: Mapping[str, Any]) -> dict[str, str]:
    """Return new names where two definitions differ: for all that both have, for what is equal may refer to what differs."""
    new: dict[str, str] = {}
    if any(name in others and others[name] != one for name, one in own.items()):
        for name in own.keys() & others.keys():
            taken = {*own, *others, *new.values()}
            new[name] = next(free for free in map(f"{name}_{{}}".format, count(2)) if free not in taken)
    return new


def _renamed(node: Any, names: Mapping[str, str], under: str = "") -> Any:
    """Return a schema with its references renamed, those in a discriminator's mapping too."""
    if isinstance(node, dict):
        return {key: _renamed(value, names, "$ref" if under == "mapping" else key) for key, value in node.items()}
    if isinstance(node, list):
        return [_renamed(one, names) for one in node]
    return names.get(node, node) if under == "$ref" and isinstance(node, str) else node
