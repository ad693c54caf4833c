import pytest

from servelite.core.errors import FrameError, LedgerUnavailable
from servelite.runtime.waiting import BATCH_BYTES
from tests.runtime.bench import DIED, S
from tests.runtime.fakes import settle, until

pytestmark = pytest.mark.anyio


async def test_a_lone_call_never_waits_for_company(bench):
    made = await bench()
    assert await made.answers(made.send(b"a")) == [b"A"]
    assert made.workshop.bodies == [[b"a"]]


async def test_a_batch_forms_while_the_worker_is_busy(bench):
    made = await bench()
    tasks = await made.occupy_and_send(b"a", b"b", b"c")
    assert await made.open_door_for(tasks) == [b"FIRST", b"A", b"B", b"C"]
    assert made.workshop.bodies == [[b"first"], [b"a", b"b", b"c"]]


@pytest.mark.parametrize(("most", "sizes"), [(1, [1, 1, 1, 1, 1]), (2, [1, 2, 2]), (3, [1, 3, 1]), (4, [1, 4])])
async def test_a_batch_has_at_most_max_batch_calls_in_the_order_they_came(bench, most, sizes):
    made = await bench(max_batch=most)
    tasks = await made.occupy_and_send(b"a", b"b", b"c", b"d")
    assert await made.open_door_for(tasks) == [b"FIRST", b"A", b"B", b"C", b"D"]
    assert list(map(len, made.workshop.batches)) == sizes
    assert sum(made.workshop.bodies, []) == [b"first", b"a", b"b", b"c", b"d"]  # noqa: RUF017  five calls


async def test_a_batch_holds_no_more_bytes_than_fit_into_a_frame(bench):
    made = await bench()
    part, huge = bytes(BATCH_BYTES // 2), bytes(BATCH_BYTES + 1)
    tasks = await made.occupy_and_send(part, part, b"x", huge, b"y")
    await made.open_door_for(tasks)
    assert list(map(len, made.workshop.batches)) == [1, 2, 1, 1, 1]


async def test_receipts_and_rows_of_a_batch_add_up_to_its_time(bench):
    made = await bench()
    tasks = await made.occupy_and_send(b"a", b"b", b"c")
    await made.open_door_for(tasks)
    assert [row.compute_us for row in made.ledger.rows] == [1001, 335, 334, 334]
    assert [task.result().receipt.batch for task in tasks] == [1, 3, 3, 3]


async def test_a_call_is_recorded_before_it_is_answered(bench):
    made = await bench()
    (task,) = made.send(b"a")
    task.add_done_callback(lambda _: seen.append(len(made.ledger.rows)))
    seen: list[int] = []
    await made.answers([task])
    await until(lambda: seen == [1])


async def test_a_call_that_waited_for_the_worker_has_its_wait_in_the_receipt(bench):
    made = await bench()
    first, second = await made.occupy_and_send(b"a")
    made.clock.us += 700
    made.workshop.door.set()
    await made.answers([first, second])
    assert [task.result().receipt.queue_us for task in (first, second)] == [0, 700]
    assert [task.result().receipt.cold for task in (first, second)] == [False, False]


async def test_a_ledger_that_refuses_refuses_the_call_and_the_pool_goes_on(bench):
    made = await bench()
    made.ledger.is_full = True
    assert await made.answers(made.send(b"a")) == [LedgerUnavailable]
    made.ledger.is_full = False
    assert await made.answers(made.send(b"a")) == [b"A"]


async def test_a_batch_that_makes_no_frame_is_refused_and_the_pool_goes_on(bench):
    made = await bench()
    made.workshop.kills = {b"huge": FrameError("A frame of 300000000 bytes is over the limit.")}
    (task,) = made.send(b"huge")
    await settle()
    assert task.done()
    assert await made.answers([task, *made.send(b"a")]) == [FrameError, b"A"]


async def test_statistics_count_calls_by_code_and_the_ends_of_workers(bench):
    made = await bench()
    made.workshop.kills = {b"bad": DIED}
    await made.answers(made.send(b"a"))
    await made.answers(made.send(b"bad"))
    assert made.pool.statistics.calls == {"ok": 1, "worker_died": 1}
    assert made.pool.statistics.worker_ends == {"worker_died": 1}
    await until(lambda: sum(made.pool.statistics.start_s.counts) == 2)


async def test_a_call_has_its_time_limit_from_when_a_worker_took_it(bench):
    made = await bench(timeout_s=2)
    tasks = await made.occupy_and_send(b"a")
    made.clock.us += 3 * S // 2
    await made.open_door_for(tasks)
    assert [call.deadline_s for batch in made.workshop.batches for call in batch] == [3.0, 4.5]


# several workers


async def test_several_workers_share_one_queue(bench):
    made = await bench(cores=2, max_batch=2)
    await made.grow(2)
    tasks = await made.occupy(b"a", b"b")
    tasks += await made.queue(b"c", b"d", b"e")
    one, other = made.workers
    other.finish()
    await until(lambda: len(other.bodies) == 2)
    one.finish()
    await until(lambda: len(one.bodies) == 2)
    assert await made.open_door_for(tasks) == [b"A", b"B", b"C", b"D", b"E"]
    assert sorted([one.bodies, other.bodies]) == sorted([one.bodies, [other.bodies[0], [b"c", b"d"]]])
    assert one.bodies[1] == [b"e"]


async def test_as_many_workers_are_roused_as_there_are_batches(bench):
    made = await bench(cores=3, max_batch=2)
    await made.grow(3)
    made.workshop.door.clear()
    tasks = made.send(b"a", b"b", b"c")
    await settle()
    assert sorted(made.states) == ["busy", "busy", "idle"]
    assert await made.open_door_for(tasks) == [b"A", b"B", b"C"]
    assert sorted(made.workshop.bodies) == [[b"a", b"b"], [b"c"]]


async def test_a_worker_that_died_while_it_rested_takes_no_call(bench):
    made = await bench(cores=2)
    await made.grow(2)
    for worker in made.workers[:2]:
        worker.crash()
        assert await made.ask(b"a") == [b"A"]
        await settle()
    assert made.ends == {"worker_died": 2}


async def test_a_worker_that_dies_before_it_took_what_it_was_roused_for_leaves_it_to_one_that_rests(bench):
    made = await bench(cores=2)
    await made.grow(2)
    tasks = made.send(b"a")
    await until(lambda: "busy" in made.states)
    made.workers[made.states.index("busy")].crash()
    assert made.workshop.batches == []
    assert await made.answers(tasks) == [b"A"]
    assert len(made.workers) == 2


async def test_what_a_worker_leaves_undone_another_does(bench):
    made = await bench(cores=2, max_batch=1)
    await made.grow(2)
    tasks = await made.occupy(b"a", b"b")
    tasks += await made.queue(b"c")
    made.pool.workers.lanes[0].leave("recycled")
    assert await made.open_door_for(tasks) == [b"A", b"B", b"C"]
    assert made.ends == {"recycled": 1}


# cores that several functions share


async def two_functions(bench, cores=2, **limits):
    """Return two benches on one machine with as many workers each as there are cores, or as the limits say."""
    one = await bench("one", cores=cores, max_batch=1, **limits)
    two = await bench("two", beside=one, max_batch=1)
    await one.grow(limits.get("max_workers", cores))
    await two.grow(cores)
    return one, two


async def test_each_function_has_one_busy_worker_however_busy_the_others_are(bench):
    one, two = await two_functions(bench)
    tasks = await one.occupy(b"a", b"b")
    assert await two.ask(b"c") == [b"C"]
    assert await one.open_door_for(tasks) == [b"A", b"B"]


async def test_a_function_that_wants_a_core_gets_it_before_anothers_second_worker_goes_on(bench):
    one, two = await two_functions(bench, cores=3, max_workers=2)
    tasks = await one.occupy(b"a", b"b")
    waits = await one.queue(b"c", b"d")
    other = await two.occupy(b"x")
    more = await two.queue(b"y")
    one.workers[-1].finish()
    await until(lambda: two.workshop.bodies == [[b"x"], [b"y"]])
    assert one.workshop.bodies == [[b"a"], [b"b"]]
    assert sorted(one.states) == ["busy", "idle"]
    assert await two.open_door_for(other + more) == [b"X", b"Y"]
    assert await one.open_door_for(tasks + waits) == [b"A", b"B", b"C", b"D"]


async def test_a_worker_that_let_another_go_first_goes_on_when_that_one_is_done(bench):
    one, two = await two_functions(bench)
    tasks = await one.occupy(b"a", b"b")
    tasks += await one.queue(b"c", b"d", b"e")
    other = await two.occupy(b"x")
    other += await two.queue(b"y")
    for worker in one.workers:
        worker.finish()
    await settle()
    assert sorted(one.states) == ["busy", "idle"]
    assert await two.open_door_for(other) == [b"X", b"Y"]
    await until(lambda: one.states == ["busy", "busy"])
    assert await one.open_door_for(tasks) == [b"A", b"B", b"C", b"D", b"E"]


async def test_a_core_that_was_wanted_and_is_not_any_more_is_nobodys_loss(bench):
    one, two = await two_functions(bench)
    tasks = await one.occupy(b"a", b"b")
    tasks += await one.queue(b"c", b"d")
    gone = await two.occupy(b"x")
    more = await two.queue(b"y")
    more[0].cancel()
    await two.open_door_for(gone + more)
    for worker in one.workers:
        worker.finish()
    await until(lambda: len(one.workshop.batches) == 4)
    assert one.states == ["busy", "busy"]
    assert await one.open_door_for(tasks) == [b"A", b"B", b"C", b"D"]


async def test_a_function_that_may_have_more_workers_than_cores_uses_them_all_once_the_others_rest(bench):
    one, two = await two_functions(bench, cores=1, max_workers=3)
    other = await two.occupy(b"x")
    tasks = await one.occupy(b"a", b"b")
    tasks += await one.queue(b"c", b"d", b"e", b"f")
    assert sorted(one.states) == ["busy", "busy", "idle"]
    await two.open_door_for(other)
    await until(lambda: one.states == ["busy"] * 3)
    for worker in one.workers:
        worker.finish()
    await until(lambda: len(one.workshop.batches) == 6)
    assert one.states == ["busy"] * 3
    await one.open_door_for(tasks)


async def test_a_worker_that_died_gives_its_core_back(bench):
    one, two = await two_functions(bench, cores=1)
    one.workshop.kills = {b"bad": DIED}
    await one.ask(b"bad")
    assert await two.ask(b"a") == [b"A"]
    await until(lambda: one.machine.cores.busy == 0)


async def test_a_worker_that_was_given_a_core_runs_a_batch_before_it_lets_another_go_first(bench):
    first = await bench("first", cores=4, max_batch=1)
    benches = [first, *[await bench(name, beside=first, max_batch=1) for name in ("second", "third")]]
    for made in benches:
        await made.grow(2)
    tasks = await first.occupy(b"a", b"b")
    for made in benches[1:]:
        tasks += await made.occupy(b"x")
    for made in benches[1:]:
        tasks += await made.queue(b"y")
    first.workers[0].finish()
    await settle()
    assert [len(made.workshop.batches) for made in benches] == [2, 2, 1]
    first.workers[1].finish()
    await settle()
    assert [len(made.workshop.batches) for made in benches] == [2, 2, 2]
    for made in benches:
        made.workshop.door.set()
    await first.answers(tasks)
