"""Longer inputs: as long as the schema allows, and like the example otherwise."""

from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import validate
from pydantic import BaseModel, Field, TypeAdapter

from servelite.tools.loadtest.sizes import COUNT, factors, stretched


class Page(BaseModel):
    text: str = Field(max_length=20)
    kind: Literal["plain", "rich"] = "plain"
    code: str = Field(default="ab", pattern="^[a-z]{2}$")
    rows: list[list[float]] = []
    point: tuple[int, int] = (0, 0)
    tags: set[str] = set()
    vector: list[float] = Field(default=[], max_length=4, min_length=4)
    note: str | None = None
    count: int = 0


def schema(kind: Any) -> dict[str, Any]:
    return TypeAdapter(kind).json_schema()


FIFTY = schema(Annotated[list[str], Field(max_length=50)])

EXAMPLE = {
    "text": "short",
    "kind": "rich",
    "code": "xy",
    "rows": [[1.0, 2.0]],
    "point": [1, 2],
    "tags": ["a"],
    "vector": [1.0, 2.0, 3.0, 4.0],
    "note": "ab",
    "count": 3,
}


def test_texts_and_lists_grow_and_all_else_stays() -> None:
    assert stretched(EXAMPLE, schema(Page), 3) == {
        **EXAMPLE,
        "text": "short short sho",
        "rows": [[1.0, 2.0]] * 3,
        "note": "ab ab ",
    }


@pytest.mark.parametrize("factor", [1, 2, 50, 1000])
def test_it_is_what_the_schema_allows(factor: float) -> None:
    validate(stretched(EXAMPLE, schema(Page), factor), schema(Page))


@given(st.lists(st.text(), max_size=5), st.floats(1, 100))
def test_any_list_of_texts_grows_to_one(items: list[str], factor: float) -> None:
    longer = stretched(items, FIFTY, factor)
    validate(longer, FIFTY)
    assert longer[: len(items)] == items
    assert len(longer) == max(len(items), min(50, int(len(items) * factor)))


@pytest.mark.parametrize(
    ("value", "kind"), [(5, int), ("x", Literal["x"]), ("eA==", bytes), (True, bool), ("", str)], ids=lambda one: f"{one!r}"
)
def test_what_can_not_grow_stays(value: Any, kind: Any) -> None:
    assert stretched(value, schema(kind), 10) == value


def test_sizes_have_a_long_tail() -> None:
    found = factors()
    assert len(found) == COUNT
    assert found == sorted(found)
    assert found[COUNT // 2] < 2 < found[-4] < 20 < found[-1] < 50
