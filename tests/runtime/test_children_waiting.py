"""Nobody waits for ever, however functions call each other."""

import asyncio
from collections import Counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from servelite.core.errors import (
    NoWorker,
    WorkerDied,
)
from tests.runtime.bench import S
from tests.runtime.fakes import settle, until
from tests.runtime.town import ALONE, LIMITS, TREES, Town, chain, errands

pytestmark = pytest.mark.anyio


async def test_many_calls_of_a_function_that_calls_itself_are_all_answered(town):
    made = await town({"f": ALONE})
    assert await made.told(*[made.send("f", chain("f", "f")) for _ in range(50)]) == [3] * 50
    assert made.workers("f") == 3


async def test_many_calls_through_another_function_are_all_answered(town):
    made = await town({"f": ALONE, "g": ALONE})
    assert await made.told(*[made.send("f", chain("g")) for _ in range(50)]) == [2] * 50
    assert (made.workers("f"), made.workers("g")) == (1, 1)


async def test_what_a_handler_waits_for_goes_before_what_clients_wait_for(town):
    made = await town({"f": ALONE, "g": ALONE})
    await made.told(made.send("f", chain("g", "f")))
    made.halls["f"].batches.clear()
    assert await made.told(*[made.send("f", chain("g", "f")) for _ in range(3)]) == [3] * 3
    assert [[call.depth for call in batch] for batch in made.halls["f"].batches] == [[0], [2], [0], [2], [0], [2]]


async def test_a_function_that_calls_nobody_batches_all_who_wait(town):
    made = await town({"f": {"max_workers": 4}, "g": {"max_batch": 8, "takes_context": False}}, cores=4)
    made.halls["g"].door.clear()
    first = made.send("g")
    await until(lambda: made.halls["g"].batches)
    tasks = [first, made.send("f", chain("g")), made.send("g")]
    await until(lambda: made.pools["g"].queue_length == 2)
    made.halls["g"].door.set()
    assert await made.told(*tasks) == [1, 2, 1]
    assert [len(batch) for batch in made.halls["g"].batches] == [1, 2]


async def test_where_there_is_no_memory_for_one_more_worker_the_child_is_refused(town):
    made = await town({"f": ALONE}, room_for=2)
    (told,) = await made.told(task := made.send("f", chain("f", "f")))
    assert told is NoWorker
    assert "There is no memory: a worker of f needs 64 MiB" in task.result().error.detail
    assert made.workers("f") == 2
    assert await made.told(made.send("f", chain("f"))) == [2]


async def test_idle_functions_make_room_for_a_child(town):
    made = await town({"f": ALONE, "idle": ALONE}, room_for=2)
    assert await made.told(made.send("f", chain("f"))) == [2]
    assert (made.workers("f"), made.workers("idle")) == (2, 0)


async def test_a_child_whose_worker_can_not_be_started_is_refused(town):
    made = await town({"f": ALONE})
    made.halls["f"].start_fails = [WorkerDied("It died.")] * 3
    assert await made.told(made.send("f", chain("f"))) == [NoWorker]
    assert made.pools["f"].is_ready


async def test_a_handler_that_waits_gives_its_core_to_others_and_goes_on_whoever_has_it(town):
    made = await town({"f": ALONE, "g": ALONE}, cores=1)
    made.halls["g"].door.clear()
    task = made.send("f", chain("g"))
    await until(lambda: (made.states("f"), made.states("g")) == (["waiting"], ["busy"]))
    assert made.machine.cores.busy == 1
    made.halls["g"].door.set()
    assert await made.told(task) == [2]
    await until(lambda: made.machine.cores.busy == 0)
    assert made.states("f") == made.states("g") == ["idle"]


async def test_a_worker_that_waits_for_long_is_not_idle(town):
    made = await town({"f": {"idle_s": 1, "timeout_s": 1000, "max_workers": 1}, "g": {"timeout_s": 1000}})
    made.halls["g"].door.clear()
    task = made.send("f", chain("g"))
    await until(lambda: made.states("f") == ["waiting"])
    made.clock.us += 100 * S
    for pool in made.pools.values():
        pool.look()
    assert made.states("f") == ["waiting"]
    made.halls["g"].door.set()
    assert await made.told(task) == [2]


WAITED_FOR_EACH_OTHER = [
    ("g", [["h", []], ["f", [["g", []], *chain("f", "f"), ["g", []]]], ["f", [["g", []], ["g", [["h", []], ["f", []]]], ["f", []]]]]),
    (
        "h",
        [
            ["h", [["f", []], ["g", []], ["g", []]]],
            ["f", [["g", []], *chain("f", "f"), ["g", [["f", []], ["h", []], ["h", []]]]]],
            ["f", [["h", []], ["g", [["h", []], ["f", []]]], ["f", []]]],
        ],
    ),
]
"""Once f took calls of two depths into its first batch, one of which then waited for a call that nobody but its worker might run."""


@given(
    functions=st.fixed_dictionaries(dict.fromkeys("fgh", LIMITS)),
    calls=st.lists(st.tuples(st.sampled_from("fgh"), TREES), min_size=1, max_size=12),
    cores=st.integers(1, 3),
)
@example(functions={"f": {**ALONE, "max_batch": 3}, "g": ALONE, "h": ALONE}, calls=WAITED_FOR_EACH_OTHER, cores=2)
@settings(max_examples=60)
def test_whoever_calls_whom_all_are_answered_and_no_depth_has_more_workers_than_it_may(functions, calls, cores):
    async def scenario() -> None:
        made = Town(functions, cores=cores)
        await made.engine.start()
        tasks = [made.send(name, tree) for name, tree in calls]

        def are_answered() -> bool:
            made.clock.asked = 0
            for name, pool in made.pools.items():
                depths = Counter(lane.depth for lane in pool.workers.lanes if lane.batch)
                assert all(count <= functions[name]["max_workers"] for count in depths.values()), depths
                assert all(waiting.call.depth == lane.depth for lane in pool.workers.lanes for waiting in lane.batch)
            return all(task.done() for task in tasks)

        try:
            await until(are_answered, 200 * sum(errands(tree) for _, tree in calls))
            assert await made.told(*tasks) == [errands(tree) for _, tree in calls]
            assert len(made.ledger.rows) == sum(errands(tree) for _, tree in calls)
            await settle()
            assert made.machine.cores.busy == 0
            assert {state for name in functions for state in made.states(name)} == {"idle"}
            assert not any(pool.queue_length for pool in made.pools.values())
        finally:
            await made.engine.stop()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(scenario())


@given(
    functions=st.fixed_dictionaries(dict.fromkeys("fgh", LIMITS)),
    calls=st.lists(st.tuples(st.sampled_from("fgh"), TREES), min_size=1, max_size=12),
    workers=st.integers(3, 6),
)
@settings(max_examples=30)
def test_with_too_little_memory_all_are_answered_or_refused(functions, calls, workers):
    async def scenario() -> None:
        made = Town(functions, room_for=workers)
        await made.engine.start()
        told = await made.told(*[made.send(name, tree) for name, tree in calls])
        assert all(one == NoWorker or one == errands(tree) for one, (_, tree) in zip(told, calls, strict=True))
        await settle()
        assert made.machine.cores.busy == 0
        await made.stop()

    asyncio.run(asyncio.wait_for(scenario(), 60))
