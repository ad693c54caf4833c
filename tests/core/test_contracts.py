"""What pipelines take and give, and what is said of those whose stages do not fit together."""

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, Field, create_model

from servelite.core.contracts import Resolver, title, unknown
from servelite.core.errors import DefinitionError
from servelite.core.function import BINARY, JSON, TEXT, Contract
from servelite.core.pipeline import Node
from servelite.core.schema import Codec
from servelite.core.stages import each, parallel, retry, route, sequence, stage, value


class Line(BaseModel):
    text: str
    box: tuple[int, int] | None = None


class Scored(BaseModel):
    text: str
    score: float


class Mood(BaseModel):
    label: Literal["good", "bad"]


class Way(StrEnum):
    LEFT = "left"
    RIGHT = "right"


OtherLine = create_model("Line", width=(int, ...))
"""A model of a name that another has too, as happens in two folders."""


def contract(takes: Any, gives: Any) -> Contract:
    codec = Codec(takes, gives)
    return Contract(codec.takes, codec.gives, *codec.schemas())


FUNCTIONS = {
    "words": contract(str, list[str]),
    "count": contract(str, int),
    "upper": contract(str, str),
    "mood": contract(Line, Mood),
    "lines": contract(bytes, list[Line]),
    "crop": contract(bytes, bytes),
    "draw": contract(str, bytes),
    "anything": contract(Any, Any),
    "score": contract(Line, Scored),
    "grade": contract(Scored, float),
    "moods": contract(list[Line], Mood),
    "widths": contract(list[OtherLine], int),
    "small": contract(Annotated[str, Field(max_length=3)], int),
}

GLUE = {
    "join": contract(list[str], str),
    "total": contract(list[int], int),
    "texts": contract(list[Line], str),
    "as_line": contract(str, Line),
    "left_or_right": contract(str, Literal["left", "right"]),
    "always_left": contract(str, Literal["left"]),
    "way": contract(str, Way),
    "some_text": contract(str, str),
    "by_line": contract(Line, Literal["left", "right"]),
    "maybe": contract(str, Literal["left", "right"] | None),
}


def _glue(name: str) -> Any:
    def made(text: str) -> str:
        return text

    made.__name__ = made.__qualname__ = name
    return made


join, total, texts, as_line, left_or_right, always_left, way, some_text, by_line, maybe = map(_glue, GLUE)


def resolved(node: Node) -> Contract:
    def function(name: str) -> Contract:
        if name not in FUNCTIONS:
            raise unknown(name, "p", list(FUNCTIONS))
        return FUNCTIONS[name]

    return Resolver("p", GLUE, function).resolve(node)


FITTING = {
    "a sequence takes what its first stage does and gives what its last": (sequence("words", each("count"), total), str, int),
    "each item of a list is fitted to the stage": (sequence("lines", each("score"), each("grade")), bytes, list[float]),
    "each, at the beginning, takes a list": (each("count"), list[str], list[int]),
    "each within each takes lists of lists": (each(each("count")), list[list[str]], list[list[int]]),
    "a field more is fine": (sequence(as_line, "score", "mood"), str, Mood),
    "lengths are left to the call": (sequence("upper", "small"), str, int),
    "what gives anything fits everything": (sequence("anything", "mood"), Any, Mood),
    "text fits a field of JSON": (sequence("upper", "anything"), str, Any),
    "a value takes whatever comes": (sequence("words", value(None), "anything"), str, Any),
    "bytes fit bytes": (sequence("crop", "lines"), bytes, list[Line]),
    "a value stands in for text": (stage("upper", fallback=value("")), str, str),
}


@pytest.mark.parametrize(("node", "takes", "gives"), FITTING.values(), ids=FITTING)
def test_a_pipeline_whose_stages_fit_takes_and_gives(node: Node, takes: Any, gives: Any) -> None:
    found, wanted = resolved(node), contract(takes, gives)
    assert (found.takes, found.gives, found.input_schema) == (wanted.takes, wanted.gives, wanted.input_schema)
    if node.fallback is None:
        assert found.output_schema == wanted.output_schema


def test_parallel_gives_an_object_of_all_outputs_bytes_among_them_in_base64() -> None:
    found = resolved(parallel(number="count", picture="draw", none=value(None)))
    assert (found.takes, found.gives) == ((TEXT, JSON), JSON)
    assert found.output_schema == {
        "type": "object",
        "properties": {"number": {"type": "integer"}, "picture": {"type": "string", "format": "base64"}, "none": {"const": None}},
        "required": ["number", "picture", "none"],
    }


def test_a_route_gives_what_one_of_its_branches_does() -> None:
    found = resolved(route(left_or_right, left="count", right=value({"n": 0})))
    assert (found.takes, found.gives) == ((TEXT, JSON), JSON)
    assert found.output_schema == {"anyOf": [{"type": "integer"}, {"const": {"n": 0}}]}


@pytest.mark.parametrize(
    ("node", "gives"),
    [
        pytest.param(route(left_or_right, left="upper", right="upper"), TEXT, id="all text"),
        pytest.param(route(left_or_right, left="upper", right=value("sorry")), TEXT, id="text and a string"),
        pytest.param(route(left_or_right, left="upper", right=value(0)), JSON, id="text and another value"),
        pytest.param(route(left_or_right, left="upper", right="count"), JSON, id="text and JSON"),
        pytest.param(route(left_or_right, left="draw", right="draw"), BINARY, id="all bytes"),
        pytest.param(route(left_or_right, left="draw", right=value("aGk=")), BINARY, id="bytes and base64"),
        pytest.param(route(left_or_right, left="draw", right=value("sorry!")), JSON, id="bytes and a string"),
        pytest.param(route(way, left=value(1), right=value(2)), JSON, id="an enum, and values only"),
    ],
)
def test_a_route_gives_one_medium_where_its_branches_have_one(node: Node, gives: str) -> None:
    assert resolved(node).gives == gives


def test_stages_that_get_the_same_input_take_what_all_of_them_take() -> None:
    assert resolved(parallel(a="mood", b="score")).input_schema == FUNCTIONS["mood"].input_schema
    both = resolved(parallel(a="mood", b="grade", c="mood"))
    assert both.input_schema == {"allOf": [FUNCTIONS["mood"].input_schema, FUNCTIONS["grade"].input_schema]}


def test_text_and_json_meet_in_json() -> None:
    assert resolved(parallel(a="upper", b="anything")).takes == (JSON,)


def test_models_of_one_name_are_kept_apart() -> None:
    found = resolved(parallel(a="moods", b="widths"))
    assert set(found.input_schema["$defs"]) == {"Line", "Line_2"}
    assert found.input_schema["$defs"]["Line"] != found.input_schema["$defs"]["Line_2"]


@pytest.mark.parametrize("node", [value({"n": 1}), sequence(value(1)), parallel(a=value(1)), stage(value(1), fallback=value(2))])
def test_a_pipeline_of_values_takes_anything(node: Node) -> None:
    found = resolved(node)
    assert (found.takes, found.input_schema) == ((JSON,), {})


UNFITTING = {
    "a wrong type": (
        sequence("words", each("count"), join),
        "each(count) does not fit join: at []: an integer is given, a string is taken.",
    ),
    "a missing field": (
        sequence(as_line, "grade"),
        "as_line does not fit grade: at score: no field 'score' is given, a number is taken.",
    ),
    "a list for an item": (
        sequence("words", "count"),
        "words does not fit count: a list of strings is given, a string is taken.",
    ),
    "an item for a list": (
        sequence("count", total),
        "count does not fit total: an integer is given, a list of integers is taken.",
    ),
    "each over what is no list": (
        sequence("count", each("upper")),
        "each(upper) wants a list, and count gives none.",
    ),
    "each over text": (
        sequence("upper", each("upper")),
        "each(upper) wants a list, and upper gives none.",
    ),
    "an item that does not fit": (
        sequence("lines", each("grade")),
        "an item of lines does not fit grade: at score: no field 'score' is given, a number is taken.",
    ),
    "a branch that does not fit": (
        sequence("count", parallel(a="anything", b="upper")),
        "count does not fit upper: an integer is given, a string is taken.",
    ),
    "a chooser that does not fit": (
        sequence("count", route(left_or_right, left="anything", right="anything")),
        "count does not fit left_or_right: an integer is given, a string is taken.",
    ),
    "a branch that can't be reached": (
        route(always_left, left="count", right="upper"),
        "the branch 'right' of route(left, right) can't be reached: always_left never chooses it.",
    ),
    "a choice without a branch": (
        route(left_or_right, left="count"),
        "left_or_right may choose 'right', for which route(left) has no branch; it has left.",
    ),
    "a chooser that may choose nothing": (
        route(maybe, left="count", right="upper"),
        'maybe chooses for route(left, right): annotate what it returns as Literal["left", "right"].',
    ),
    "a chooser without Literal": (
        route(some_text, left="count", right="upper"),
        'some_text chooses for route(left, right): annotate what it returns as Literal["left", "right"].',
    ),
    "bytes into JSON": (
        sequence("draw", "mood"),
        "draw gives bytes, and mood takes application/json.",
    ),
    "bytes into text": (
        sequence("draw", "upper"),
        "draw gives bytes, and upper takes text/plain, application/json.",
    ),
    "a fallback that gives another medium": (
        stage("upper", fallback="count"),
        "upper gives text/plain, and its fallback count application/json; both must give the same.",
    ),
    "a value that is no text": (
        stage("upper", fallback=value({"n": 0})),
        'upper gives text/plain, and its fallback value({"n": 0}) application/json; both must give the same.',
    ),
    "a fallback that takes something else": (
        sequence("words", stage(join, fallback="upper")),
        "words does not fit upper: a list of strings is given, a string is taken.",
    ),
    "a fallback, at the beginning, that takes something else": (
        stage("crop", fallback="draw"),
        "crop and its fallback draw take nothing in common: application/octet-stream, image/*, audio/* / text/plain, application/json.",
    ),
    "parallel with nothing in common": (
        parallel(a="upper", b="crop"),
        "the stages of parallel(a, b) take nothing in common: text/plain, application/json / application/octet-stream, image/*, audio/*.",
    ),
    "what comes out of a fallback": (
        sequence(stage("words", fallback=value(["a", 1])), each("upper")),
        "an item of words does not fit upper: 1 is given, a string is taken.",
    ),
    "deep inside": (
        sequence("words", each(parallel(a="count", b=sequence("upper", "mood")))),
        "upper does not fit mood: a string is given, an object with 'text' is taken.",
    ),
}


@pytest.mark.parametrize(("node", "told"), UNFITTING.values(), ids=UNFITTING)
def test_a_pipeline_whose_stages_do_not_fit_is_told_which_and_where(node: Node, told: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        resolved(node)
    assert caught.value.detail == f"The pipeline p can't be served: {told}"


def test_an_unknown_function_is_told_with_those_that_there_are() -> None:
    with pytest.raises(DefinitionError) as caught:
        resolved(sequence("wrods", "count"))
    assert caught.value.detail == (
        "The pipeline p names the function 'wrods', which is not here. Did you mean 'words'? Functions here: anything, count, crop, draw, "
        "grade, lines, mood, moods, score, small, upper, widths, words. Put its folder beside the pipeline's, or serve it too."
    )


def test_where_nothing_is_like_it_nothing_is_meant() -> None:
    assert "here. Functions here: none. Put" in unknown("zzz", "p", []).detail


@pytest.mark.parametrize(
    ("node", "name"),
    [
        (stage("words", retry=retry(1)), "words"),
        (sequence(as_line), "as_line"),
        (value({"label": "none"}), 'value({"label": "none"})'),
        (each("count"), "each(count)"),
        (sequence("a", "b", "c"), "sequence(a … c)"),
        (parallel(a="x", b="y"), "parallel(a, b)"),
        (route(way, left="x", right="y"), "route(left, right)"),
    ],
)
def test_a_stage_has_a_name_for_errors_and_traces(node: Node, name: str) -> None:
    assert title(node) == name
