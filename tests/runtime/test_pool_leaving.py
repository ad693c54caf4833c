"""Clients that leave before they have their answer."""

import asyncio

import pytest

from servelite.core.errors import WorkerKilled
from tests.runtime.bench import S
from tests.runtime.fakes import settle, until

pytestmark = pytest.mark.anyio


async def with_known_times(bench, batch_us, start_us, **limits):
    """Return a bench whose pool has seen how long a batch and a start take."""
    made = await bench(start_us=start_us, **limits)
    made.workshop.compute_us = batch_us - 1
    await made.ask(b"seen")
    made.ledger.rows.clear()
    made.workshop.batches.clear()
    return made


async def test_a_call_that_nobody_waits_for_any_more_is_not_run(bench):
    made = await bench()
    tasks = await made.occupy_and_send(b"a", b"b", b"c")
    tasks[2].cancel()
    assert await made.open_door_for(tasks) == [b"FIRST", b"A", asyncio.CancelledError, b"C"]
    assert made.workshop.bodies == [[b"first"], [b"a", b"c"]]
    assert [row.id for row in made.ledger.rows] == ["first", "a", "c"]


async def test_where_nobody_waits_any_more_nothing_is_run(bench):
    made = await bench(max_batch=1)
    first, *tasks = await made.occupy_and_send(b"a", b"b")
    for task in tasks:
        task.cancel()
    made.workshop.door.set()
    await made.answers([first, *tasks])
    assert await made.answers(made.send(b"last")) == [b"LAST"]
    assert made.workshop.bodies == [[b"first"], [b"last"]]


async def test_a_call_that_is_given_up_while_it_runs_is_still_metered(bench):
    made = await bench()
    (task,) = await made.occupy()
    task.cancel()
    made.workshop.door.set()
    await until(lambda: len(made.ledger.rows) == 1)
    assert await made.answers(made.send(b"a")) == [b"A"]


@pytest.mark.parametrize("turns", range(8))
async def test_a_client_that_leaves_as_a_worker_becomes_free_keeps_it_from_nothing(bench, turns):
    made = await bench()
    first, gone = await made.occupy_and_send(b"gone")
    made.workers[0].finish()
    for _ in range(turns):  # in one of them the worker looks before the pool was told
        await asyncio.sleep(0)
    gone.cancel()
    made.workshop.door.set()
    await settle()
    assert await made.answers([first]) == [b"FIRST"]
    assert await made.ask(b"next") == [b"NEXT"]
    assert made.pool.queue_length == 0


async def test_a_lone_run_is_killed_when_it_is_dearer_than_a_start(bench):
    made = await with_known_times(bench, batch_us=S, start_us=100_000)
    (task,) = await made.occupy()
    made.clock.us += 899_999
    task.cancel()
    await until(lambda: len(made.ledger.rows) == 1)
    assert not made.workers[0].is_alive
    assert made.ends == {"cancelled": 1}
    assert [(row.id, row.status, row.code, row.billed_us) for row in made.ledger.rows] == [("first", 499, "cancelled", 899_999)]
    assert made.pool.statistics.calls == {"ok": 1, "cancelled": 1}
    assert await made.open_door_for(made.send(b"next")) == [b"NEXT"]


@pytest.mark.parametrize("ran_us", [900_000, 950_000], ids=["as dear as a start", "nearly done"])
async def test_a_lone_run_that_is_not_dearer_than_a_start_runs_on(bench, ran_us):
    made = await with_known_times(bench, batch_us=S, start_us=100_000)
    (task,) = await made.occupy()
    made.clock.us += ran_us
    task.cancel()
    await settle()
    await made.look(after_us=S - ran_us)
    made.workshop.door.set()
    await until(lambda: len(made.ledger.rows) == 1)
    assert [row.code for row in made.ledger.rows] == ["ok"]
    next_ = await made.occupy(b"next")
    await made.look(after_us=2 * S)
    assert await made.open_door_for(next_) == [b"NEXT"]
    assert len(made.workers) == 1


async def test_a_run_that_nobody_waits_for_is_killed_after_the_time_of_a_start(bench):
    made = await with_known_times(bench, batch_us=1000, start_us=100_000)
    (task,) = await made.occupy()
    task.cancel()
    await settle()
    await made.look(after_us=100_000)
    assert made.ledger.rows == []
    await made.look(after_us=1)
    await made.look()
    assert [(row.code, row.billed_us) for row in made.ledger.rows] == [("cancelled", 100_001)]


async def test_a_run_is_killed_only_when_the_last_of_its_batch_has_left(bench):
    made = await with_known_times(bench, batch_us=S, start_us=100_000)
    first, one, other = await made.occupy_and_send(b"a", b"b")
    made.workers[0].finish()
    await until(lambda: len(made.workshop.batches) == 2)
    one.cancel()
    await made.look(after_us=S // 2)
    assert made.workers[0].is_alive
    other.cancel()
    await until(lambda: len(made.ledger.rows) == 3)
    assert [(row.id, row.code, row.billed_us) for row in made.ledger.rows[1:]] == [("a", "cancelled", S // 4), ("b", "cancelled", S // 4)]
    assert await made.answers([first]) == [b"FIRST"]


async def test_batch_mates_of_a_client_that_left_are_answered(bench):
    made = await with_known_times(bench, batch_us=S, start_us=100_000)
    first, gone, stays = await made.occupy_and_send(b"gone", b"stays")
    made.workers[0].finish()
    await until(lambda: len(made.workshop.batches) == 2)
    gone.cancel()
    await made.look(after_us=S)
    assert await made.open_door_for([first, stays]) == [b"FIRST", b"STAYS"]
    assert [row.code for row in made.ledger.rows] == ["ok"] * 3


async def test_only_the_worker_whose_client_left_is_killed(bench):
    made = await with_known_times(bench, batch_us=S, start_us=100_000, cores=2)
    await made.grow(2)
    stays, gone = await made.occupy(b"stays", b"gone")
    gone.cancel()
    await until(lambda: len(made.ledger.rows) == 1)
    assert [worker.is_alive for worker in made.workers[:2]] == [worker.bodies[-1] == [b"stays"] for worker in made.workers[:2]]
    assert await made.open_door_for([stays]) == [b"STAYS"]


async def test_a_call_that_nobody_waits_for_is_not_run_again_when_its_worker_is_killed_from_outside(bench):
    made = await with_known_times(bench, batch_us=1000, start_us=100_000)
    (task,) = await made.occupy()
    task.cancel()
    await settle()
    made.workers[0].kill(WorkerKilled("The worker of f was ended by SIGKILL."))
    assert await made.open_door_for(made.send(b"next")) == [b"NEXT"]
    assert made.workshop.bodies == [[b"first"], [b"next"]]
