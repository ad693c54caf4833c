import asyncio
import logging

import pytest

from servelite.core.errors import DefinitionError, NoWorker, ShuttingDown, WorkerDied
from servelite.runtime.restarts import PAUSES_S
from tests.runtime.bench import DIED, Bench, S
from tests.runtime.fakes import a_machine, advance_timers, described, settle, until

pytestmark = pytest.mark.anyio

BROKEN = DefinitionError("handler.py:3: no.")


@pytest.fixture(autouse=True)
def quiet(caplog):
    caplog.set_level(logging.CRITICAL)


# idle workers


@pytest.mark.parametrize(("idle_us", "stay"), [(60 * S - 1, 2), (60 * S, 0)])
async def test_workers_without_a_call_for_idle_s_end_the_last_one_too(bench, idle_us, stay):
    made = await bench(cores=2, idle_s=60)
    await made.grow(2)
    await made.look(after_us=idle_us)
    assert len(made.states) == stay
    assert [worker.is_stopped for worker in made.workers] == [not stay] * 2
    assert made.ends == ({} if stay else {"idle": 2})
    assert made.pool.is_ready


async def test_a_worker_that_has_calls_stays_while_another_ends(bench):
    made = await bench(cores=2, idle_s=60)
    await made.grow(2)
    for _ in range(3):
        await made.ask(b"a", b"b", b"c")
        await made.look(after_us=40 * S)
    assert made.states == ["idle"]
    assert made.ends == {"idle": 1}


async def test_a_worker_that_is_busy_for_longer_than_idle_s_is_not_idle(bench):
    made = await bench(idle_s=60, timeout_s=600)
    tasks = await made.occupy()
    await made.look(after_us=100 * S)
    assert await made.open_door_for(tasks) == [b"FIRST"]
    await made.look(after_us=59 * S)
    assert made.states == ["idle"]


async def test_the_call_after_the_last_worker_ended_is_a_cold_start_with_init_on_its_receipt(bench):
    made = await bench(start_us=90_000, idle_s=60)
    await made.look(after_us=60 * S)
    (task,) = made.send(b"a")
    assert await made.answers([task]) == [b"A"]
    receipt = task.result().receipt
    assert (receipt.init_us, receipt.queue_us, receipt.cold) == (90_000, 0, True)
    assert [(row.init_us, row.cold) for row in made.ledger.rows] == [(90_000, 1)]
    (task,) = made.send(b"b")
    await made.answers([task])
    assert not task.result().receipt.cold


async def test_calls_that_come_while_the_first_worker_starts_share_its_start(bench):
    made = await bench(idle_s=60)
    await made.look(after_us=60 * S)
    made.workshop.start_door.clear()
    tasks = made.send(b"a", b"b", b"c")
    await until(lambda: made.states == ["starting"])
    made.workshop.start_door.set()
    assert await made.answers(tasks) == [b"A", b"B", b"C"]
    assert len(made.workers) == 2


# starts that fail


async def test_a_start_that_fails_is_tried_again_at_growing_intervals(bench):
    made = await bench()
    made.workshop.start_fails = [BROKEN] * (len(PAUSES_S) + 2)
    made.workers[0].crash()
    await until(lambda: made.pool.workers.is_hopeless)
    for tried, pause_s in enumerate([*PAUSES_S, PAUSES_S[-1]], 2):
        assert len(made.workers) == tried
        advance_timers(pause_s * 0.8)
        await settle()
        assert len(made.workers) == tried
        advance_timers(pause_s * 0.2)
        await settle()
    assert len(made.workers) == tried + 1
    assert all(worker.is_stopped for worker in made.workers[:-1])


async def test_a_failure_that_repeats_is_told_once(bench, caplog):
    made = await bench()
    caplog.set_level(logging.ERROR)
    made.workshop.start_fails = [BROKEN, BROKEN, DefinitionError("handler.py:9: no.")]
    made.workers[0].crash()
    for _ in range(3):
        await settle()
        advance_timers(PAUSES_S[-1])
    await until(lambda: made.states == ["idle"])
    assert [record.getMessage() for record in caplog.records] == [f"f can't be started: handler.py:{line}: no." for line in (3, 9)]


async def test_while_no_worker_can_be_started_calls_are_refused_at_once(bench):
    made = await bench(idle_s=60)
    await made.look(after_us=60 * S)
    made.workshop.start_fails = [BROKEN]
    assert await made.ask(b"waited for it") == [NoWorker]
    with pytest.raises(NoWorker, match="f has no worker: it could not be started"):
        made.admit()
    assert made.pool.statistics.calls == {"no_worker": 2}
    assert (made.pool.is_ready, made.pool.workers.error) == (False, BROKEN)


async def test_a_start_that_succeeds_again_forgets_the_failures(bench):
    made = await bench()
    for _ in range(2):
        made.workshop.start_fails = [BROKEN]
        made.workers[-1].crash()
        await until(lambda: made.pool.workers.is_hopeless)
        advance_timers(PAUSES_S[0])
        await settle()
        made.admit()
        assert await made.ask(b"a") == [b"A"]
        assert (made.pool.is_ready, made.pool.workers.error) == (True, None)


async def test_a_second_worker_that_can_not_be_started_is_nobodys_loss(bench):
    made = await bench(cores=2)
    tasks = await made.occupy_and_send(b"a")
    made.workshop.start_fails = [BROKEN]
    made.pool.workers.grow()
    await until(lambda: made.pool.workers.error is BROKEN)
    made.pool.workers.grow()  # not while the last failure is fresh
    assert len(made.workers) == 2
    assert made.pool.is_ready
    assert await made.open_door_for(tasks) == [b"FIRST", b"A"]


async def test_a_failure_beside_a_worker_that_served_on_does_not_make_a_sleeping_function_unready(bench):
    made = await bench(cores=2, idle_s=60)
    made.workshop.start_fails = [BROKEN]
    made.pool.workers.grow()
    await until(lambda: made.pool.workers.error is BROKEN)
    advance_timers(PAUSES_S[0])
    await settle()
    await made.look(after_us=60 * S)
    assert made.states == []
    assert made.pool.is_ready


# threads


@pytest.mark.parametrize(
    ("max_workers", "threads"),
    [pytest.param(None, [1], id="one each"), pytest.param(1, [1, 4], id="all of them"), pytest.param(2, [1, 2], id="half")],
)
async def test_a_worker_is_started_anew_where_max_workers_lets_it_have_more_threads(bench, max_workers, threads):
    made = await bench(cores=4, **({"max_workers": max_workers} if max_workers else {}))
    assert [worker.threads for worker in made.workers] == threads
    assert [worker.is_stopped for worker in made.workers] == [True] * (len(threads) - 1) + [False]
    assert made.states == ["idle"]
    made.workers[-1].crash()
    await until(lambda: made.states == ["idle"])
    assert [worker.threads for worker in made.workers] == [*threads, threads[-1]]


# reload


async def test_after_a_reload_calls_go_to_the_new_worker_and_running_ones_end_on_the_old(bench):
    made = await bench(cores=2)
    tasks = await made.occupy(b"old")
    await made.pool.workers.reload()
    tasks += await made.occupy(b"new")
    assert await made.open_door_for(tasks) == [b"OLD", b"NEW"]
    await settle()
    assert [worker.bodies for worker in made.workers] == [[[b"old"]], [[b"new"]]]
    assert [worker.is_stopped for worker in made.workers] == [True, False]
    assert made.ends == {"reloaded": 1}


async def test_a_reload_has_no_moment_without_a_worker(bench):
    made = await bench()
    made.workshop.start_door.clear()
    reload = asyncio.create_task(made.pool.workers.reload())
    await until(lambda: made.states == ["idle", "starting"])
    assert await made.ask(b"meanwhile") == [b"MEANWHILE"]
    tasks = made.send(b"a")
    made.workshop.start_door.set()
    await reload
    tasks += made.send(b"b")
    assert await made.answers(tasks) == [b"A", b"B"]


async def test_a_reload_serves_what_the_folder_says_now(bench):
    made = await bench(max_batch=1)
    made.workshop.description = described(max_batch=4)
    await made.pool.workers.reload()
    assert made.pool.description.limits.max_batch == 4
    await until(lambda: len(made.states) == 1)
    await made.open_door_for(await made.occupy_and_send(b"a", b"b", b"c"))
    assert made.workshop.bodies == [[b"first"], [b"a", b"b", b"c"]]


async def test_a_reload_that_fails_keeps_the_old_workers_the_last_one_for_ever(bench):
    made = await bench(cores=2, idle_s=60)
    await made.grow(2)
    made.workshop.start_fails = [BROKEN]
    with pytest.raises(DefinitionError, match=r"handler\.py:3"):
        await made.pool.workers.reload()
    assert made.states == ["idle"] * 2
    for _ in range(2):
        await made.look(after_us=60 * S)
    assert made.states == ["idle"]
    assert made.pool.workers.idle_since_us is None  # it can't be evicted either
    assert await made.ask(b"a") == [b"A"]
    await made.pool.workers.reload()
    await settle()
    await made.look(after_us=60 * S)
    assert (made.states, made.ends) == ([], {"idle": 2, "reloaded": 1})


async def test_a_reload_wakes_a_function_that_could_not_be_started():
    made = Bench()
    made.workshop.start_fails = [BROKEN]
    with pytest.raises(DefinitionError):
        await made.pool.start()
    await made.pool.workers.reload()
    assert await made.ask(b"a") == [b"A"]
    made.workers[-1].crash()
    await settle()
    assert (made.states, len(made.workers)) == (["idle"], 3)  # without the pause that was due after the failure
    await made.stop()


# the end


async def test_a_stop_ends_workers_in_whatever_state_they_are(bench):
    made = await bench(cores=3)
    await made.grow(2)
    (task,) = await made.occupy()
    made.workshop.start_door.clear()
    made.pool.workers.grow()
    await until(lambda: made.workers[-1].is_started)
    assert sorted(made.states) == ["busy", "idle", "starting"]
    await made.pool.stop()
    assert [worker.is_stopped for worker in made.workers] == [True] * 3
    assert await made.answers([task]) == [ShuttingDown]


@pytest.mark.parametrize("begin", ["start", "reload"])
async def test_a_stop_ends_a_worker_that_somebody_waits_for(begin):
    made = Bench(machine=a_machine())
    made.workshop.start_door.clear()
    starting = asyncio.create_task(getattr(made.pool.workers, begin)())
    await until(lambda: made.states == ["starting"])
    await made.pool.stop()
    await settle()
    assert starting.done()
    with pytest.raises(ShuttingDown):
        await starting
    assert (made.states, made.workers[0].is_stopped) == ([], True)


@pytest.mark.parametrize("ends", ["crash", "kill", "leave"])
async def test_a_stop_waits_for_workers_that_are_ending_already(bench, ends):
    made = await bench()
    made.workshop.stop_door.clear()
    match ends:
        case "crash":
            made.workers[0].crash()
        case "kill":
            made.workers[0].kill(DIED)
        case "leave":
            made.pool.workers.sleep("idle")
    await until(lambda: not any(worker.is_alive for worker in made.workers[:1]))
    await settle()  # its end is under way, and its successor's start, where it has one
    stopping = asyncio.create_task(made.pool.stop())
    await settle()
    assert not stopping.done()
    made.workshop.stop_door.set()
    await stopping
    assert all(worker.is_stopped for worker in made.workers)


@pytest.mark.parametrize("turns", range(12))
async def test_a_stop_at_any_moment_of_a_start_ends_what_was_begun(bench, turns):
    made = await bench(cores=2)
    made.pool.workers.grow()
    for _ in range(turns):
        await asyncio.sleep(0)
    await made.pool.stop()
    assert all(worker.is_stopped for worker in made.workers)
    assert made.states == []


@pytest.mark.parametrize("begin", ["start", "reload"])
@pytest.mark.parametrize("turns", range(12))
async def test_a_start_whose_caller_leaves_at_any_moment_is_ended_and_its_end_waited_for(begin, turns):
    made = Bench()
    made.workshop.stop_door.clear()
    starting = asyncio.create_task(getattr(made.pool.workers, begin)())
    for _ in range(turns):
        await asyncio.sleep(0)
    starting.cancel()
    await settle()
    assert starting.done()
    starting.cancel()  # as the end of an event loop does it with what is left
    stopping = asyncio.create_task(made.pool.stop())
    await settle()
    assert stopping.done() == (not made.workers)
    made.workshop.stop_door.set()
    await stopping
    assert (made.states, [worker.is_stopped for worker in made.workers]) == ([], [True] * len(made.workers))


async def test_a_trial_whose_caller_leaves_while_it_has_to_start_anew_is_given_up(bench):
    made = await bench(cores=4)
    made.workshop.description = described(max_workers=1)
    made.workshop.stop_door.clear()
    reload = asyncio.create_task(made.pool.workers.reload())
    await until(lambda: len(made.workers) == 2 and not made.workers[1].is_alive)  # has more threads now, so another one is to follow
    reload.cancel()
    await settle()
    made.workshop.stop_door.set()
    await settle()
    assert ([worker.is_stopped for worker in made.workers], made.states) == ([False, True], ["idle"])


async def test_after_a_stop_nothing_is_started_again(bench):
    made = await bench()
    made.workshop.start_fails = [WorkerDied("The worker of f exited with code 1.")]
    made.workshop.kills = {b"bad": DIED}
    await made.ask(b"bad")
    await until(lambda: made.pool.workers.is_hopeless)
    await made.pool.stop()
    made.pool.workers.grow()
    advance_timers(PAUSES_S[-1])
    await settle()
    assert len(made.workers) == 2


async def test_workers_that_end_before_their_first_call_are_started_at_ever_longer_intervals(bench):
    made = await bench()
    for started in range(1, 5):
        await until(lambda started=started: len(made.workers) == started)
        await settle()
        made.workers[-1].crash()
        await settle()
    assert len(made.workers) == 4  # the next is not due yet
    assert isinstance(made.pool.workers.error, WorkerDied)
    advance_timers(1)
    await until(lambda: len(made.workers) == 5)
    assert await made.ask(b"a") == [b"A"]
