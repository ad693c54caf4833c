"""Stages that are given up, clients that leave, deadlines and ends: what is run and recorded then."""

import asyncio
import contextlib

import pytest

from servelite.core.errors import (
    NoWorker,
    Overloaded,
    ShuttingDown,
    TimedOut,
    WorkerDied,
)
from servelite.core.stages import each, parallel, sequence, stage, value
from tests.runtime.fakes import advance_timers, settle, until
from tests.runtime.letters import BOTH, LIMITED, hold, leave, twice
from tests.runtime.pipes import Pipes

pytestmark = pytest.mark.anyio


# what is given up


async def test_a_failing_stage_answers_at_once_and_its_sibling_is_billed_up_to_then(start):
    pipes = await start(LIMITED, p=BOTH)
    pipes.workshops["slow"].door.clear()
    pipes.workshops["count"].door.clear()
    task = pipes.send("p", "bad")
    await until(lambda: pipes.workshops["slow"].batches and pipes.workshops["count"].batches)
    pipes.clock.us += 70
    pipes.workshops["count"].door.set()
    answer = await task
    assert answer.error.stage == "other.count"
    (row,) = pipes.tops
    assert {one.stage: (one.code, one.compute_us, one.billed_us) for one in pipes.stages_of(row)} == {
        "p/one.slow": ("cancelled", 70, 70),
        "p/other.count": ("invalid_input", 1001, 0),
    }
    pipes.check_sums()
    pipes.workshops["slow"].door.set()
    await settle()
    assert len(pipes.rows) == 3
    assert pipes.used_us == row.billed_us == 70


async def test_of_a_batch_that_runs_on_a_stage_is_billed_its_share_and_the_others_theirs(start):
    pipes = await start(p=BOTH)
    first = await hold(pipes, "slow", "slow", "first")
    task, mate = pipes.send("p", "bad"), pipes.send("slow", "mate")
    pipes.workshops["count"].door.clear()
    await until(lambda: pipes.engine.pools["slow"].queue_length == 2)
    pipes.workshops["slow"].workers[0].finish()
    await until(lambda: len(pipes.workshops["slow"].batches) == 2)
    pipes.clock.us += 70
    pipes.workshops["count"].door.set()
    assert (await task).error.stage == "other.count"
    pipes.workshops["slow"].compute_us = 1998
    pipes.workshops["slow"].door.set()
    assert [(await one).body for one in (first, mate)] == [b"5", b"4"]
    rows = {row.bytes_in: (row.code, row.compute_us) for row in pipes.rows if row.function == "slow"}
    assert rows == {len('"first"'): ("ok", 1001), len('"bad"'): ("cancelled", 35), len('"mate"'): ("ok", 1000)}
    pipes.check_sums()


async def test_a_stage_that_still_waits_when_its_sibling_fails_is_not_run(start):
    pipes = await start(p=BOTH)
    first = await hold(pipes, "slow", "slow", "first")
    answer = await pipes.call("p", "bad")
    assert answer.error.stage == "other.count"
    pipes.workshops["slow"].door.set()
    await first
    await settle()
    assert [row.function for row in pipes.rows] == ["count", "p", "slow"]
    pipes.check_sums()


async def test_a_stage_past_its_time_makes_way_for_its_fallback(start):
    pipes = await start(p=sequence("shout", stage("slow", timeout_s=2, fallback=value(-1)), twice))
    task = await hold(pipes, "slow", "p", "x")
    pipes.clock.us += 2_000_000
    advance_timers(3)
    assert (await task).body == b"-2"
    (row,) = pipes.tops
    assert {one.stage: one.code for one in pipes.stages_of(row)} == {"p/shout": "ok", "p/slow": "cancelled", "p/twice": "ok"}
    assert [one.compute_us for one in pipes.rows if one.function == "slow"] == [2_000_000]
    pipes.check_sums()
    pipes.workshops["slow"].door.set()
    await settle()
    assert len(pipes.rows) == 4


async def test_a_stage_that_ends_while_its_fallback_runs_is_billed_for_all_it_took(start):
    pipes = await start(p=stage("slow", timeout_s=2, fallback="count"))
    pipes.workshops["count"].door.clear()
    task = await hold(pipes, "slow", "p", "x")
    advance_timers(3)
    await until(lambda: bool(pipes.workshops["count"].batches))
    pipes.workshops["slow"].door.set()
    await settle()
    pipes.workshops["count"].door.set()
    assert (await task).body == b"1"
    assert {one.stage: (one.code, one.compute_us) for one in pipes.stages_of(pipes.tops[0])} == {
        "p/slow": ("ok", 1001),
        "p/count": ("ok", 1001),
    }
    pipes.check_sums()


async def test_a_pipeline_past_its_limit_is_told_as_a_function_is(start):
    pipes = await start(p=stage(sequence("shout", "slow"), timeout_s=2))
    assert pipes.engine.describe("p").limits.timeout_s == 2
    task = await hold(pipes, "slow", "p", "x")
    advance_timers(3)
    answer = await task
    assert isinstance(answer.error, TimedOut)
    assert answer.error.detail.startswith("p ran past its limit of 2 s")
    assert [(row.code, row.status) for row in pipes.tops] == [("timed_out", 504)]
    pipes.check_sums()


async def test_a_pipeline_without_a_limit_has_that_of_a_function(start):
    pipes = await start(p=sequence("slow"))
    task = await hold(pipes, "slow", "p", "x")
    advance_timers(31)
    assert (await task).error.detail.startswith("p ran past its limit of 30 s")


async def test_a_pipeline_within_that_is_given_up_has_its_row_before_the_outer_one(start):
    pipes = await start(LIMITED, outer=parallel(a="inner", b="broken"), inner=sequence("shout", "slow"))
    pipes.workshops["broken"].door.clear()
    task = await hold(pipes, "slow", "outer", "x")
    pipes.clock.us += 50
    pipes.workshops["broken"].door.set()
    answer = await task
    assert answer.error.stage == "b.broken"
    assert [(row.function, row.code) for row in pipes.rows] == [
        ("shout", "ok"),
        ("broken", "function_failed"),
        ("slow", "cancelled"),
        ("inner", "cancelled"),
        ("outer", "function_failed"),
    ]
    pipes.check_sums()
    assert pipes.used_us == pipes.tops[0].billed_us


# clients that leave


async def test_a_client_that_leaves_is_billed_for_what_a_worker_still_ran(start):
    pipes = await start(LIMITED, p=sequence("shout", "slow", twice))
    task = await hold(pipes, "slow", "p", "x")
    await leave(task)
    assert (len(pipes.rows), task.done()) == (1, False)
    pipes.workshops["slow"].door.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [(row.function, row.code, row.compute_us) for row in pipes.rows] == [
        ("shout", "ok", 1001),
        ("slow", "ok", 1001),
        ("p", "cancelled", 2002),
    ]
    assert pipes.tops[0].status == 499
    pipes.check_sums()
    assert pipes.used_us == 2002


async def test_the_quota_of_a_client_that_leaves_is_held_back_until_its_call_is_recorded(start):
    pipes = await start(LIMITED, p=sequence("slow"))
    (account,) = [pipes.accounts.quotas._find("local")]
    task = await hold(pipes, "slow", "p", "x")
    held = account.held_units
    await leave(task)
    assert (account.held_units, account.running) == (held, 1)
    assert held == 30_000_000
    pipes.workshops["slow"].door.set()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert (account.held_units, account.running, account.used_units) == (0, 0, 1001)


async def test_of_a_client_that_leaves_nothing_is_run_that_waits(start):
    pipes = await start(p=sequence("shout", "slow"))
    first = await hold(pipes, "slow", "slow", "first")
    task = pipes.send("p", "x")
    await until(lambda: pipes.engine.pools["slow"].queue_length == 1)
    await leave(task)
    assert task.cancelled()
    assert [(row.function, row.code) for row in pipes.rows] == [("shout", "ok"), ("p", "cancelled")]
    pipes.workshops["slow"].door.set()
    await first
    pipes.check_sums()


async def test_a_client_that_leaves_before_anything_has_run_has_no_row(start):
    pipes = await start(p=sequence("slow"))
    first = await hold(pipes, "slow", "slow", "first")
    task = pipes.send("p", "x")
    await until(lambda: pipes.engine.pools["slow"].queue_length == 1)
    await leave(task)
    pipes.workshops["slow"].door.set()
    await first
    assert [row.function for row in pipes.rows] == ["slow"]


async def test_a_run_for_a_client_that_left_is_killed_where_that_is_cheaper(start):
    pipes = await start(p=sequence("shout", "slow"))
    pipes.engine.pools["slow"]._forecast.saw_start(1000)
    task = await hold(pipes, "slow", "p", "x")
    await leave(task)
    pipes.clock.us += 1100
    pipes.engine.pools["slow"].look()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert [(row.function, row.code, row.compute_us) for row in pipes.rows] == [
        ("shout", "ok", 1001),
        ("slow", "cancelled", 1100),
        ("p", "cancelled", 2101),
    ]


async def test_a_client_that_leaves_a_pipeline_of_pipelines_leaves_all_of_them(start):
    pipes = await start(LIMITED, outer=each("inner"), inner=parallel(a="slow", b=sequence("shout", "slow")))
    task = await hold(pipes, "slow", "outer", ["x", "y"])
    await leave(task)
    pipes.workshops["slow"].door.set()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert {row.code for row in pipes.rows if row.function in ("inner", "outer")} == {"cancelled"}
    pipes.check_sums()
    assert pipes.used_us == pipes.tops[0].billed_us


async def test_a_call_that_is_ended_twice_is_recorded_with_what_it_took_up_to_then(start):
    pipes = await start(p=sequence("shout", "slow"))
    task = await hold(pipes, "slow", "p", "x")
    await leave(task)
    pipes.clock.us += 40
    await leave(task)
    assert task.cancelled()
    assert [(row.function, row.code, row.compute_us) for row in pipes.rows] == [
        ("shout", "ok", 1001),
        ("slow", "cancelled", 40),
        ("p", "cancelled", 1041),
    ]


async def test_the_end_of_the_server_waits_for_the_rows_of_clients_that_left(start):
    pipes = await start(p=sequence("shout", "slow"))
    task = await hold(pipes, "slow", "p", "x")
    await leave(task)
    await pipes.engine.stop()
    assert task.cancelled()
    assert [(row.function, row.code) for row in pipes.rows] == [("shout", "ok"), ("p", "cancelled")]
    assert pipes.ledger.is_closed


async def test_a_full_ledger_is_no_fault_where_nobody_is_told(start, caplog):
    pipes = await start(p=sequence("shout", "slow"))
    task = await hold(pipes, "slow", "p", "x")
    pipes.ledger.is_full = True
    await leave(task)
    pipes.workshops["slow"].door.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [row.function for row in pipes.rows] == ["shout"]


# deadlines, queues, the end


async def test_a_deadline_runs_through_all_stages(start):
    pipes = await start(p=sequence("shout", "slow"))
    first = await hold(pipes, "slow", "slow", "first")
    task = pipes.send("p", "x", patience_s=5)
    await until(lambda: pipes.engine.pools["slow"].queue_length == 1)
    (waiting,) = pipes.engine.pools["slow"]._queue._lines[0]
    assert 4 < waiting.call.patience_s <= 5
    pipes.clock.us += 6_000_000
    pipes.engine.pools["slow"].look()
    answer = await task
    assert isinstance(answer.error, Overloaded)
    assert answer.error.detail.startswith("slow: No worker of slow was free before this call's deadline")
    assert [(row.function, row.code) for row in pipes.rows] == [("shout", "ok"), ("p", "overloaded")]
    assert pipes.tops[0].billed_us == 1001
    pipes.workshops["slow"].door.set()
    await first


async def test_no_stage_is_begun_after_the_deadline(start):
    pipes = await start(p=sequence("slow", twice))
    task = await hold(pipes, "slow", "p", "x", patience_s=5)
    advance_timers(6)
    pipes.workshops["slow"].door.set()
    answer = await task
    assert answer.error.detail.startswith("twice: p was not done before this call's deadline")
    assert [row.function for row in pipes.rows] == ["slow", "p"]
    assert pipes.tops[0].billed_us == 1001


async def test_without_a_deadline_a_stage_waits_as_long_as_its_function_says(start):
    pipes = await start({"limits": {"slow": {"timeout_s": 3}}}, p=sequence("slow"))
    first = await hold(pipes, "slow", "slow", "first")
    task = pipes.send("p", "x")
    await until(lambda: pipes.engine.pools["slow"].queue_length == 1)
    pipes.clock.us += 3_100_000
    pipes.engine.pools["slow"].look()
    with pytest.raises(Overloaded):
        await task
    pipes.workshops["slow"].door.set()
    await first


async def without_a_worker(pipes: Pipes, name: str) -> None:
    """Have a function whose last worker has ended and that can't be started."""
    pool = pipes.engine.pools[name]
    pipes.workshops[name].start_fails = [WorkerDied("It ends at once.")] * 99
    pool.workers.sleep("evicted")
    await until(lambda: not pool.workers.lanes)
    with contextlib.suppress(NoWorker):
        await pool.answer(pipes.new_call(name, "x"))


async def test_a_pipeline_is_refused_where_a_stage_of_it_can_not_run(start):
    pipes = await start(p=sequence("words", value("x"), "shout"))
    await without_a_worker(pipes, "shout")
    with pytest.raises(NoWorker, match=r"^shout has no worker"):
        await pipes.ask("p", "x")
    assert (pipes.rows, pipes.engine.pools["p"].statistics.calls) == ([], {"no_worker": 1})


async def test_it_is_let_in_where_something_stands_in_for_that_stage(start):
    pipes = await start(p=sequence("words", value("x"), stage("shout", fallback=value("none"))))
    await without_a_worker(pipes, "shout")
    assert await pipes.ask("p", "x") == "none"
    assert [(row.function, row.code) for row in pipes.rows] == [("words", "ok"), ("p", "ok")]


async def test_a_drain_waits_for_pipelines_and_lets_their_stages_run(start):
    pipes = await start(p=sequence("slow", twice))
    task = await hold(pipes, "slow", "p", "x")
    draining = asyncio.create_task(pipes.engine.drain())
    await settle()
    with pytest.raises(ShuttingDown):
        await pipes.ask("p", "y")
    assert not draining.done()
    pipes.workshops["slow"].door.set()
    assert (await task).body == b"2"
    await asyncio.wait_for(draining, 5)


async def test_a_drain_waits_for_the_rows_of_clients_that_left(start):
    pipes = await start(p=sequence("slow"))
    task = await hold(pipes, "slow", "p", "x")
    draining = asyncio.create_task(pipes.engine.drain())
    await leave(task)
    assert not draining.done()
    pipes.workshops["slow"].door.set()
    await asyncio.wait_for(draining, 5)
    assert [row.code for row in pipes.tops] == ["cancelled"]
