import logging

import pytest

from servelite.core.errors import DefinitionError, NoWorker, Overloaded, ServeliteError, ShuttingDown, WorkerDied
from servelite.runtime.pool import GROW_WAIT_US, QUEUE_LIMIT
from tests.runtime.bench import DIED, Bench, S
from tests.runtime.fakes import settle, until

pytestmark = pytest.mark.anyio


async def with_known_batch(bench, batch_us, **limits):
    """Return a bench whose pool has seen how long a batch takes."""
    made = await bench(**limits)
    made.workshop.compute_us = batch_us - 1
    await made.ask(b"seen")
    made.workshop.batches.clear()
    return made


# admission, before a body is read


async def test_a_call_is_admitted_while_a_worker_rests_however_long_a_run_takes(bench):
    made = await with_known_batch(bench, batch_us=60 * S, timeout_s=1)
    made.admit()
    made.admit(patience_s=0.001)


@pytest.mark.parametrize(
    ("patience_s", "waiting", "is_refused"),
    [
        pytest.param(0.0, 2, False, id="within timeout_s"),
        pytest.param(0.0, 3, True, id="beyond timeout_s"),
        pytest.param(0.5, 1, False, id="within its own patience"),
        pytest.param(0.5, 2, True, id="beyond its own patience"),
        pytest.param(2.0, 7, False, id="more patient than timeout_s"),
        pytest.param(2.0, 8, True, id="beyond that too"),
    ],
)
async def test_a_call_that_would_wait_beyond_its_patience_is_refused(bench, patience_s, waiting, is_refused):
    made = await with_known_batch(bench, batch_us=S // 4, max_batch=1, timeout_s=0.75)
    tasks = await made.occupy_and_send(*[b"w"] * waiting)
    if is_refused:
        with pytest.raises(Overloaded, match=r"f would keep this call waiting for .* s, beyond its deadline of"):
            made.admit(patience_s)
    else:
        made.admit(patience_s)
    assert made.pool.statistics.calls["overloaded"] == is_refused
    await made.open_door_for(tasks)


async def test_a_call_is_refused_only_where_all_workers_together_are_too_slow(bench):
    made = await with_known_batch(bench, batch_us=S, cores=2, max_batch=1, timeout_s=3)
    await made.grow(2)
    tasks = await made.occupy(b"a", b"b")
    tasks += await made.queue(*[b"w"] * 5)
    made.admit()
    tasks += await made.queue(b"w")
    with pytest.raises(Overloaded) as caught:
        made.admit()
    assert "waiting for 3.5 s, beyond its deadline of 3 s" in caught.value.detail
    await made.open_door_for(tasks)


async def test_a_worker_that_is_still_started_shortens_no_wait(bench):
    made = await with_known_batch(bench, batch_us=S, cores=2, max_batch=1, timeout_s=3)
    made.workshop.start_door.clear()
    tasks = await made.occupy_and_send(*[b"w"] * 3)
    assert sorted(made.states) == ["busy", "starting"]
    with pytest.raises(Overloaded, match="waiting for 4 s"):
        made.admit()
    made.workshop.start_door.set()
    await settle()
    made.admit()
    await made.open_door_for(tasks)


async def test_a_full_queue_takes_no_call_whatever_is_expected(bench):
    made = await bench()
    tasks = await made.occupy_and_send(*[b"w"] * (QUEUE_LIMIT - 1))
    made.admit()
    tasks += await made.queue(b"last")
    with pytest.raises(Overloaded, match="f has 2,000 calls waiting"):
        made.admit()
    assert made.pool.statistics.calls["overloaded"] == 1
    assert Overloaded not in await made.open_door_for(tasks)


async def test_a_sleeping_function_takes_a_call_whose_caller_names_no_patience(bench):
    made = await bench(start_us=60 * S, timeout_s=1)
    made.pool.workers.sleep("evicted")
    await until(lambda: not made.states)
    made.admit()
    (task,) = made.send(b"a")
    assert await made.answers([task]) == [b"A"]
    assert (task.result().receipt.init_us, task.result().receipt.cold) == (60 * S, True)


async def test_a_sleeping_function_refuses_who_can_not_wait_for_it_and_wakes_for_the_next(bench):
    made = await bench(start_us=S)
    made.pool.workers.sleep("evicted")
    await until(lambda: not made.states)
    made.admit(patience_s=1)
    with pytest.raises(Overloaded, match=r"waiting for 1 s, beyond its deadline of 0\.5 s"):
        made.admit(patience_s=0.5)
    await settle()
    made.admit(patience_s=0.5)


# deadlines of calls that wait


@pytest.mark.parametrize(
    ("patience_s", "waited_us", "is_late"),
    [
        pytest.param(0.0, 2 * S, False, id="as long as timeout_s"),
        pytest.param(0.0, 2 * S + 1, True, id="longer than timeout_s"),
        pytest.param(0.1, 100_000, False, id="as long as its patience"),
        pytest.param(0.1, 100_001, True, id="longer than its patience"),
        pytest.param(9.0, 8 * S, False, id="patient"),
    ],
)
@pytest.mark.parametrize("is_seen", [True, False], ids=["seen while it waits", "found when its turn comes"])
async def test_a_call_that_waited_beyond_its_deadline_is_told_and_not_run(bench, patience_s, waited_us, is_late, is_seen):
    made = await bench(timeout_s=2)
    first = await made.occupy()
    (task,) = await made.queue(b"a", patience_s=patience_s)
    made.clock.us += waited_us
    if is_seen:
        made.pool.look()
        await settle()
        assert task.done() is is_late
    assert await made.open_door_for([*first, task]) == [b"FIRST", Overloaded if is_late else b"A"]
    assert made.workshop.bodies == [[b"first"]] + [[b"a"]] * (not is_late)
    assert made.pool.statistics.calls["overloaded"] == is_late
    assert [row.id for row in made.ledger.rows] == ["first"] + ["a"] * (not is_late)


# more workers


@pytest.mark.parametrize(
    ("batch_us", "max_batch", "waiting", "workers"),
    [
        pytest.param(GROW_WAIT_US // 3, 1, 2, 1, id="not worth a start"),
        pytest.param(GROW_WAIT_US // 3 + 1, 1, 2, 2, id="just worth a start"),
        pytest.param(GROW_WAIT_US // 3 + 1, 8, 7, 1, id="all in one batch"),
        pytest.param(GROW_WAIT_US, 1, 1, 2, id="long runs"),
        pytest.param(GROW_WAIT_US, 1, 2, 3, id="two are not enough"),
        pytest.param(GROW_WAIT_US, 1, 40, 4, id="as many as there are cores"),
    ],
)
async def test_workers_are_started_while_the_wait_is_worth_it(bench, batch_us, max_batch, waiting, workers):
    made = await with_known_batch(bench, batch_us, cores=4, max_batch=max_batch)
    made.workshop.start_door.clear()
    tasks = await made.occupy_and_send(*[b"w"] * waiting)
    assert len(made.workers) == workers
    made.workshop.start_door.set()
    assert len(await made.open_door_for(tasks)) == 1 + waiting


@pytest.mark.parametrize(("max_workers", "workers"), [(1, 1), (2, 2), (3, 3)])
async def test_there_are_never_more_workers_than_max_workers(bench, max_workers, workers):
    made = await with_known_batch(bench, batch_us=S, cores=2, max_batch=1, max_workers=max_workers)
    tasks = await made.occupy_and_send(*[b"w"] * 20)
    for _ in range(5):
        await made.look(after_us=S)
    assert len(made.states) == workers
    await made.open_door_for(tasks)


async def test_no_second_worker_is_started_while_other_functions_have_the_cores(bench):
    other = await bench("other", cores=2)
    made = await with_known_batch(bench, batch_us=S, beside=other, max_batch=1)
    others = await other.occupy()
    tasks = await made.occupy_and_send(b"a", b"b")
    await made.look(after_us=S)
    assert len(made.states) == 1
    await other.open_door_for(others)
    await made.look()
    assert len(made.states) == 2
    await made.open_door_for(tasks)


@pytest.mark.parametrize(("waited_us", "workers"), [(GROW_WAIT_US, 1), (GROW_WAIT_US + 1, 2)])
async def test_a_wait_that_nobody_expected_starts_a_worker_once_it_is_long(bench, waited_us, workers):
    made = await bench(cores=4)
    tasks = await made.occupy_and_send(b"a")
    made.workshop.start_door.clear()
    await made.look(after_us=waited_us)
    await made.look()  # while that one is started there is no other
    assert len(made.workers) == workers
    made.workshop.start_door.set()
    await made.open_door_for(tasks)


# no worker


async def test_a_function_that_can_not_be_loaded_is_told_by_start():
    made = Bench()
    made.workshop.start_fails = [DefinitionError("handler.py:3: no.")]
    with pytest.raises(DefinitionError, match=r"handler\.py:3"):
        await made.pool.start()
    assert not made.pool.is_ready
    await made.pool.stop()


async def test_a_pool_without_a_worker_says_so_and_finds_one_again(bench, caplog):
    caplog.set_level(logging.CRITICAL)
    made = await bench()
    made.workshop.kills = {b"bad": DIED}
    made.workshop.start_fails = [WorkerDied("The worker of f exited with code 1.")]
    tasks = await made.occupy_and_send(b"a")
    (bad,) = made.send(b"bad")
    await until(lambda: made.pool.queue_length == 2)
    made.workshop.door.set()
    assert await made.answers([*tasks, bad]) == [b"FIRST", NoWorker, NoWorker]
    assert not made.pool.is_ready
    assert await made.answers(made.send(b"again")) == [b"AGAIN"]
    assert made.pool.is_ready


# the end


async def test_stopping_refuses_what_waits(bench):
    made = await bench()
    tasks = await made.occupy_and_send(b"a", b"b")
    await made.pool.stop()
    assert await made.answers(tasks) == [ShuttingDown, ShuttingDown, ShuttingDown]
    assert made.workshop.bodies == [[b"first"]]
    assert [worker.is_stopped for worker in made.workshop.workers] == [True]


async def test_stopping_tells_a_call_that_still_runs(bench):
    made = await bench()
    (task,) = await made.occupy()
    await made.pool.stop()
    await settle()
    assert task.done()
    assert issubclass(*await made.answers([task]), ServeliteError)


async def test_a_call_after_the_stop_is_refused(bench):
    made = await bench()
    await made.pool.stop()
    (task,) = made.send(b"late")
    await settle()
    assert task.done()
    assert await made.answers([task]) == [ShuttingDown]


async def test_stopping_ends_a_worker_that_is_still_being_started(bench):
    made = await bench()
    made.workshop.kills = {b"bad": DIED}
    made.workshop.start_door.clear()
    await made.answers(made.send(b"bad"))
    await until(lambda: len(made.workshop.workers) == 2)
    await made.pool.stop()
    assert made.workshop.workers[1].is_stopped
