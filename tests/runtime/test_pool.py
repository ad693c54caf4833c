import asyncio
import logging

import pytest

from servelite.core.call import Answer, Call
from servelite.core.errors import (
    DefinitionError,
    FrameError,
    LedgerUnavailable,
    NoWorker,
    ServeliteError,
    ShuttingDown,
    TimedOut,
    WorkerDied,
    WorkerKilled,
)
from servelite.runtime.metering import Meter
from servelite.runtime.pool import Pool
from servelite.runtime.waiting import BATCH_BYTES
from tests.runtime.fakes import Clock, MemoryLedger, Workshop, a_machine, described, settle, until

pytestmark = pytest.mark.anyio

DIED = WorkerDied("The worker of f was ended by SIGSEGV.")


class Bench:
    """A pool on fake parts, and the calls that a test sends to it."""

    def __init__(self, **limits: int) -> None:
        self.clock = Clock()
        self.ledger = MemoryLedger()
        self.workshop = Workshop(described(**limits), self.clock)
        self.pool = Pool("f", self.workshop.new_worker, Meter(self.ledger, self.clock), self.clock, a_machine())

    def send(self, *bodies: bytes) -> list[asyncio.Task[Answer]]:
        return [asyncio.create_task(self.pool.answer(Call(body.decode()[:9], "f", body=body))) for body in bodies]

    async def occupy(self, body: bytes = b"first") -> asyncio.Task[Answer]:
        """Have the worker run a call that ends only when the door opens."""
        self.workshop.door.clear()
        (task,) = self.send(body)
        await until(lambda: len(self.workshop.batches) > 0)
        return task

    async def occupy_and_send(self, *bodies: bytes) -> list[asyncio.Task[Answer]]:
        """Have calls wait behind one that runs."""
        first = await self.occupy()
        tasks = self.send(*bodies)
        await until(lambda: self.pool.queue_length == len(bodies))
        return [first, *tasks]

    async def answers(self, tasks: list[asyncio.Task[Answer]]) -> list[object]:
        """Return bodies, and the classes of errors."""
        done = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 5)
        return [told(answer) for answer in done]


def told(answer: Answer | BaseException) -> object:
    if isinstance(answer, BaseException):
        return type(answer)
    return type(answer.error) if answer.error else answer.body


@pytest.fixture
async def bench():
    """Return a maker of benches with started pools; they are stopped with the test."""
    benches: list[Bench] = []

    async def make(**limits: int) -> Bench:
        benches.append(Bench(**{"max_batch": 8, **limits}))
        await benches[-1].pool.start()
        return benches[-1]

    yield make
    for made in benches:
        made.workshop.door.set()
        await made.pool.stop()


async def test_a_lone_call_never_waits_for_company(bench):
    made = await bench()
    assert await made.answers(made.send(b"a")) == [b"A"]
    assert made.workshop.bodies == [[b"a"]]


async def test_a_batch_forms_while_the_worker_is_busy(bench):
    made = await bench()
    tasks = await made.occupy_and_send(b"a", b"b", b"c")
    made.workshop.door.set()
    assert await made.answers(tasks) == [b"FIRST", b"A", b"B", b"C"]
    assert made.workshop.bodies == [[b"first"], [b"a", b"b", b"c"]]


@pytest.mark.parametrize(("most", "sizes"), [(1, [1, 1, 1, 1, 1]), (2, [1, 2, 2]), (3, [1, 3, 1]), (4, [1, 4])])
async def test_a_batch_has_at_most_max_batch_calls_in_the_order_they_came(bench, most, sizes):
    made = await bench(max_batch=most)
    tasks = await made.occupy_and_send(b"a", b"b", b"c", b"d")
    made.workshop.door.set()
    assert await made.answers(tasks) == [b"FIRST", b"A", b"B", b"C", b"D"]
    assert list(map(len, made.workshop.batches)) == sizes
    assert sum(made.workshop.bodies, []) == [b"first", b"a", b"b", b"c", b"d"]  # noqa: RUF017  five calls


async def test_a_batch_holds_no_more_bytes_than_fit_into_a_frame(bench):
    made = await bench()
    part, huge = bytes(BATCH_BYTES // 2), bytes(BATCH_BYTES + 1)
    tasks = await made.occupy_and_send(part, part, b"x", huge, b"y")
    made.workshop.door.set()
    await made.answers(tasks)
    assert list(map(len, made.workshop.batches)) == [1, 2, 1, 1, 1]


async def test_receipts_and_rows_of_a_batch_add_up_to_its_time(bench):
    made = await bench()
    tasks = await made.occupy_and_send(b"a", b"b", b"c")
    made.workshop.door.set()
    await made.answers(tasks)
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


async def test_a_died_batch_is_run_again_call_by_call(bench):
    made = await bench()
    made.workshop.kills = {b"bad": DIED}
    tasks = await made.occupy_and_send(b"a", b"bad", b"c")
    made.workshop.door.set()
    assert await made.answers(tasks) == [b"FIRST", b"A", WorkerDied, b"C"]
    assert made.workshop.bodies == [[b"first"], [b"a", b"bad", b"c"], [b"a"], [b"bad"], [b"c"]]
    assert len(made.workshop.workers) == 3


async def test_calls_that_came_later_wait_behind_a_died_batch(bench):
    made = await bench(max_batch=2)
    made.workshop.kills = {b"bad": DIED}
    tasks = await made.occupy_and_send(b"a", b"bad", b"c", b"d")
    made.workshop.door.set()
    assert await made.answers(tasks) == [b"FIRST", b"A", WorkerDied, b"C", b"D"]
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
    made.workshop.door.set()
    await made.answers(tasks)
    assert sorted(row.id for row in made.ledger.rows) == ["a", "bad", "c", "first"]


async def test_a_call_that_nobody_waits_for_any_more_is_not_run(bench):
    made = await bench()
    tasks = await made.occupy_and_send(b"a", b"b", b"c")
    tasks[2].cancel()
    made.workshop.door.set()
    assert await made.answers(tasks) == [b"FIRST", b"A", asyncio.CancelledError, b"C"]
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
    task = await made.occupy()
    task.cancel()
    made.workshop.door.set()
    await until(lambda: len(made.ledger.rows) == 1)
    assert await made.answers(made.send(b"a")) == [b"A"]


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


async def test_stopping_refuses_what_waits(bench):
    made = await bench()
    tasks = await made.occupy_and_send(b"a", b"b")
    await made.pool.stop()
    assert await made.answers(tasks) == [ShuttingDown, ShuttingDown, ShuttingDown]
    assert made.workshop.bodies == [[b"first"]]
    assert [worker.is_stopped for worker in made.workshop.workers] == [True]


async def test_stopping_tells_a_call_that_still_runs(bench):
    made = await bench()
    task = await made.occupy()
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


async def test_statistics_count_calls_by_code_and_the_ends_of_workers(bench):
    made = await bench()
    made.workshop.kills = {b"bad": DIED}
    await made.answers(made.send(b"a"))
    await made.answers(made.send(b"bad"))
    assert made.pool.statistics.calls == {"ok": 1, "worker_died": 1}
    assert made.pool.statistics.worker_ends == {"worker_died": 1}
    await until(lambda: sum(made.pool.statistics.start_s.counts) == 2)


async def test_a_call_whose_worker_was_killed_from_outside_is_run_once_more(bench):
    made = await bench()
    made.workshop.kills = {b"unlucky": WorkerKilled("The worker of f was ended by SIGKILL.")}
    (task,) = made.send(b"unlucky")
    await until(lambda: len(made.workshop.batches) == 2)
    assert await made.answers([task]) == [WorkerKilled]
    assert made.workshop.bodies == [[b"unlucky"], [b"unlucky"]]
