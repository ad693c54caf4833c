"""Calls of pipelines on fake workers: what runs, what is answered, what is recorded. How nodes are run is in test_flow.py."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any, Literal

import pytest

from servelite.core.accounts import Allowance
from servelite.core.errors import (
    FunctionFailed,
    InvalidInput,
    LedgerUnavailable,
    NoWorker,
    Overloaded,
    QuotaExhausted,
    ShuttingDown,
    TimedOut,
    UnsupportedMediaType,
    WorkerDied,
    WorkerKilled,
)
from servelite.core.function import BINARY, JSON, TEXT
from servelite.core.stages import each, parallel, retry, route, sequence, stage, value
from servelite.core.tariff import Tariff
from tests.runtime.fakes import advance_timers, settle, until
from tests.runtime.pipes import Pipes

pytestmark = pytest.mark.anyio


def words(text: str) -> list[str]:
    return text.split()


def count(word: str) -> int:
    if word == "bad":
        raise ValueError("That is a bad word.")
    return len(word)


def slow(word: str) -> int:
    return len(word)


def shout(text: str) -> str:
    return text.upper()


def flip(data: bytes) -> bytes:
    return data[::-1]


def total(numbers: list[int]) -> int:
    return sum(numbers)


def long_or_short(number: int) -> Literal["long", "short"]:
    return "long" if number > 9 else "short"


def twice(number: int) -> int:
    return 2 * number


def broken(text: str) -> int:
    raise KeyError(text)


FUNCTIONS: dict[str, Any] = {"words": words, "count": count, "slow": slow, "shout": shout, "flip": flip, "broken": broken}
GLUE = (total, long_or_short, twice)
LETTERS = sequence("words", each("count"), total)
BOTH = parallel(one="slow", other="count")
LIMITED = {"tariff": Tariff(free_s=100), "local": Allowance(credit_micro=0)}

Start = Callable[..., Any]


@pytest.fixture
async def start(start_pipes: Callable[..., Any]) -> Start:
    """Return a starter of pipelines on all functions: start(name=pipeline, …)."""

    async def begin(options: dict[str, Any] | None = None, **pipelines: Any) -> Pipes:
        pipes: Pipes = await start_pipes({**pipelines, **FUNCTIONS}, GLUE, **(options or {}))
        return pipes

    return begin


async def hold(pipes: Pipes, name: str, pipeline: str, sent: Any, **fields: Any) -> "asyncio.Task[Any]":
    """Send a call, and wait until a worker runs a stage of it that does not end."""
    workshop = pipes.workshops[name]
    workshop.door.clear()
    ran = len(workshop.batches)
    task = pipes.send(pipeline, sent, **fields)
    await until(lambda: len(workshop.batches) > ran)
    return task


async def leave(task: "asyncio.Task[Any]") -> None:
    """Have the client of a call hang up; what is still to be recorded may take its time."""
    task.cancel()
    await settle()


# answers


async def test_a_pipeline_is_called_as_a_function_is(start):
    pipes = await start(p=LETTERS)
    assert await pipes.ask("p", "one two three") == 11


@pytest.mark.parametrize(("text", "answer"), [("one two", {"n": 0}), ("one two three", 22)])
async def test_a_route_goes_its_way(start, text, answer):
    pipes = await start(p=sequence(LETTERS, route(long_or_short, long=twice, short=value({"n": 0}))))
    assert await pipes.ask("p", text) == answer


async def test_a_pipeline_takes_and_gives_what_its_stages_do(start):
    pipes = await start(p=LETTERS, loud=sequence("shout"), back=sequence("flip", "flip"))
    found = {name: pipes.engine.describe(name) for name in ("p", "loud", "back")}
    assert {name: (one.takes[0], one.gives) for name, one in found.items()} == {
        "p": (TEXT, JSON),
        "loud": (TEXT, TEXT),
        "back": (BINARY, BINARY),
    }
    assert (found["p"].input_schema, found["p"].output_schema) == ({"type": "string"}, {"type": "integer"})


async def test_text_goes_in_and_out_as_text(start):
    pipes = await start(p=sequence("shout", "shout"))
    call = pipes.new_call("p", "")
    call.media_type, call.body = "text/plain", b"hi"
    answer = await pipes.engine.call(call)
    assert (answer.body, answer.media_type) == (b"HI", "text/plain")


async def test_bytes_travel_as_they_are_and_as_base64_inside_of_json(start):
    pipes = await start(p=parallel(a="flip", b=sequence("flip", "flip")))
    call = pipes.new_call("p", "")
    call.media_type, call.body = "image/png", b"\x01\xff"
    answer = await pipes.engine.call(call)
    assert (json.loads(answer.body), answer.media_type) == ({"a": "/wE=", "b": "Af8="}, JSON)


async def test_another_media_type_is_refused_as_a_functions_is(start):
    pipes = await start(p=parallel(a="flip", b="flip"))
    with pytest.raises(UnsupportedMediaType, match=r"p does not take 'application/json'\. Send Content-Type: application/octet-stream"):
        await pipes.ask("p", "")


async def test_the_items_of_a_list_come_to_their_function_in_few_batches(start):
    pipes = await start(p=LETTERS)
    sent = [f"word{number}" for number in range(40)]
    assert await pipes.ask("p", " ".join(sent)) == sum(map(len, sent))
    batches = pipes.workshops["count"].batches
    assert [len(batch) for batch in batches] == [8] * 5
    assert [json.loads(call.body) for batch in batches for call in batch] == sent


async def test_glue_comes_to_the_pipelines_worker_in_few_batches_too(start):
    pipes = await start(p=each(twice))
    assert await pipes.ask("p", list(range(40))) == [2 * number for number in range(40)]
    assert [len(batch) for batch in pipes.workshops["p"].batches] == [16, 16, 8]


async def test_calls_of_several_pipelines_share_the_batches_of_their_stages(start):
    pipes = await start(p=LETTERS, q=sequence("words", each("count")))
    await asyncio.gather(pipes.send("p", "a b c"), pipes.send("q", "d e f"))
    assert [len(batch) for batch in pipes.workshops["count"].batches] == [6]


# rows


async def test_each_stage_has_a_row_and_they_add_up_to_the_pipelines(start):
    pipes = await start(p=sequence(LETTERS, route(long_or_short, long=twice, short=value(0))))
    answer = await pipes.call("p", "one two three", account="ada", key_id="k1")
    (row,) = pipes.tops
    assert [(one.function, one.stage) for one in pipes.stages_of(row)] == [
        ("words", "p/words"),
        ("count", "p/count"),
        ("count", "p/count"),
        ("count", "p/count"),
        ("p", "p/total"),
        ("p", "p/long_or_short"),
        ("p", "p/long.twice"),
    ]
    assert {(one.account, one.key_id, one.code) for one in pipes.rows} == {("ada", "k1", "ok")}
    assert (row.function, row.stage, row.bytes_in, row.bytes_out, row.batch) == ("p", "", 15, 2, 1)
    assert (answer.receipt.compute_us, answer.receipt.billed_us) == (row.compute_us, row.billed_us)
    pipes.check_sums()


async def test_the_row_of_a_pipeline_comes_last_and_before_the_answer(start):
    pipes = await start(p=LETTERS)
    await pipes.call("p", "one")
    assert [row.parent == "" for row in pipes.rows] == [False, False, False, True]


async def test_a_stage_costs_its_time_and_only_the_pipeline_the_price_of_a_call(start):
    pipes = await start({"tariff": Tariff(price_micro=1, per_s=1, call_price_micro=5, per_calls=1)}, p=sequence("words", each("count")))
    await pipes.call("p", "one two")
    (row,) = pipes.tops
    stages = pipes.stages_of(row)
    assert row.cost_pico == sum(stage.cost_pico for stage in stages) + 5_000_000
    assert all(stage.cost_pico == stage.billed_us for stage in stages)


async def test_a_pipeline_of_pipelines_has_a_row_for_each_and_is_billed_once(start):
    inner = sequence("words", each("count"))
    pipes = await start(LIMITED, outer=sequence(parallel(a="inner", b="shout"), value(1)), inner=inner)
    answer = await pipes.call("outer", "one two")
    (row,) = pipes.tops
    assert [(one.function, one.stage) for one in pipes.stages_of(row)] == [("shout", "outer/b.shout"), ("inner", "outer/a.inner")]
    (within,) = (one for one in pipes.rows if one.function == "inner")
    assert {(one.function, one.stage) for one in pipes.stages_of(within)} == {("words", "inner/words"), ("count", "inner/count")}
    pipes.check_sums()
    assert pipes.used_us == row.billed_us == sum(one.billed_us for one in pipes.rows if one.function not in ("outer", "inner"))
    assert answer.receipt.free_left_us == 100_000_000 - row.billed_us


# failures


async def test_a_stage_that_refuses_its_input_answers_with_its_place_and_is_not_billed_but_those_before_are(start):
    pipes = await start(LIMITED, p=LETTERS)
    answer = await pipes.call("p", "good bad")
    assert isinstance(answer.error, InvalidInput)
    assert (answer.error.stage, answer.error.detail) == ("count[1]", "count[1]: That is a bad word.")
    (row,) = pipes.tops
    assert (row.code, row.status) == ("invalid_input", 422)
    billed = {one.stage: one.billed_us for one in pipes.stages_of(row) if one.code == "invalid_input"}
    assert billed == {"p/count": 0}
    assert row.billed_us == answer.receipt.billed_us > 0
    assert [call.function for batch in pipes.workshops["p"].batches for call in batch] == []
    pipes.check_sums()


async def test_a_fault_of_a_function_is_billed_with_its_pipeline(start):
    pipes = await start(p=sequence("shout", "broken"))
    answer = await pipes.call("p", "x")
    assert isinstance(answer.error, FunctionFailed)
    assert answer.error.detail == "broken: broken failed on this input."
    assert [row.billed_us for row in pipes.stages_of(pipes.tops[0])] == [1001, 1001]


async def test_an_error_within_a_pipeline_of_pipelines_has_the_whole_path(start):
    pipes = await start(outer=each("inner"), inner=LETTERS)
    answer = await pipes.call("outer", ["good", "good bad"])
    assert answer.error.stage == "inner[1]/count[1]"
    assert answer.error.detail == "inner[1]/count[1]: That is a bad word."
    pipes.check_sums()


async def test_what_no_stage_has_seen_is_refused_without_a_row(start):
    pipes = await start(p=each("count"))
    with pytest.raises(InvalidInput, match=r"each\(count\): input: a list is wanted"):
        await pipes.ask("p", {"a": 1})
    assert pipes.rows == []


async def test_what_the_first_stage_refuses_has_a_row_as_a_functions_call_has(start):
    pipes = await start(p=sequence("count"))
    answer = await pipes.call("p", 5)
    assert isinstance(answer.error, InvalidInput)
    assert [(row.code, row.billed_us) for row in pipes.tops] == [("invalid_input", 0)]


async def test_each_try_of_a_stage_is_billed_once(start):
    pipes = await start(LIMITED, p=stage("shout", retry=retry(2, backoff_s=0)))
    deaths = [WorkerDied("It died."), WorkerDied("It died.")]
    answer = pipes.workshops["shout"].answer

    def die_twice(call: Any) -> Any:
        if deaths:
            raise deaths.pop()
        return answer(call)

    pipes.workshops["shout"].answer = die_twice
    assert await pipes.ask("p", "x") == "X"
    (row,) = pipes.tops
    assert [one.code for one in pipes.stages_of(row)] == ["worker_died", "worker_died", "ok"]
    pipes.check_sums()
    assert pipes.used_us == row.billed_us


async def test_a_worker_that_is_killed_in_a_stage_costs_nobody_the_call(start):
    pipes = await start(p=sequence("shout", "shout"))
    task = await hold(pipes, "shout", "p", "x")
    pipes.workshops["shout"].workers[0].kill(WorkerKilled("The worker of shout was ended by SIGKILL."))
    await until(lambda: len(pipes.workshops["shout"].batches) == 2)
    pipes.workshops["shout"].door.set()
    assert (await task).body == b"X"
    assert [row.code for row in pipes.stages_of(pipes.tops[0])] == ["ok", "ok"]
    pipes.check_sums()


async def test_nothing_is_answered_that_could_not_be_recorded(start):
    pipes = await start(LIMITED, p=sequence("shout", "slow"))
    task = await hold(pipes, "slow", "p", "x")
    pipes.ledger.is_full = True
    pipes.workshops["slow"].door.set()
    with pytest.raises(LedgerUnavailable):
        await task
    assert pipes.used_us == 0
    pipes.ledger.is_full = False
    assert await pipes.ask("p", "x") == 1
    assert pipes.used_us == pipes.tops[0].billed_us


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
    (waiting,) = pipes.engine.pools["slow"]._queue._calls
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


# accounts


async def test_a_pipeline_counts_for_the_quota_when_it_is_done(start):
    pipes = await start({"tariff": Tariff(free_s=1), "local": Allowance(credit_micro=0)}, p=sequence("shout", "shout"))
    pipes.workshops["shout"].compute_us = 600_000
    answer = await pipes.call("p", "x")
    assert answer.receipt.free_left_us == 0
    with pytest.raises(QuotaExhausted):
        await pipes.ask("p", "x")
    assert len(pipes.tops) == 1


async def test_a_repeated_call_of_a_pipeline_is_answered_once_and_charged_once(start):
    pipes = await start(LIMITED, p=LETTERS)
    answers = [await pipes.call("p", "one bad", repeat_key="k") for _ in range(2)]
    assert [answer.is_repeated for answer in answers] == [False, True]
    assert [(answer.error.code, answer.error.detail, answer.receipt.billed_us) for answer in answers] == [
        ("invalid_input", "count[1]: That is a bad word.", pipes.tops[0].billed_us)
    ] * 2
    assert len(pipes.tops) == 1


async def test_a_repeated_call_runs_on_when_its_client_leaves(start):
    pipes = await start(p=sequence("slow"))
    task = await hold(pipes, "slow", "p", "x", repeat_key="k")
    await leave(task)
    pipes.workshops["slow"].door.set()
    await until(lambda: bool(pipes.tops))
    assert pipes.tops[0].code == "ok"
    assert (await pipes.call("p", "x", repeat_key="k")).is_repeated


# counters


async def test_the_calls_of_a_pipeline_are_counted_and_not_those_of_its_glue(start):
    pipes = await start(p=LETTERS)
    await pipes.call("p", "one two")
    await pipes.call("p", "one bad")
    seen = pipes.engine.pools["p"].statistics
    assert seen.calls == {"ok": 1, "invalid_input": 1}
    assert sum(seen.queue_s.counts) == 2
    assert (seen.compute_us, sum(seen.batch.counts)) == (1001, 1)
    assert pipes.engine.pools["count"].statistics.calls == {"ok": 3, "invalid_input": 1}


async def test_what_is_refused_or_left_is_counted_too(start):
    pipes = await start(p=each("count"), q=sequence("slow"))
    with pytest.raises(InvalidInput):
        await pipes.ask("p", 5)
    task = await hold(pipes, "slow", "q", "x")
    await leave(task)
    pipes.workshops["slow"].door.set()
    await settle()
    assert pipes.engine.pools["p"].statistics.calls["invalid_input"] == 1
    assert pipes.engine.pools["q"].statistics.calls["cancelled"] == 1


async def test_what_is_not_recorded_is_counted_as_that(start):
    pipes = await start(p=sequence(value("x")))
    pipes.ledger.is_full = True
    with pytest.raises(LedgerUnavailable):
        await pipes.ask("p", "x")
    assert dict(pipes.engine.pools["p"].statistics.calls) == {"ledger_unavailable": 1}
