"""What pipelines are by the functions that are served, from their start through edits of them and of their stages."""

import asyncio
import logging

import pytest

from servelite.core.errors import DefinitionError, FunctionNotFound, NoWorker
from servelite.core.stages import each, parallel, sequence, stage, value
from tests.runtime.fakes import Workshop, advance_timers, settle, until
from tests.runtime.pipes import Pipes

pytestmark = pytest.mark.anyio


def words(text: str) -> list[str]:
    return text.split()


def numbers(text: str) -> list[int]:
    return [len(word) for word in text.split()]


def count(word: str) -> int:
    return len(word)


def total(lengths: list[int]) -> int:
    return sum(lengths)


def most(lengths: list[int]) -> int:
    return max(lengths)


LETTERS = sequence("words", each("count"), total)
GLUE = (total, most)


async def told(pipes: Pipes, name: str) -> str:
    """Return what callers are told of a pipeline that can't be called, and that it is said to be unready for the same reason."""
    with pytest.raises(NoWorker) as caught:
        await pipes.ask(name, "one two")
    unready = pipes.engine.unready()[name]
    assert unready is not None
    assert unready.detail == caught.value.detail
    assert pipes.rows == []
    return caught.value.detail


async def test_functions_that_a_pipeline_names_and_that_stand_beside_it_are_served_too(start_pipes):
    pipes = await start_pipes({"p": LETTERS}, GLUE, beside={"words": words, "count": count, "other": count})
    assert await pipes.ask("p", "one two") == 6
    assert set(pipes.engine.pools) == {"p", "words", "count"}
    assert pipes.engine.unready() == {}


async def test_so_are_the_functions_of_pipelines_that_they_name(start_pipes):
    pipes = await start_pipes({"outer": each("inner")}, GLUE, beside={"inner": LETTERS, "words": words, "count": count})
    assert await pipes.ask("outer", ["a b", "c"]) == [2, 1]


@pytest.mark.parametrize(
    ("served", "what"),
    [
        pytest.param(
            {"p": sequence("wrods"), "words": words},
            "The pipeline p names the function 'wrods', which is not here. Did you mean 'words'? Functions here: fine, words. "
            "Put its folder beside the pipeline's, or serve it too.",
            id="an unknown function",
        ),
        pytest.param(
            {"p": sequence("words", "count"), "words": words, "count": count},
            "The pipeline p can't be served: words does not fit count: a list of strings is given, a string is taken.",
            id="a misfit",
        ),
        pytest.param({"p": sequence("p")}, "The pipeline p can't be served: it calls itself: p → p.", id="a pipeline that names itself"),
        pytest.param(
            {"p": sequence("a"), "a": each("b"), "b": parallel(x="p")},
            "The pipeline p can't be served: it calls itself: p → a → b → p.",
            id="a circle",
        ),
        pytest.param(
            {"p": sequence("a"), "a": sequence("b"), "b": stage("words", fallback="a"), "words": words},
            "The pipeline a can't be served: it calls itself: a → b → a.",
            id="a circle below",
        ),
        pytest.param(
            {"p": sequence("inner"), "inner": sequence("count", "words"), "words": words, "count": count},
            "The pipeline inner can't be served: count does not fit words: an integer is given, a string is taken.",
            id="a misfit below",
        ),
    ],
)
async def test_a_pipeline_that_does_not_fit_is_unready_and_its_callers_are_told_why(start_pipes, served, what, caplog):
    pipes = await start_pipes({**served, "fine": count}, GLUE)
    assert await told(pipes, "p") == what
    assert what in caplog.text
    assert await pipes.ask("fine", "abc") == 3


async def test_where_no_pipeline_fits_and_nothing_else_is_served_the_start_fails(start_pipes):
    with pytest.raises(DefinitionError, match="it calls itself: p → p"):
        await start_pipes({"p": sequence("p")})


async def test_a_tool_is_told_of_a_pipeline_that_does_not_fit(make_pipes):
    pipes = make_pipes({"p": sequence("words", "count"), "words": words, "count": count})
    with pytest.raises(DefinitionError, match="words does not fit count"):
        await pipes.engine.start()


async def test_a_pipeline_that_names_another_often_is_resolved_quickly(start_pipes):
    twice = {f"p{number}": sequence(f"p{number - 1}", f"p{number - 1}") for number in range(1, 25)}
    pipes = await start_pipes({"p0": sequence(value("x")), **twice})
    assert pipes.engine.describe("p24").output_schema == {"const": "x"}


async def test_a_pipeline_is_resolved_once_as_long_as_nothing_changes(start_pipes):
    pipes = await start_pipes({"p": LETTERS, "words": words, "count": count}, GLUE)
    first = pipes.engine.describe("p")
    await pipes.ask("p", "one two")
    assert pipes.engine.describe("p") is first
    await pipes.save("count", count)
    assert pipes.engine.describe("p") is not first


async def test_a_stage_that_is_saved_so_that_it_does_not_fit_takes_its_pipelines_out_until_it_fits_again(start_pipes, caplog):
    caplog.set_level(logging.INFO)
    pipes = await start_pipes({"p": LETTERS, "outer": each("p"), "words": words, "count": count}, GLUE)
    await pipes.save("words", numbers)
    misfit = "The pipeline p can't be served: an item of words does not fit count: an integer is given, a string is taken."
    assert await told(pipes, "p") == await told(pipes, "outer") == misfit
    assert caplog.text.count(misfit) == 2
    assert {one.name for one in pipes.engine.described()} == {"words", "count"}
    await pipes.save("words", words)
    assert pipes.engine.unready() == {}
    assert await pipes.ask("p", "one two") == 6
    assert "the stages of outer fit together again" in caplog.text


async def test_a_pipeline_that_is_saved_anew_is_served_anew_with_the_functions_it_names_now(start_pipes):
    pipes = await start_pipes({"p": LETTERS, "words": words}, GLUE, beside={"count": count, "numbers": numbers})
    await pipes.save("p", sequence("numbers", most))
    assert await pipes.ask("p", "one three") == 5
    assert "numbers" in pipes.engine.pools
    await pipes.save("p", sequence("words", most))
    assert "words does not fit most" in (await unready_detail(pipes, "p"))
    await pipes.save("p", LETTERS)
    assert await pipes.ask("p", "one two") == 6


async def unready_detail(pipes: Pipes, name: str) -> str:
    error = pipes.engine.unready()[name]
    assert error is not None
    return error.detail


async def test_a_call_that_runs_while_its_pipeline_is_saved_anew_ends_as_it_began(start_pipes):
    pipes = await start_pipes({"p": sequence("words", each("count"), total), "words": words, "count": count}, GLUE)
    pipes.workshops["count"].door.clear()
    task = pipes.send("p", "one three")
    await until(lambda: bool(pipes.workshops["count"].batches))
    await pipes.save("p", sequence("words", each("count"), total, value("new")))
    pipes.workshops["count"].door.set()
    assert (await task).body == b"8"
    assert await pipes.ask("p", "one") == "new"


async def test_a_call_whose_glue_is_gone_meanwhile_is_told_to_try_again(start_pipes):
    pipes = await start_pipes({"p": sequence("words", each("count"), total), "words": words, "count": count}, GLUE)
    pipes.workshops["count"].door.clear()
    task = pipes.send("p", "one three")
    await until(lambda: bool(pipes.workshops["count"].batches))
    await pipes.save("p", sequence("words", each("count"), most))
    pipes.workshops["count"].door.set()
    answer = await task
    assert answer.error is not None
    assert (answer.error.status, answer.error.detail) == (
        503,
        "total: p was saved anew while this call ran, and has no total any more. Try again.",
    )
    pipes.check_sums()


async def test_a_function_that_is_named_late_is_served_late(make_pipes):
    pipes = make_pipes({"p": LETTERS, "fine": count}, GLUE, beside={"words": words, "count": count})
    pipes.workshops["p"].start_door.clear()
    starting = asyncio.create_task(pipes.engine.start())
    await until(lambda: bool(pipes.workshops["p"].workers))
    assert set(pipes.engine.pools) == {"p", "fine"}
    pipes.workshops["p"].start_door.set()
    await starting
    assert await pipes.ask("p", "one two") == 6


async def test_a_pipeline_whose_first_start_failed_has_its_stages_once_it_is_loaded(make_pipes):
    pipes = make_pipes({"p": LETTERS, "fine": count}, GLUE, beside={"words": words, "count": count})
    pipes.workshops["p"].start_fails = [NoWorker("No memory.")] * 2
    await pipes.engine.start(is_lenient=True)
    with pytest.raises(NoWorker):
        await pipes.ask("p", "x")
    pipes.engine.pools["p"].workers.grow()
    pipes.engine.pools["p"].workers._restarts._pause_is_over()
    await until(lambda: pipes.engine.pools["p"].workers.description is not None)
    pipes.engine._starting.look()
    await until(lambda: pipes.engine.unready() == {})
    assert await pipes.ask("p", "one two") == 6


async def test_until_a_stage_is_known_its_pipeline_is_not_ready(make_pipes, caplog):
    pipes = make_pipes({"p": LETTERS, "words": words, "count": count}, GLUE)
    pipes.workshops["count"].start_fails = [NoWorker("No memory.")] * 2
    await pipes.engine.start(is_lenient=True)
    assert await told(pipes, "p") == "count could not be loaded yet. The server's log says why; it is tried again."
    assert "names the function" not in caplog.text


async def test_a_name_that_is_no_function_is_none_after_as_before(start_pipes):
    pipes = await start_pipes({"p": sequence(value(1))})
    with pytest.raises(FunctionNotFound):
        await pipes.ask("q", 1)


async def test_the_end_cancels_what_still_starts(make_pipes):
    pipes = make_pipes({"p": LETTERS, "fine": count}, GLUE, beside={"words": words, "count": count})
    pipes.workshops["p"].start_door.clear()
    starting = asyncio.create_task(pipes.engine.start())
    await until(lambda: bool(pipes.workshops["p"].workers))
    starting.cancel()
    await settle()
    assert all(worker.is_stopped for workshop in workshops(pipes) for worker in workshop.workers)


def workshops(pipes: Pipes) -> list[Workshop]:
    return list(pipes.workshops.values())


async def test_a_function_that_is_put_beside_its_pipeline_later_is_served_then(make_pipes):
    pipes = make_pipes({"p": LETTERS, "words": words}, GLUE)
    await pipes.engine.start(is_lenient=True)
    assert "names the function 'count', which is not here" in await told(pipes, "p")
    pipes.beside = {"count": count}
    advance_timers(1)
    await until(lambda: pipes.engine.unready() == {})
    assert await pipes.ask("p", "one two") == 6


async def test_callers_that_come_while_a_pipeline_ceases_to_fit_are_told_as_others(start_pipes):
    pipes = await start_pipes({"p": LETTERS, "outer": each("p"), "words": words, "count": count}, GLUE)
    read = asyncio.Event()

    async def body() -> bytes:
        await read.wait()
        return b'["one"]'

    call = pipes.new_call("outer", None)
    task = asyncio.create_task(pipes.engine.call(call, body))
    await settle()
    await pipes.save("words", numbers)
    read.set()
    with pytest.raises(NoWorker, match="an item of words does not fit count"):
        await task


async def test_a_call_whose_pipeline_within_ceases_to_fit_is_told_so_by_its_stage(start_pipes):
    pipes = await start_pipes({"p": LETTERS, "outer": sequence("words", each("p")), "words": words, "count": count}, GLUE)
    pipes.workshops["words"].door.clear()
    task = pipes.send("outer", "one two")
    await until(lambda: bool(pipes.workshops["words"].batches))
    await pipes.save("count", most)
    pipes.workshops["words"].door.set()
    answer = await task
    assert (answer.error.status, answer.error.stage) == (503, "p[0]")
    pipes.check_sums()
