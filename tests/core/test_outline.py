"""A pipeline's outline, from what is known of its functions."""

from typing import Any

import pytest
from hypothesis import given

from servelite.core.outline import Step, outline
from servelite.core.pipeline import Node
from servelite.core.stages import each, parallel, retry, route, sequence, stage, value
from tests.core.drawings import ANY_KNOWN, INT, KNOWN, STR, choose, contract, described, join, judge, list_of

GLUE = {"join": contract(list_of(STR), STR), "choose": contract(STR, {"enum": ["a", "b"]}), "judge": contract({}, INT)}


def outlined(pipeline: Node, *, is_deep: bool = False) -> Step:
    known = {**KNOWN, "it": described("it", contract({}, {}), pipeline, GLUE)}
    return outline("it", known, is_deep=is_deep)


def test_a_sequence_has_its_steps_with_what_they_take_and_give() -> None:
    step = outlined(sequence("detect", each("recognise", max_parallel=8), join, "tone"))
    detect, lines, glue, tone = [inner for _, inner in step.inner]
    assert (step.kind, step.takes, step.gives) == ("sequence", "bytes", "{label, score}")
    assert (detect.kind, detect.title, detect.gives) == ("function", "detect", "list[bytes]")
    assert (lines.kind, lines.notes, lines.takes, lines.gives) == ("each", ("8 at a time",), "list[bytes]", "list[str]")
    assert (glue.kind, glue.title, glue.takes, glue.gives) == ("glue", "join", "list[str]", "str")
    assert tone.remarks == ("function",)


def test_branches_have_their_names() -> None:
    step = outlined(parallel(x="tone", y="spam"))
    assert [(name, inner.title) for name, inner in step.inner] == [("x", "tone"), ("y", "spam")]
    assert (step.takes, step.gives) == ("str", "{x, y}")


def test_a_route_is_called_by_its_chooser_and_gives_what_a_branch_gives() -> None:
    step = outlined(route(choose, a="tone", b=value(None)))
    assert (step.kind, step.title, step.takes, step.gives) == ("route", "choose", "str", "{label, score} | null")
    assert step.remarks == ("glue that chooses",)
    assert [(name, inner.kind, inner.title) for name, inner in step.inner] == [("a", "function", "tone"), ("b", "value", "null")]


@pytest.mark.parametrize(
    ("limits", "notes"),
    [
        ({}, ()),
        ({"retry": retry(1)}, ("retried once",)),
        ({"retry": retry(2, on="timed_out")}, ("retried twice on timed_out",)),
        ({"retry": retry(3), "timeout_s": 1.5}, ("retried 3 times", "at most 1.5 s")),
    ],
    ids=["none", "once", "after an error", "with a time"],
)
def test_the_limits_of_a_stage_are_noted(limits: dict[str, Any], notes: tuple[str, ...]) -> None:
    assert outlined(stage("tone", **limits)).notes == notes


def test_a_fallback_adds_to_what_comes_out() -> None:
    step = outlined(stage("tone", fallback=value(None)))
    assert step.fallback is not None
    assert (step.gives, step.fallback.title, step.result) == ("{label, score}", "null", "{label, score} | null")
    assert outlined(each(stage("recognise", fallback=value("")))).gives == "list[str]"


def test_a_sequence_in_a_sequence_is_one_unless_it_has_limits() -> None:
    assert [inner.title for _, inner in outlined(sequence("read", sequence("tone", judge))).inner] == ["read", "tone", "judge"]
    assert [inner.kind for _, inner in outlined(sequence("read", stage(sequence("tone", judge), timeout_s=1))).inner] == [
        "pipeline",
        "sequence",
    ]
    assert outlined(sequence("tone")).kind == "function"


def test_a_nested_pipeline_is_shown_by_name_or_deep() -> None:
    assert outlined(sequence("read", "tone")).inner[0][1] == Step("pipeline", "read", (), "bytes", "str")
    deep = outlined(sequence("read", "tone"), is_deep=True).inner[0][1]
    assert [inner.title for _, inner in deep.inner[0][1].inner] == ["detect", "each item", "join"]


def test_a_pipeline_that_calls_itself_is_not_shown_for_ever() -> None:
    known = {**KNOWN, "loop": described("loop", contract({}, {}), sequence("read", "loop"))}
    assert outline("loop", known, is_deep=True).inner[1][1].inner == ()


def test_a_function_that_is_missing_is_shown_as_such() -> None:
    step = outlined(sequence("nowhere", each("nowhere"), "tone"))
    missing = step.inner[0][1]
    assert (missing.kind, missing.remarks, missing.gives) == ("missing", ("not available",), "?")
    assert step.inner[1][1].gives == "list[?]"
    assert all(inner.fits for _, inner in step.inner)  # nothing is known of that


def test_neighbours_that_do_not_fit_are_found() -> None:
    step = outlined(sequence("detect", each("double"), each("double"), join))
    assert [inner.fits for _, inner in step.inner] == [True, False, True, False]


def test_a_function_is_the_only_step_of_itself() -> None:
    assert outline("tone", KNOWN) == Step("function", "tone", (), "str", "{label, score}")


@given(ANY_KNOWN)
def test_any_pipeline_is_outlined(known: dict[str, Any]) -> None:
    for is_deep in (False, True):
        step = outline("any", known, is_deep=is_deep)
        assert step.takes
        assert step.result
