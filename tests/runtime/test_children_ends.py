"""Calls that handlers make, when clients leave, workers end and questions are wrong."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servelite.core.accounts import Allowance
from servelite.core.call import Call, Question
from servelite.core.errors import (
    Cancelled,
    FrameError,
    Overloaded,
    PayloadTooLarge,
    ServeliteError,
    TimedOut,
    WorkerDied,
    WorkerKilled,
)
from servelite.core.function import JSON
from servelite.core.tariff import Tariff
from servelite.runtime.bodies import MIB
from tests.runtime.bench import S
from tests.runtime.fakes import settle, until
from tests.runtime.town import ALONE, LIMITS, TREES, Town, chain

pytestmark = pytest.mark.anyio

KILLS = [WorkerDied("It died."), WorkerKilled("It was killed."), TimedOut("It took too long.")]


@given(
    functions=st.fixed_dictionaries(dict.fromkeys("fgh", LIMITS)),
    calls=st.lists(st.tuples(st.sampled_from("fgh"), TREES), min_size=1, max_size=12),
    ends=st.lists(st.tuples(st.integers(0, 8), st.sampled_from(["leaves", "recycled", *KILLS]), st.integers(0, 99)), max_size=12),
    workers=st.sampled_from([4, 6, 1000]),
)
@settings(max_examples=60)
def test_whatever_ends_in_between_all_are_told_and_nothing_is_left_over(functions, calls, ends, workers):
    async def scenario() -> None:
        made = Town(functions, room_for=workers, tariff=Tariff(free_s=1000), local=Allowance(credit_micro=0))
        await made.engine.start()
        tasks = [made.send(name, tree) for name, tree in calls]
        for turns, end, which in ends:
            for _ in range(turns):
                await asyncio.sleep(0)
            lanes = [lane for pool in made.pools.values() for lane in pool.workers.lanes if lane.ready_us]
            if end == "leaves":
                tasks[which % len(tasks)].cancel()
            elif end == "recycled" and lanes:
                lanes[which % len(lanes)].leave(end)
            elif lanes:
                lanes[which % len(lanes)].worker.kill(end)
        assert all(isinstance(told, int) or issubclass(told, (ServeliteError, asyncio.CancelledError)) for told in await made.told(*tasks))
        await until(lambda: not any(lane.questions or lane.batch for pool in made.pools.values() for lane in pool.workers.lanes))
        await until(
            lambda: made.machine.cores.busy == 0 and not any(pool.queue_length or pool._dispatcher._busy for pool in made.pools.values())
        )
        accounts = made.accounts.quotas._accounts.values()
        await until(lambda: all(one.held_units == one.held_calls == one.running == 0 for one in accounts), turns=None)
        assert len({row.id for row in made.ledger.rows}) == len(made.ledger.rows)
        await made.stop()

    asyncio.run(asyncio.wait_for(scenario(), 60))


async def waiting_for_a_child(made: Town, errand=None, **known):
    """Have a handler of f wait for a call of g that runs."""
    made.halls["g"].door.clear()
    task = made.send("f", errand or chain("g"), **known)
    await until(lambda: made.halls["g"].batches)
    return task


async def with_a_child_that_waits(made: Town):
    """Have another worker of f wait for a call of g that waits itself."""
    task = made.send("f", chain("g"))
    made.pools["f"].workers.grow()
    await until(lambda: made.pools["g"].queue_length == 1)
    return task


async def test_when_a_client_leaves_its_child_that_waits_is_not_run_and_the_handler_is_told(town):
    made = await town({"f": {"max_workers": 2}, "g": ALONE}, cores=2)
    await waiting_for_a_child(made)
    gone = await with_a_child_that_waits(made)
    gone.cancel()
    await until(lambda: made.pools["g"].queue_length == 0)
    await until(lambda: [row.code for row in made.ledger.rows] == ["cancelled"])
    assert made.halls["f"].workers[-1].is_alive
    assert len(made.halls["g"].batches) == 1


async def test_what_a_handler_asks_when_its_client_has_left_is_not_run(town):
    made = await town({"f": {}, "g": {}})
    made.halls["f"].door.clear()
    gone = made.send("f", chain("g"))
    await until(lambda: made.halls["f"].batches)
    gone.cancel()
    await settle()
    made.halls["f"].door.set()
    await until(lambda: [row.code for row in made.ledger.rows] == ["cancelled"])
    assert made.halls["g"].batches == []


async def test_when_a_client_leaves_its_batch_mates_are_still_served(town):
    made = await town({"f": {"max_batch": 2}, "g": ALONE})
    gone, stays = made.send("f", chain("g")), made.send("f", chain("g"))
    made.halls["g"].door.clear()
    await until(lambda: made.halls["g"].batches)
    gone.cancel()
    await settle()
    made.halls["g"].door.set()
    assert await made.told(gone, stays) == [asyncio.CancelledError, 2]


@pytest.mark.parametrize("error", [WorkerDied("It died."), Cancelled("It was stopped.")])
async def test_when_a_parents_worker_ends_its_child_is_left_and_nobody_is_told(town, error):
    made = await town({"f": {"max_workers": 2}, "g": ALONE}, cores=2)
    running = await waiting_for_a_child(made)
    waiting = await with_a_child_that_waits(made)
    parent = next(lane for lane in made.pools["f"].workers.lanes if lane.questions and lane.batch[0].call.id == waiting_id(made))
    parent.worker.kill(error)
    assert await made.told(waiting) == [type(error)]
    assert made.pools["g"].queue_length == 0
    made.halls["g"].door.set()
    assert await made.told(running) == [2]
    assert parent.worker.told == []
    await until(lambda: made.machine.cores.busy == 0)


def waiting_id(made: Town) -> str:
    """Return the parent of the call of g that waits."""
    (call,) = [one.call for line in made.pools["g"]._queue._lines.values() for one in line]
    return call.parent


async def test_a_killed_parent_pays_for_what_it_computed_and_not_for_its_wait(town):
    made = await town({"f": {"timeout_s": 100}, "g": {"timeout_s": 100}})
    made.halls["f"].run_us = 3 * S
    task = await waiting_for_a_child(made)
    made.clock.us += 50 * S
    made.pools["f"].workers.lanes[0].worker.kill(WorkerDied("It died."))
    assert await made.told(task) == [WorkerDied]
    assert [(row.function, row.compute_us) for row in made.ledger.rows] == [("f", 3 * S)]


async def test_a_wait_for_a_child_counts_for_how_long_the_next_call_will_wait(town):
    made = await town({"f": {"timeout_s": 100}, "g": {"timeout_s": 100}})
    task = await waiting_for_a_child(made)
    made.clock.us += 50 * S
    made.halls["g"].door.set()
    await made.told(task)
    assert made.pools["f"]._forecast.batch_us == 50 * S + 1000


async def test_a_worker_can_not_ask_in_the_name_of_others(town):
    made = await town({"f": {}, "g": {}})
    await waiting_for_a_child(made)
    lane = made.pools["f"].workers.lanes[0]
    foreign = made.halls["g"].batches[0][0].id
    with pytest.raises(FrameError, match=f"A worker of f asked for a call that it does not run: '{foreign}'"):
        lane.worker.on_ask(Question(99, foreign, "g", JSON, b"[]"))


async def test_a_worker_can_not_ask_the_same_twice_or_too_much_at_once(town):
    made = await town({"f": {}, "g": {}})
    await waiting_for_a_child(made)
    lane = made.pools["f"].workers.lanes[0]
    (number,) = lane.questions
    own = lane.batch[0].call.id
    with pytest.raises(FrameError, match="asked one question twice, or more than 64 at once"):
        lane.worker.on_ask(Question(number, own, "g", JSON, b"[]"))
    for more in range(63):
        lane.worker.on_ask(Question(-more - 1, own, "g", JSON, b"[]"))
    with pytest.raises(FrameError, match="more than 64"):
        lane.worker.on_ask(Question(-100, own, "g", JSON, b"[]"))


async def test_a_fault_of_the_gateway_is_told_as_one_and_logged(town, caplog):
    made = await town({"f": {}, "g": {}})

    async def faulty(*_: object):
        raise RuntimeError("a fault")

    made.pools["f"].make_call = faulty
    (told,) = await made.told(task := made.send("f", chain("g")))
    assert told.code == "server_failed"
    assert task.result().error.detail == "g: The server failed; its log has the reason."
    assert "a call of g failed in the gateway" in caplog.text


async def test_large_bodies_of_children_count_for_the_memory_of_bodies(town):
    made = await town({"f": {}, "g": {}})
    made.halls["f"].door.clear()
    task = made.send("f", chain("g"))
    await until(lambda: made.halls["f"].batches)
    made.engine.bodies.hold(Call("other", "f"), 64 * MIB)
    made.halls["f"].door.set()
    (told,) = await made.told(task)
    assert told is Overloaded
    assert "g: The server holds as many large bodies as it has memory for" in task.result().error.detail
    assert made.engine.bodies.held_bytes == 64 * MIB


async def test_a_body_of_a_child_over_the_limit_is_refused(town):
    made = await town({"f": {}, "g": {}})
    made.engine.bodies.max_bytes = 20
    assert await made.told(made.send("f", [["g", []]]), made.send("f", [["g", [["f", [["f", []]]]]]])) == [2, PayloadTooLarge]
