"""Workers that die with calls in hand."""

import asyncio

import pytest

from servelite.core.errors import OutOfMemory, TimedOut, WorkerDied, WorkerKilled
from tests.runtime.bench import DIED, MIB, S
from tests.runtime.fakes import settle, until

pytestmark = pytest.mark.anyio

KILLED = WorkerKilled("The worker of f was ended by SIGKILL.")


async def test_a_died_batch_is_run_again_call_by_call(bench):
    made = await bench()
    made.workshop.kills = {b"bad": DIED}
    tasks = await made.occupy_and_send(b"a", b"bad", b"c")
    assert await made.open_door_for(tasks) == [b"FIRST", b"A", WorkerDied, b"C"]
    assert made.workshop.bodies == [[b"first"], [b"a", b"bad", b"c"], [b"a"], [b"bad"], [b"c"]]
    assert len(made.workshop.workers) == 3


async def test_calls_that_came_later_wait_behind_a_died_batch(bench):
    made = await bench(max_batch=2)
    made.workshop.kills = {b"bad": DIED}
    tasks = await made.occupy_and_send(b"a", b"bad", b"c", b"d")
    assert await made.open_door_for(tasks) == [b"FIRST", b"A", WorkerDied, b"C", b"D"]
    assert made.workshop.bodies == [[b"first"], [b"a", b"bad"], [b"a"], [b"bad"], [b"c", b"d"]]


@pytest.mark.parametrize("error", [DIED, TimedOut("f ran past its limit of 2 s and was stopped.")], ids=["died", "timed out"])
async def test_a_lone_call_gets_its_workers_error_and_is_billed_for_the_time(bench, error):
    made = await bench()
    made.workshop.kills = {b"bad": error}
    made.workshop.run_us = 2_000_000
    (task,) = made.send(b"bad")
    assert await made.answers([task]) == [type(error)]
    assert task.result().receipt.billed_us == 2_000_000
    assert [(row.code, row.billed_us) for row in made.ledger.rows] == [(error.code, 2_000_000)]


async def test_every_call_of_a_died_batch_has_one_row(bench):
    made = await bench()
    made.workshop.kills = {b"bad": DIED}
    tasks = await made.occupy_and_send(b"a", b"bad", b"c")
    await made.open_door_for(tasks)
    assert sorted(row.id for row in made.ledger.rows) == ["a", "bad", "c", "first"]


async def test_a_call_whose_worker_was_killed_from_outside_is_run_once_more(bench):
    made = await bench()
    made.workshop.kills = {b"unlucky": WorkerKilled("The worker of f was ended by SIGKILL.")}
    (task,) = made.send(b"unlucky")
    await until(lambda: len(made.workshop.batches) == 2)
    assert await made.answers([task]) == [WorkerKilled]
    assert made.workshop.bodies == [[b"unlucky"], [b"unlucky"]]


async def test_a_call_that_waited_for_a_restart_has_it_in_its_receipt(bench):
    made = await bench()
    made.workshop.kills = {b"bad": DIED}
    made.workshop.start_door.clear()
    await made.answers(made.send(b"bad"))
    (task,) = made.send(b"a")
    await until(lambda: made.pool.queue_length == 1 and len(made.workshop.workers) == 2)
    made.clock.us += 5_000
    made.workshop.start_door.set()
    assert await made.answers([task]) == [b"A"]
    receipt = task.result().receipt
    assert (receipt.init_us, receipt.queue_us, receipt.cold) == (5_000, 0, True)


async def test_a_call_whose_worker_is_killed_from_outside_once_is_answered(bench):
    made = await bench()
    (task,) = await made.occupy(b"unlucky")
    made.workers[0].kill(KILLED)
    assert await made.open_door_for([task]) == [b"UNLUCKY"]
    assert made.workshop.bodies == [[b"unlucky"], [b"unlucky"]]
    assert [(row.id, row.code) for row in made.ledger.rows] == [("unlucky", "ok")]


@pytest.mark.parametrize("error", [DIED, KILLED], ids=["died", "killed from outside"])
async def test_a_call_that_has_killed_two_workers_is_answered_with_its_error_and_not_tried_again(bench, error):
    made = await bench()
    made.workshop.kills = {b"bad": error}
    tasks = await made.occupy_and_send(b"a", b"bad")
    assert await made.open_door_for(tasks) == [b"FIRST", b"A", type(error)]
    assert made.workshop.bodies == [[b"first"], [b"a", b"bad"], [b"a"], [b"bad"]]
    assert made.ends == {"worker_died": 2}


async def test_calls_of_a_died_batch_are_not_dropped_by_their_deadline(bench):
    made = await bench(timeout_s=1)
    made.workshop.kills = {b"bad": DIED}
    made.workshop.run_us = 3 * S // 4
    tasks = await made.occupy_and_send(b"a", b"bad", b"c")
    assert await made.open_door_for(tasks) == [b"FIRST", b"A", WorkerDied, b"C"]
    assert made.clock.us >= 4 * S


async def test_a_call_of_a_died_batch_whose_caller_left_while_it_ran_is_not_run_again(bench):
    made = await bench()
    made.workshop.kills = {b"bad": DIED}
    first = await made.occupy()
    gone, bad = await made.queue(b"gone", b"bad")
    made.workers[0].finish()
    await until(lambda: len(made.workshop.batches) == 2)
    gone.cancel()
    assert await made.open_door_for([*first, gone, bad]) == [b"FIRST", asyncio.CancelledError, WorkerDied]
    assert made.workshop.bodies == [[b"first"], [b"gone", b"bad"], [b"bad"]]
    assert made.pool.queue_length == 0
    assert await made.ask(b"next") == [b"NEXT"]


async def test_a_lone_call_beyond_memory_mib_is_answered_with_out_of_memory_and_billed(bench):
    made = await bench(memory_mib=100)
    (task,) = await made.occupy()
    made.workers[0].own_kib = 100 * MIB
    await made.look(after_us=S)
    assert not task.done()
    made.workers[0].own_kib += 1024
    await made.look(after_us=S)
    assert await made.answers([task]) == [OutOfMemory]
    assert (
        task.result().error.detail == "A worker of f was stopped: it used 101 MiB, more than the 100 MiB of memory_mib. "
        "Raise it, or send less at a time."
    )
    assert [(row.code, row.status, row.billed_us) for row in made.ledger.rows] == [("out_of_memory", 507, 2 * S)]
    assert made.ends == {"out_of_memory": 1}


async def test_batch_mates_of_a_call_beyond_memory_mib_are_run_again(bench):
    made = await bench(memory_mib=100)
    tasks = await made.occupy_and_send(b"a", b"b")
    made.workers[0].finish()
    await until(lambda: len(made.workshop.batches) == 2)
    made.workers[0].own_kib = 200 * MIB
    await made.look()
    assert await made.open_door_for(tasks) == [b"FIRST", b"A", b"B"]
    assert made.workshop.bodies == [[b"first"], [b"a", b"b"], [b"a"], [b"b"]]


async def test_the_successor_of_a_died_worker_is_started_before_anybody_asks(bench):
    made = await bench()
    made.workers[0].crash()
    await until(lambda: made.states == ["idle"] and len(made.workers) == 2)
    assert made.ends == {"worker_died": 1}


async def test_every_call_that_ends_its_worker_gets_its_own_error_however_many_there_are(bench):
    made = await bench()
    made.workshop.kills = {b"bad": DIED}
    for _ in range(12):
        made.admit()
        assert await made.ask(b"bad") == [WorkerDied]
    made.admit()
    assert await made.ask(b"good") == [b"GOOD"]


async def test_workers_that_were_told_to_go_are_no_sign_of_a_function_that_can_not_live(bench):
    made = await bench()
    for _ in range(12):
        await made.pool.workers.reload()
        await settle()
    made.workers[-1].crash()
    await settle()
    made.admit()
    assert await made.ask(b"a") == [b"A"]
