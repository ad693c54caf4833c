"""What the tests of drawings share: functions that are known, a pipeline with everything in it, and any pipeline at all."""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from servelite.core.function import BINARY, JSON, TEXT, Contract, Description, Limits
from servelite.core.pipeline import Each, FunctionStage, Glue, Node, Parallel, Retry, Route, Sequence, Value
from servelite.core.stages import each, parallel, retry, route, sequence, stage, value

Schema = dict[str, Any]

STR: Schema = {"type": "string"}
INT: Schema = {"type": "integer"}


def list_of(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def object_of(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": [*properties]}


def contract(takes: Schema, gives: Schema, *, media: str = JSON, gives_media: str = JSON) -> Contract:
    return Contract((media,), gives_media, takes, gives)


def described(
    name: str, own: Contract, pipeline: Node | None = None, glue: Mapping[str, Contract] | None = None, *, summary: str = ""
) -> Description:
    plain = pipeline.to_dict() if pipeline else None
    return Description(
        name, summary, Limits(), own.takes, own.gives, own.input_schema, own.output_schema, pipeline=plain, glue=dict(glue or {})
    )


def join(lines: list[str]) -> str:
    return "\n".join(lines)


def choose(text: str) -> str:
    return text


def judge(scores: dict[str, Any]) -> int:
    return len(scores)


READ = sequence("detect", each(stage("recognise", retry=retry(2, on="timed_out"), timeout_s=1.5, fallback=value(""))), join)

REVIEW = sequence(
    "read",
    route(choose, long=parallel(tone="tone", spam=stage("spam", timeout_s=0.5)), short=value({"n": 0})),
    judge,
    stage(parallel(a="double", b=sequence(judge, "double")), timeout_s=5, fallback=value(None)),
)

KNOWN = {
    one.name: one
    for one in (
        described("detect", contract({}, list_of({"type": "string", "format": "base64"}), media="image/*")),
        described("recognise", contract({}, STR, media=BINARY, gives_media=TEXT)),
        described("tone", contract(STR, object_of(label=STR, score={"type": "number"}))),
        described("spam", contract(STR, {"enum": ["spam", "ham", None]})),
        described("double", contract(INT, INT)),
        described("read", contract({}, STR, media="image/*", gives_media=TEXT), READ, {"join": contract(list_of(STR), STR)}),
        described("review", contract({}, {}), REVIEW, {"choose": contract(STR, {"enum": ["long", "short"]}), "judge": contract({}, INT)}),
    )
}

NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = (
    st.builds(FunctionStage, NAMES)
    | st.builds(Glue, NAMES)
    | st.builds(
        Value, st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(['say "`direction TB`"', "style:x#y;", "<&amp;\\n>"])
    )
)


def _wider(nodes: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
    branches = st.dictionaries(NAMES, nodes, min_size=1, max_size=3).map(lambda named: tuple(named.items()))
    limits: dict[str, Any] = {
        "retry": st.none() | st.builds(Retry, st.integers(1, 10)),
        "timeout_s": st.none() | st.just(0.5),
        "fallback": st.none() | nodes,
    }
    return (
        st.builds(Sequence, st.lists(nodes, min_size=1, max_size=3).map(tuple), **limits)
        | st.builds(Parallel, branches, **limits)
        | st.builds(Each, nodes, st.integers(1, 1000), **limits)
        | st.builds(Route, st.builds(Glue, NAMES), branches, **limits)
    )


def _any_known(pipeline: Node) -> dict[str, Description]:
    """Make a pipeline known, whose function c is missing and whose function b is a pipeline of a."""
    glue = {name: contract(STR, STR) for name in ("a", "b", "c")}
    inner = described("b", contract(STR, STR), sequence("a", each("a")))
    return {"a": described("a", contract(STR, list_of(STR))), "b": inner, "any": described("any", contract({}, {}), pipeline, glue)}


ANY_KNOWN = st.recursive(LEAVES, _wider, max_leaves=12).map(_any_known)
"""What is known of a pipeline named `any`, and of its functions."""
