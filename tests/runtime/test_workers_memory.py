"""Memory: of one worker, of a function, and of all functions of a machine together."""

import logging

import pytest

from servelite.core.errors import NoWorker, OutOfMemory
from servelite.runtime.lane import SETTLING_BATCHES
from servelite.runtime.workers import FIRST_GUESS_KIB
from tests.runtime.bench import MIB, Bench, S
from tests.runtime.fakes import advance_timers, settle, until

pytestmark = pytest.mark.anyio

SIZE = 10 * MIB
LIMIT = 100 * MIB
RECYCLED = SIZE + int(0.7 * (LIMIT - SIZE)) + 1
FULL = 90 * MIB + 1


async def settled(bench, **limits) -> Bench:
    """Return a bench whose worker has answered enough calls to have its size."""
    made = await bench(memory_mib=100, memory_kib=SIZE, **limits)
    await made.ask(*[b"x"] * SETTLING_BATCHES)
    return made


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.CRITICAL)


# one worker


async def test_a_worker_over_its_limit_before_its_first_call_is_out_of_memory_at_its_start():
    made = Bench(memory_mib=100)
    made.workshop.memory_kib = 123 * MIB
    with pytest.raises(OutOfMemory) as caught:
        await made.pool.start()
    assert caught.value.detail == "A worker of f needs 123 MiB before its first call, and memory_mib is 100. Raise it."
    assert (made.states, made.workers[0].is_stopped) == ([], True)
    await made.stop()


async def test_a_worker_that_passes_its_limit_while_it_rests_is_replaced(bench):
    made = await bench(memory_mib=100)
    made.workers[0].own_kib = LIMIT + 1
    await made.look(after_us=S)
    assert made.ends == {"out_of_memory": 1}
    assert (made.states, len(made.workers)) == (["idle"], 2)


async def test_a_worker_that_passes_all_memory_while_it_starts_is_killed():
    made = Bench()
    made.machine.memory.budget_kib = LIMIT
    made.workshop.start_door.clear()
    made.pool.workers.grow()
    await until(lambda: made.states == ["starting"])
    made.workers[0].own_kib = LIMIT + 1
    await made.look()
    assert type(made.pool.workers.error) is OutOfMemory
    assert (made.states, made.workers[0].is_stopped) == ([], True)
    await made.stop()


async def test_a_worker_that_grew_is_replaced_once_its_successor_is_ready_and_no_call_fails(bench):
    made = await settled(bench)
    old = made.workers[0]
    old.own_kib = RECYCLED
    made.workshop.start_door.clear()
    assert await made.ask(b"a", b"b", b"c") == [b"A", b"B", b"C"]
    assert made.states == ["idle", "starting"]
    tasks = await made.occupy_and_send(b"d")
    made.workshop.start_door.set()
    await until(lambda: old.bodies[-1] == [b"first"] and made.states[0] == "leaving")
    assert await made.open_door_for(tasks) == [b"FIRST", b"D"]
    assert await made.ask(b"e") == [b"E"]
    await settle()
    assert made.ends == {"recycled": 1}
    assert (made.states, len(made.workers), old.is_stopped) == (["idle"], 2, True)
    assert {row.code for row in made.ledger.rows} == {"ok"}


@pytest.mark.parametrize("memory_kib", [SIZE, RECYCLED - 1], ids=["as it was", "just not too much"])
async def test_a_worker_that_grew_a_little_stays(bench, memory_kib):
    made = await settled(bench)
    made.workers[0].own_kib = memory_kib
    await made.ask(b"a", b"b")
    await settle()
    assert (made.states, len(made.workers)) == (["idle"], 1)


async def test_what_a_worker_loads_with_its_first_calls_is_its_size(bench):
    made = await bench(memory_mib=100)
    made.workers[0].own_kib = FULL
    await made.ask(*[b"x"] * (SETTLING_BATCHES + 3))
    assert (made.states, len(made.workers)) == (["idle"], 1)


async def test_a_full_worker_leaves_at_once_and_what_waits_goes_to_its_successor(bench):
    made = await settled(bench)
    tasks = await made.occupy_and_send(b"a")
    made.workers[0].own_kib = FULL
    assert await made.open_door_for(tasks) == [b"FIRST", b"A"]
    assert made.workers[0].bodies[-1] == [b"first"]
    assert made.workers[1].bodies == [[b"a"]]
    assert made.ends == {"recycled": 1}


async def test_a_worker_whose_successor_can_not_be_started_goes_on(bench):
    made = await settled(bench)
    made.workshop.start_fails = [OutOfMemory("no")]
    for grown_kib in range(3):
        made.workers[0].own_kib = RECYCLED + grown_kib
        assert await made.ask(b"a") == [b"A"]
        await settle()
        assert (made.states, len(made.workers)) == (["idle"], 2)  # it is not tried again with every call
    advance_timers(1)
    await settle()
    made.workers[0].own_kib += 1
    assert await made.ask(b"b") == [b"B"]
    await settle()
    assert (made.ends, len(made.workers)) == ({"out_of_memory": 1, "recycled": 1}, 3)


# a function among others


async def test_an_idle_function_sleeps_to_make_room_for_another_and_wakes_with_its_next_call(bench):
    one = await bench("one", budget_kib=SIZE + FIRST_GUESS_KIB - 1, memory_kib=SIZE)
    two = await bench("two", beside=one)
    assert (one.states, one.ends, two.states) == ([], {"evicted": 1}, ["idle"])
    assert one.pool.is_ready
    assert await one.ask(b"a") == [b"A"]


async def test_a_busy_function_keeps_its_memory_and_the_other_is_told(bench):
    one = await bench("one", budget_kib=100 * MIB)
    one.workers[0].own_kib = 50 * MIB
    tasks = await one.occupy()
    await one.look(after_us=S)
    two = Bench("two", one.machine, one.clock)
    with pytest.raises(NoWorker) as caught:
        await two.pool.start()
    assert (
        caught.value.detail == "There is no memory: a worker of two needs 64 MiB, and all functions together may use 100 MiB. "
        "Give more: --memory SIZE."
    )
    assert two.workers == []
    assert await one.open_door_for(tasks) == [b"FIRST"]
    advance_timers(1)
    await settle()
    assert await two.ask(b"a") == [b"A"]
    assert one.ends == {"evicted": 1}
    await two.stop()


async def test_a_function_without_memory_for_another_worker_goes_on_with_those_it_has(bench):
    made = await bench(cores=2, budget_kib=100 * MIB)
    made.workers[0].own_kib = 100 * MIB - 999
    await made.look(after_us=S)
    tasks = await made.occupy_and_send(b"a")
    made.pool.workers.grow()
    assert (made.pool.workers.error, len(made.workers)) == (None, 1)
    assert await made.open_door_for(tasks) == [b"FIRST", b"A"]


async def test_a_function_does_not_end_its_own_worker_to_make_room_for_the_next(bench):
    made = await bench(budget_kib=100 * MIB, memory_kib=60 * MIB)
    with pytest.raises(NoWorker):
        await made.pool.workers.reload()
    assert made.states == ["idle"]
    assert await made.ask(b"a") == [b"A"]


async def test_the_memory_that_a_starting_worker_will_need_is_taken_already(bench):
    one = await bench("one", budget_kib=100 * MIB, memory_kib=60 * MIB)
    one.pool.workers.sleep("evicted")
    await until(lambda: not one.states)
    one.workshop.start_door.clear()
    one.pool.workers.grow()
    one.workers[-1].own_kib = 1 * MIB  # so far
    await one.look()
    assert one.machine.memory.used_kib == 60 * MIB
    with pytest.raises(NoWorker):
        await bench("two", beside=one)


async def test_the_memory_of_a_worker_that_ends_its_last_batch_counts_until_it_rests(bench):
    made = await bench(memory_kib=60 * MIB)
    tasks = await made.occupy()
    made.pool.workers.sleep("evicted")
    assert made.pool.workers.memory_kib == 60 * MIB
    await made.open_door_for(tasks)
    assert made.pool.workers.memory_kib == 0


async def test_pages_that_workers_share_cost_nobody_its_life(bench):
    one = await bench("one", budget_kib=100 * MIB)
    two = await bench("two", beside=one)
    for made in (one, two):
        made.workers[0].own_kib, made.workers[0].shared_kib = 60 * MIB, 10 * MIB
        await made.look(after_us=S)
    assert one.machine.memory.used_kib == 120 * MIB
    one.machine.memory.look()
    assert one.machine.memory.used_kib == 100 * MIB
    assert (one.states, two.states) == (["idle"], ["idle"])


async def test_a_sleeping_function_uses_no_memory_and_is_not_idle(bench):
    made = await bench()
    assert made.pool.workers.idle_since_us == made.clock.us
    made.pool.workers.sleep("evicted")
    assert (made.pool.workers.memory_kib, made.pool.workers.idle_since_us) == (0, None)


@pytest.mark.parametrize("state", ["busy", "starting"])
async def test_a_function_with_a_worker_that_does_something_is_not_idle(bench, state):
    made = await bench(cores=2)
    if state == "busy":
        tasks = await made.occupy()
    else:
        made.workshop.start_door.clear()
        made.pool.workers.grow()
        tasks = []
    assert state in made.states
    assert made.pool.workers.idle_since_us is None
    await made.open_door_for(tasks)


async def test_where_all_functions_together_pass_the_budget_the_largest_busy_worker_is_killed(bench):
    one = await bench("one", cores=2, budget_kib=200 * MIB)
    two = await bench("two", beside=one)
    tasks = [*await one.occupy(b"a"), *await two.occupy(b"b")]
    one.workers[0].own_kib, two.workers[0].own_kib = 90 * MIB, 111 * MIB
    for made in (one, two):
        await made.look(after_us=S)
    one.machine.memory.look()
    one.workshop.door.set()
    assert await one.answers(tasks) == [b"A", OutOfMemory]
    said = (
        "A worker of two was stopped: it used 111 MiB, and all functions together more than the 200 MiB of --memory. "
        "Give it more, or the functions less."
    )
    assert tasks[1].result().error.detail == said
