"""Pipelines as they are written, and as plain data."""

import functools
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.errors import DefinitionError
from servelite.core.pipeline import Each, FunctionStage, Glue, Node, Parallel, Retry, Route, Sequence, Value, from_dict, functions_of, walk
from servelite.core.stages import each, parallel, retry, route, sequence, stage, value


def join(lines: list[str]) -> str:
    return "\n".join(lines)


def choose(text: str) -> str:
    return "a"


WRITTEN = sequence(
    "detect",
    each(stage("recognise", retry=retry(2, on="timed_out", backoff_s=0), timeout_s=1.5, fallback=value("")), max_parallel=8),
    join,
    parallel(tone=route(choose, a="sentiment", b=value({"label": None})), words=sequence("tokens", each("embed"))),
)

PLAIN = {
    "sequence": [
        {"call": "detect"},
        {
            "each": {
                "call": "recognise",
                "retry": {"times": 2, "on": ["timed_out"], "backoff_s": 0.0},
                "timeout_s": 1.5,
                "fallback": {"value": ""},
            },
            "max_parallel": 8,
        },
        {"glue": "join"},
        {
            "parallel": {
                "tone": {"route": {"a": {"call": "sentiment"}, "b": {"value": {"label": None}}}, "by": {"glue": "choose"}},
                "words": {"sequence": [{"call": "tokens"}, {"each": {"call": "embed"}, "max_parallel": 64}]},
            }
        },
    ]
}


def test_a_pipeline_is_written_as_its_parts():
    assert sequence("a", join, parallel(x="b"), each("c"), route(choose, y="d")) == Sequence(
        (
            FunctionStage("a"),
            Glue("join"),
            Parallel((("x", FunctionStage("b")),)),
            Each(FunctionStage("c")),
            Route(Glue("choose"), (("y", FunctionStage("d")),)),
        )
    )


def test_the_plain_form_is_as_it_has_always_been():
    assert WRITTEN.to_dict() == PLAIN


def test_the_plain_form_makes_the_same_pipeline_again():
    assert from_dict(json.loads(json.dumps(PLAIN))) == WRITTEN


NAMES = st.sampled_from(["a", "b", "c"])
RETRIES = st.none() | st.builds(Retry, st.integers(1, 10), st.just(("timed_out",)), st.floats(0, 1))
LEAVES = st.builds(FunctionStage, NAMES) | st.builds(Glue, NAMES) | st.builds(Value, st.none() | st.integers() | st.text(max_size=3))


def _wider(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    branches = st.dictionaries(NAMES, nodes, min_size=1, max_size=3).map(lambda named: tuple(named.items()))
    limits: dict[str, Any] = {"retry": RETRIES, "timeout_s": st.none() | st.floats(0.1, 10), "fallback": st.none() | nodes}
    return (
        st.builds(Sequence, st.lists(nodes, min_size=1, max_size=3).map(tuple), **limits)
        | st.builds(Parallel, branches, **limits)
        | st.builds(Each, nodes, st.integers(1, 1000), **limits)
        | st.builds(Route, st.builds(Glue, NAMES), branches, **limits)
    )


@given(st.recursive(LEAVES, _wider, max_leaves=12))
def test_any_pipeline_survives_its_plain_form(pipeline):
    assert from_dict(json.loads(json.dumps(pipeline.to_dict()))) == pipeline
    assert set(functions_of(pipeline)) == {one.name for one in walk(pipeline) if isinstance(one, FunctionStage)}


def test_a_pipeline_knows_its_functions_each_once_in_order():
    assert functions_of(WRITTEN) == ["detect", "recognise", "sentiment", "tokens", "embed"]
    assert functions_of(stage("a", fallback=sequence("b", "a"))) == ["a", "b"]


def test_limits_that_are_given_twice_add_up():
    assert stage(stage("a", timeout_s=1), retry=retry(1)) == FunctionStage("a", timeout_s=1, retry=Retry(1))


class Callable:
    def __call__(self, text: str) -> str:
        return text


def inner() -> Any:
    def glue(text: str) -> str:
        return text

    return glue


@pytest.mark.parametrize(
    ("write", "told"),
    [
        pytest.param(sequence, r"sequence\(\) has no stages\. Name some", id="no stage"),
        pytest.param(parallel, r"parallel\(\) has no branches\. Name some: parallel\(a=", id="no branch"),
        pytest.param(lambda: route(choose), r"route\(\) has no branches\. Name some: route\(choose, a=", id="no route"),
        pytest.param(lambda: sequence("a b"), "names the function 'a b', which can't be the name of one", id="a name that is none"),
        pytest.param(lambda: sequence(5), r"sequence\(\) has 5, which is no stage\. .* wrap data in value\(", id="a number"),
        pytest.param(lambda: each({"a": 1}), r"each\(\) has \{'a': 1\}, which is no stage", id="a dict"),
        pytest.param(lambda: sequence(str), r"sequence\(\) has str, which is no stage", id="a class"),
        pytest.param(lambda: sequence(lambda text: text), "which has no name at the file's top", id="a lambda"),
        pytest.param(
            lambda: sequence(inner()), r"has glue, which has no name at the file's top\. Write a def there", id="an inner function"
        ),
        pytest.param(lambda: sequence(functools.partial(join)), "which has no name at the file's top", id="a partial"),
        pytest.param(lambda: sequence(Callable()), "which has no name at the file's top", id="a callable object"),
        pytest.param(lambda: route("a", b="c"), r"route\(\) begins with the function that chooses, not 'a'", id="a route by name"),
        pytest.param(lambda: each("a", max_parallel=0), r"each\(max_parallel=0\): it is a whole number from 1 to 1,000", id="none at once"),
        pytest.param(lambda: each("a", max_parallel=True), "it is a whole number", id="true at once"),
        pytest.param(lambda: stage("a", timeout_s=0), r"stage\(timeout_s=0\): it is a number of seconds above 0", id="no time"),
        pytest.param(lambda: stage("a", retry=3), r"stage\(retry=3\): write retry\(times\)", id="a number of retries"),
        pytest.param(lambda: retry(0), r"retry\(0\): it is a whole number from 1 to 10", id="no retry"),
        pytest.param(
            lambda: retry(1, on="crash"), r"retry\(on='crash'\): there is no such error code\. Often used: worker_died", id="a code"
        ),
        pytest.param(lambda: retry(1, backoff_s=-1), r"retry\(backoff_s=-1\): it is a number of seconds from 0 to 60", id="a backoff"),
        pytest.param(lambda: value({1, 2}), r"value\(\{1, 2\}\): .* A value is what JSON can say", id="a set"),
        pytest.param(lambda: value(float("nan")), "A value is what JSON can say", id="NaN"),
    ],
)
def test_what_can_not_be_a_pipeline_is_told_with_the_cure(write, told):
    with pytest.raises(DefinitionError, match=told):
        write()
