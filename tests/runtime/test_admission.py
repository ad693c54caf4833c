"""Which calls of pipelines are let in, by what the functions of their stages need."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import pytest

from servelite.core.errors import Overloaded
from servelite.core.pipeline import Node
from servelite.core.stages import each, parallel, route, sequence, stage, value
from servelite.runtime.pool import QUEUE_LIMIT
from tests.runtime.fakes import until
from tests.runtime.pipes import Pipes

pytestmark = pytest.mark.anyio

S = 1_000_000


def first(text: str) -> str:
    return text


def second(text: str) -> str:
    return text


def other(text: str) -> str:
    return text


def a_or_b(text: str) -> Literal["a", "b"]:
    return "a"


FUNCTIONS = {"first": first, "second": second, "other": other}


@pytest.fixture
def start(start_pipes: Callable[..., Any]) -> Callable[..., Any]:
    async def begin(node: Node, **pipelines: Node) -> Pipes:
        limits = {name: {"max_batch": 1} for name in FUNCTIONS}
        pipes: Pipes = await start_pipes({"p": node, **pipelines, **FUNCTIONS}, [a_or_b], limits=limits)
        return pipes

    return begin


async def occupy(pipes: Pipes, name: str, batch_us: int, waiting: int = 0) -> None:
    """Have a function's worker busy, with calls behind it, and known to need so long for each."""
    pool, workshop = pipes.engine.pools[name], pipes.workshops[name]
    pool.workers.most = 1
    pool._forecast.saw_batch(batch_us)
    workshop.door.clear()
    for place in range(1 + waiting):
        pool.submit(pipes.new_call(name, "x")).answer.add_done_callback(asyncio.Future.exception)  # that it ends is no fault
        if not place:
            await until(lambda: bool(workshop.batches) and not pool.queue_length)


async def is_let_in(pipes: Pipes, patience_s: float = 0.0) -> bool:
    call = pipes.new_call("p", "x", patience_s=patience_s)
    try:
        pipes.engine._pipelines.admit(call)
    except Overloaded:
        return False
    return True


@pytest.mark.parametrize(
    ("patience_s", "is_in"),
    [(0.9, False), (1.1, True)],
    ids=["less patience than the wait", "more"],
)
async def test_a_call_is_refused_whose_stage_would_keep_it_waiting_for_too_long(start, patience_s, is_in):
    pipes = await start(sequence("first", "second"))
    await occupy(pipes, "second", S)
    assert await is_let_in(pipes, patience_s) == is_in


async def test_it_is_refused_before_anything_has_run_and_counted_as_the_pipelines(start):
    pipes = await start(sequence("first", "second"))
    await occupy(pipes, "second", S, waiting=3)
    with pytest.raises(Overloaded, match="second would keep this call waiting for 4 s, beyond its deadline of 2 s") as caught:
        await pipes.ask("p", "x", patience_s=2)
    assert caught.value.retry_after_s == 2
    assert pipes.workshops["first"].batches == []
    assert pipes.engine.pools["p"].statistics.calls == {"overloaded": 1}
    assert pipes.engine.pools["second"].statistics.calls["overloaded"] == 0


@pytest.mark.parametrize(
    ("node", "wait_s"),
    [
        pytest.param(sequence("first", "second"), 4, id="a sequence: the first's wait and run, the second's wait"),
        pytest.param(sequence("second", "first"), 5, id="the other way round"),
        pytest.param(parallel(a="first", b="second"), 2, id="branches: the longest wait"),
        pytest.param(sequence(parallel(a="first", b="second"), value("x"), "other"), 4, id="after branches: when both are done"),
        pytest.param(each("second"), 2, id="an item's wait"),
        pytest.param(sequence("inner", "second"), 4, id="a pipeline within"),
        pytest.param(route(a_or_b, a="first", b="second"), 0, id="a branch that may not be taken"),
        pytest.param(stage("second", fallback="first"), 0, id="a stage that has a fallback"),
    ],
)
async def test_the_waits_of_stages_that_follow_each_other_add_up(start, node, wait_s):
    pipes = await start(node, inner=sequence("first"))
    await occupy(pipes, "first", S)
    await occupy(pipes, "second", 2 * S)
    if wait_s:
        assert not await is_let_in(pipes, wait_s - 0.1)
    assert await is_let_in(pipes, wait_s + 0.1)


async def test_the_sum_is_told_with_the_pipelines_name(start):
    pipes = await start(sequence("first", "second"))
    await occupy(pipes, "first", S)
    await occupy(pipes, "second", S)
    with pytest.raises(Overloaded, match="p would keep this call waiting for 3 s, beyond its deadline of 2 s"):
        await pipes.ask("p", "x", patience_s=2)


@pytest.mark.parametrize(("waiting", "is_in"), [(0, True), (1, False)], ids=["20 s and 20 s", "20 s and 40 s"])
async def test_without_a_deadline_each_stage_is_held_to_its_own(start, waiting, is_in):
    pipes = await start(sequence("first", "second"))
    await occupy(pipes, "first", 20 * S)
    await occupy(pipes, "second", 20 * S, waiting)
    assert await is_let_in(pipes) == is_in


async def test_a_full_queue_refuses_pipelines_at_their_entrance_and_takes_the_stages_of_those_that_are_in(start):
    pipes = await start(sequence("first", "second"))
    await occupy(pipes, "first", 1)
    inside = pipes.send("p", "x")
    await until(lambda: pipes.engine.pools["first"].queue_length == 1)
    await occupy(pipes, "second", 1, waiting=QUEUE_LIMIT)
    assert not await is_let_in(pipes)
    pipes.workshops["first"].door.set()
    await until(lambda: pipes.engine.pools["second"].queue_length == QUEUE_LIMIT + 1)
    pipes.workshops["second"].door.set()
    assert (await inside).body == b"x"


async def test_functions_that_sleep_are_woken_when_a_call_is_let_in_not_one_after_the_other(start):
    pipes = await start(sequence("first", "second"))
    for name in FUNCTIONS:
        pipes.engine.pools[name].workers.sleep("idle")
    await until(lambda: not any(pipes.engine.pools[name].workers.lanes for name in FUNCTIONS))
    pipes.workshops["first"].start_door.clear()
    call = pipes.send("p", "x")
    await until(lambda: len(pipes.workshops["first"].workers) == len(pipes.workshops["second"].workers) == 2)
    assert len(pipes.workshops["other"].workers) == 1
    pipes.workshops["first"].start_door.set()
    assert (await call).body == b"x"


async def test_none_is_woken_early_that_another_would_have_to_go_for(start):
    pipes = await start(sequence("first", "second"))
    pipes.engine.pools["second"].workers.sleep("idle")
    await until(lambda: not pipes.engine.pools["second"].workers.lanes)
    pipes.machine.memory.budget_kib = pipes.machine.memory.used_kib
    assert await is_let_in(pipes)
    await asyncio.sleep(0)
    assert not pipes.engine.pools["second"].workers.lanes
