"""The stage: its handler answers as the function itself does, and a fault hits the one call it was ordered for."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from servelite.core.call import Call, Outcome
from servelite.tools.torture.stage import Orders, set_up
from servelite.worker.description import describe
from servelite.worker.loader import load
from servelite.worker.runner import Runner
from tests.conftest import FolderWriter

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "tests" / "functional" / "functions"

SINGLE_CONTEXT = """
    from __future__ import annotations
    from servelite import Context, function
    from beside import loud

    @function(timeout_s=7)
    def greet(name: str, context: Context) -> str:
        return f"{loud(name)} {context.request_id} {context.account}"
"""
BATCHED_CONTEXT = """
    from servelite import Context, InvalidInput, function
    from beside import loud

    @function(max_batch=8)
    def greet(names: list[str], contexts: list[Context]) -> list[str | InvalidInput]:
        return [loud(name) + context.request_id if name else InvalidInput("nobody") for name, context in zip(names, contexts)]
"""
BESIDE = {"beside.py": "def loud(text):\n    return text.upper()\n"}

Pair = tuple[Runner, Runner, Orders]


@pytest.fixture
def staged(tmp_path: Path) -> Callable[..., Pair]:
    """Return a maker of two runners, of a function and of its copy on the stage, and of the orders that the copy obeys."""

    def stage(original: Path, **limits: float) -> Pair:
        scene = tmp_path / "scene"
        scene.mkdir()
        return Runner(load(original)), Runner(load(set_up(original, scene, limits))), Orders(scene)

    return stage


def calls_of(bodies: Sequence[bytes], media_type: str) -> list[Call]:
    return [Call(f"id-{number}", "f", media_type, body) for number, body in enumerate(bodies)]


def failed(outcomes: Sequence[Outcome]) -> list[int]:
    """Return which calls failed."""
    return [number for number, outcome in enumerate(outcomes) if outcome.error]


def said(outcomes: Sequence[Outcome]) -> list[tuple[bytes, str]]:
    """Return what calls were told, without the time that it took."""
    return [(outcome.body, repr(outcome.error)) for outcome in outcomes]


@pytest.mark.parametrize(
    "folder", [ROOT / "functions" / "sentiment", *(FUNCTIONS / name for name in ("double", "flip", "order", "shout"))], ids=lambda f: f.name
)
def test_the_copy_answers_as_the_function_does(staged: Callable[..., Pair], folder: Path) -> None:
    function = load(folder)
    description = describe(function)
    bodies = [description.encode_input(example["input"]) for example in description.examples]
    calls = calls_of([*bodies, b"\xff not what it takes"], description.takes[0])
    plain, copy, _ = staged(folder)
    assert said(copy.run(calls).outcomes) == said(plain.run(calls).outcomes)


@pytest.mark.parametrize("source", [SINGLE_CONTEXT, BATCHED_CONTEXT], ids=["a call", "a batch"])
def test_the_copy_gets_context_and_the_modules_beside_it(staged: Callable[..., Pair], write_function: FolderWriter, source: str) -> None:
    plain, copy, _ = staged(write_function("greet", source, BESIDE))
    calls = calls_of([b"ada", b"grace"], "text/plain")
    outcomes = copy.run(calls).outcomes
    assert said(outcomes) == said(plain.run(calls).outcomes)
    assert outcomes[1].body.startswith(b"GRACE")
    assert b"id-1" in outcomes[1].body


def test_the_copy_describes_itself_as_the_function_does(tmp_path: Path) -> None:
    original = FUNCTIONS / "order"
    plain, copy = describe(load(original)), describe(load(set_up(original, tmp_path, {"timeout_s": 2})))
    assert (copy.input_schema, copy.output_schema, copy.examples) == (plain.input_schema, plain.output_schema, plain.examples)
    assert (copy.limits.timeout_s, copy.limits.memory_mib) == (2, plain.limits.memory_mib)


@pytest.mark.parametrize("folder", [ROOT / "functions" / "sentiment", FUNCTIONS / "shout"], ids=["a batch", "single calls"])
def test_a_fault_hits_one_call_and_hits_it_again(staged: Callable[..., Pair], folder: Path) -> None:
    _, copy, orders = staged(folder)
    body, media_type = (b'{"text": "great film"}', "application/json") if folder.name == "sentiment" else (b"hi", "text/plain")
    calls = calls_of([body] * 4, media_type)
    assert not failed(copy.run(calls).outcomes)
    orders.order("fail", "a secret")
    assert not orders.is_claimed("fail")
    assert failed(copy.run(calls).outcomes) == [0]
    assert orders.is_claimed("fail")
    assert failed(copy.run(calls[::-1]).outcomes) == [3]
    assert not failed(copy.run(calls[1:]).outcomes)


def test_a_fault_for_all_hits_every_call(staged: Callable[..., Pair]) -> None:
    _, copy, orders = staged(FUNCTIONS / "shout")
    orders.order("fail", whom="all")
    assert failed(copy.run(calls_of([b"hi"] * 3, "text/plain")).outcomes) == [0, 1, 2]


def test_runs_are_counted_and_the_warm_up_is_not(staged: Callable[..., Pair]) -> None:
    _, copy, orders = staged(FUNCTIONS / "shout")
    assert orders.runs() == []
    orders.order("fail")
    assert not failed(copy.run([Call("warm-up", "f", "text/plain", b"hi")]).outcomes)
    assert not orders.is_claimed("fail")
    copy.run(calls_of([b"hi"] * 2, "text/plain"))
    assert orders.runs() == [["id-0"], ["id-1"]]
