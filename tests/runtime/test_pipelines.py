"""Calls of pipelines on fake workers: what is answered and what is recorded. How nodes are run is in test_flow.py."""

import asyncio
import json
from typing import Any

import pytest

from servelite.core.accounts import Allowance
from servelite.core.errors import (
    FunctionFailed,
    InvalidInput,
    LedgerUnavailable,
    QuotaExhausted,
    UnsupportedMediaType,
    WorkerDied,
    WorkerKilled,
)
from servelite.core.function import BINARY, JSON, TEXT
from servelite.core.stages import each, parallel, retry, route, sequence, stage, value
from servelite.core.tariff import Tariff
from tests.runtime.fakes import settle, until
from tests.runtime.letters import LETTERS, LIMITED, hold, leave, long_or_short, twice

pytestmark = pytest.mark.anyio


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
