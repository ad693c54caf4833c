"""Random pipelines on fake workers, whose stages fail and whose clients leave at random: what is recorded always adds up."""

import asyncio
from dataclasses import dataclass
from typing import Any, Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from servelite.core.accounts import Allowance
from servelite.core.call import Answer
from servelite.core.errors import ServeliteError, WorkerKilled
from servelite.core.pipeline import Node
from servelite.core.stages import each, parallel, retry, route, sequence, stage, value
from servelite.core.tariff import Tariff
from tests.runtime.fakes import until
from tests.runtime.pipes import Pipes


def same(given: Any) -> Any:
    return given


def pair(given: Any) -> Any:
    return [given, given]


def refuse(given: Any) -> Any:
    raise ValueError("No.")


def fail(given: Any) -> Any:
    raise KeyError("No.")


def glue(given: Any) -> Any:
    return given


def left_or_right(given: Any) -> Literal["left", "right"]:
    return "left" if given else "right"


FUNCTIONS: dict[str, Any] = {"same": same, "pair": pair, "refuse": refuse, "fail": fail}
LEAVES = ["same", "same", "pair", "refuse", "fail", glue, value(0), value([1, 2])]


def _wider(nodes: st.SearchStrategy[Any]) -> st.SearchStrategy[Node]:
    return (
        st.lists(nodes, min_size=1, max_size=3).map(lambda parts: sequence(*parts))
        | st.dictionaries(st.sampled_from(["a", "b", "c"]), nodes, min_size=1, max_size=3).map(lambda branches: parallel(**branches))
        | st.builds(lambda one, most: sequence("pair", each(one, max_parallel=most)), nodes, st.integers(1, 3))
        | st.builds(lambda left, right: route(left_or_right, left=left, right=right), nodes, nodes)
        | st.builds(lambda one: stage(one, retry=retry(1, on=("function_failed", "invalid_input"), backoff_s=0)), nodes)
        | st.builds(lambda one, other: stage(one, fallback=other), nodes, nodes)
    )


def pipelines_of(*leaves: Any) -> st.SearchStrategy[Node]:
    return st.recursive(st.sampled_from(leaves), _wider, max_leaves=8).map(sequence)


@dataclass
class Fates:
    """When what happens, in turns of the event loop: a client leaves, a worker is killed, a worker ends its run."""

    leaves: list[int]
    kills: list[int]
    ends_after: list[int]


FATES = st.builds(
    Fates,
    st.lists(st.integers(0, 60), max_size=6),
    st.lists(st.integers(0, 60), max_size=2),
    st.lists(st.integers(0, 12), min_size=1, max_size=4),
)


async def _run(pipeline: Node, inner: Node, fates: Fates) -> Pipes:
    allowance = {"tariff": Tariff(free_s=10_000, round_up_us=300), "local": Allowance(credit_micro=0)}
    pipes = Pipes({"p": pipeline, "inner": inner, "q": sequence("inner", "inner"), **FUNCTIONS}, [glue, left_or_right], **allowance)
    await pipes.engine.start(is_lenient=True)
    doors = asyncio.create_task(_open_and_close(pipes, fates.ends_after))
    tasks = [pipes.send(name, sent) for name in ("p", "q", "p") for sent in (1, 0)]
    for turn in range(80):
        for task in [one for one in tasks if not one.done()][: fates.leaves.count(turn)]:
            task.cancel()
        for _ in range(fates.kills.count(turn)):
            _kill_one(pipes)
        await asyncio.sleep(0)
    ends = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    await until(lambda: not any(lane.batch for pool in pipes.engine.pools.values() for lane in pool.workers.lanes), turns=100_000)
    doors.cancel()
    await pipes.stop()
    for end in ends:
        assert isinstance(end, (Answer, ServeliteError, asyncio.CancelledError)), end
    return pipes


async def _open_and_close(pipes: Pipes, ends_after: list[int]) -> None:
    """Have each run of a worker end after so many turns, in turn."""
    for turns in ends_after * 10_000:
        for workshop in pipes.workshops.values():
            workshop.door.clear()
        for _ in range(turns):
            await asyncio.sleep(0)
        for workshop in pipes.workshops.values():
            workshop.door.set()
        pipes.clock.us += 7
        pipes.clock.asked = 0
        await asyncio.sleep(0)


def _kill_one(pipes: Pipes) -> None:
    busy = [lane for pool in pipes.engine.pools.values() for lane in pool.workers.lanes if lane.batch]
    for lane in busy[:1]:
        lane.worker.kill(WorkerKilled("The worker was ended by SIGKILL."))


@given(pipelines_of(*LEAVES, "inner", "inner"), pipelines_of(*LEAVES), FATES)
@settings(max_examples=150)
def test_whatever_happens_stages_add_up_to_their_pipelines_and_those_to_what_the_account_used(pipeline, inner, fates):
    pipes = asyncio.run(_run(pipeline, inner, fates))
    pipes.check_sums()
    assert pipes.used_us == sum(row.billed_us for row in pipes.tops)
    (account,) = filter(None, pipes.accounts.quotas._accounts.values())
    assert (account.held_units, account.running) == (0, 0)
