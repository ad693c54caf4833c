"""Pipelines as boxes and arrows."""

from typing import Any

from hypothesis import given

from servelite.core.drawing import Arrow, Box, Drawing, Frame, draw
from servelite.core.outline import outline
from servelite.core.pipeline import FunctionStage, Node, from_dict, walk
from servelite.core.stages import each, parallel, route, sequence, stage, value
from tests.core.drawings import ANY_KNOWN, INT, KNOWN, STR, choose, contract, described, judge

GLUE = {"choose": contract(STR, {"enum": ["a", "b"]}), "judge": contract({}, INT)}


def drawn(pipeline: Node) -> Drawing:
    return draw("it", outline("it", {**KNOWN, "it": described("it", contract({}, {}), pipeline, GLUE)}))


def arrows(drawing: Drawing) -> list[tuple[str, str, str]]:
    """Return the arrows by the titles of what they join, with what is written beside them."""
    titles = {part.id: part.title or part.kind for part in (*drawing.boxes, *drawing.frames)}
    return [(titles[one.start], one.label, titles[one.end]) for one in drawing.arrows]


def test_a_sequence_is_a_line_from_input_to_output() -> None:
    drawing = drawn(sequence("read", "tone"))
    assert drawing.boxes == (
        Box("n0", "input", "bytes"),
        Box("n1", "pipeline", "read", ("pipeline",)),
        Box("n2", "function", "tone", ("function",)),
        Box("n3", "output", "{label, score}"),
    )
    assert drawing.arrows == (Arrow("n0", "n1"), Arrow("n1", "n2", carries="str"), Arrow("n2", "n3", carries="{label, score}"))
    assert drawing.frames == ()


def test_branches_begin_at_a_fork_and_meet() -> None:
    assert arrows(drawn(parallel(x="tone", y=judge))) == [
        ("str", "", "fork"),
        ("fork", "x", "tone"),
        ("fork", "y", "judge"),
        ("tone", "{label, score}", "join"),
        ("judge", "int", "join"),
        ("join", "{x, y}", "{x, y}"),
    ]


def test_a_route_begins_at_its_chooser_and_each_branch_goes_on_by_itself() -> None:
    drawing = drawn(sequence(route(choose, a="tone", b=value("none")), judge))
    assert drawing.boxes[1] == Box("n1", "choice", "choose", ("glue that chooses",))
    assert arrows(drawing) == [
        ("str", "", "choose"),
        ("choose", "a", "tone"),
        ("choose", "b", '"none"'),
        ("tone", "{label, score}", "judge"),
        ('"none"', '"none"', "judge"),
        ("judge", "int", "int"),
    ]


def test_an_each_is_framed() -> None:
    drawing = drawn(sequence("detect", each("recognise")))
    assert drawing.frames == (Frame("f0", "each", "each item", ("64 at a time",), ""),)
    assert [box.frame for box in drawing.boxes] == ["", "", "f0", ""]
    assert drawing.frames[0].label == "each item, 64 at a time"
    assert ("recognise", "list[str]", "list[str]") in arrows(drawing)


def test_a_fallback_leaves_its_stage_and_comes_back() -> None:
    drawing = drawn(sequence(stage("double", fallback=value(0)), "double"))
    assert arrows(drawing) == [
        ("int", "", "double"),
        ("double", "if it fails", "0"),
        ("double", "int", "double"),
        ("0", "0", "double"),
        ("double", "int", "int"),
    ]
    assert [one.kind for one in drawing.arrows] == ["flow", "fallback", "flow", "flow", "flow"]


def test_what_has_limits_as_a_whole_is_framed_and_its_fallback_leaves_the_frame() -> None:
    drawing = drawn(stage(parallel(a="double", b=judge), timeout_s=2, fallback=value(None)))
    (frame,) = drawing.frames
    assert frame.label == "parallel, at most 2 s"
    assert [(one.start, one.end) for one in drawing.arrows if one.kind == "fallback"] == [(frame.id, drawing.boxes[-2].id)]


def test_a_framed_route_is_called_a_route() -> None:
    (frame,) = drawn(stage(route(choose, a="tone", b="tone"), timeout_s=2)).frames
    assert frame.label == "route, at most 2 s"


def test_the_stages_of_a_nested_pipeline_are_framed() -> None:
    deep = draw("review", outline("review", KNOWN, is_deep=True))
    assert [(frame.label, frame.frame) for frame in deep.frames] == [
        ("read, pipeline", ""),
        ("each item, 64 at a time", "f0"),
        ("parallel, at most 5 s", ""),
    ]


def test_an_arrow_tells_what_does_not_fit() -> None:
    drawing = drawn(sequence("detect", "tone"))
    assert [(one.kind, one.label) for one in drawing.arrows][1] == ("misfit", "list[bytes] does not fit")


@given(ANY_KNOWN)
def test_any_drawing_is_whole(known: dict[str, Any]) -> None:
    """All arrows join what is there, every box is on a way from the input to the output, every function has a box."""
    drawing = draw("any", outline("any", known))
    boxes, frames = {box.id for box in drawing.boxes}, {frame.id for frame in drawing.frames}
    assert len(boxes) == len(drawing.boxes)
    assert {part.frame for part in (*drawing.boxes, *drawing.frames)} <= frames | {""}
    assert {one.start for one in drawing.arrows} <= boxes | frames
    assert {one.end for one in drawing.arrows} <= boxes
    ends = {box.id for box in drawing.boxes if box.kind == "output"}
    assert len(ends) == 1
    assert {one.end for one in drawing.arrows} == boxes - {"n0"}
    assert {one.start for one in drawing.arrows if one.start in boxes} == boxes - ends
    called = {node.name for node in walk(from_dict(known["any"].pipeline or {})) if isinstance(node, FunctionStage)}
    assert called <= {box.title for box in drawing.boxes}
