import asyncio

import pytest

from servelite.core.call import Call, Outcome, Question, Told
from servelite.core.errors import DefinitionError
from servelite.core.function import JSON
from servelite.worker.inline import InlineWorker

DOUBLE = """
    from servelite import function

    @function(max_batch=4)
    def double(numbers: list[int]) -> list[int]:
        return [2 * number for number in numbers]
"""


def test_a_function_runs_in_this_process_as_in_a_worker(write_function):
    async def scenario() -> None:
        worker = InlineWorker(write_function("double", DOUBLE))
        assert (await worker.start()).name == "double"
        reply = await worker.run([Call("1", "double", body=b"1"), Call("2", "double", body=b"2")])
        assert [outcome.body for outcome in reply.outcomes] == [b"2", b"4"]
        await worker.stop()

    asyncio.run(scenario())


def test_a_broken_function_is_told_when_it_is_started(write_function):
    worker = InlineWorker(write_function("broken", "import"))
    with pytest.raises(DefinitionError, match=r"handler\.py:1: "):
        asyncio.run(worker.start())


def test_what_its_handler_asks_is_answered_from_elsewhere_for_the_call_that_runs(write_function):
    asked: list[tuple[Call, Question]] = []
    ended: list[bool] = []
    source = """
        from servelite import Context, function

        @function
        def asks(number: int, context: Context) -> int:
            return context.call("other", number)
    """

    def ask(parent: Call, question: Question) -> Told:
        asked.append((parent, question))
        return Told(question.number, Outcome(b"7"), JSON)

    async def scenario() -> None:
        worker = InlineWorker(write_function("asks", source), ask, lambda: ended.append(True))
        await worker.start()
        call = Call("1", "asks", body=b"1")
        (outcome,) = (await worker.run([call])).outcomes
        assert (outcome.body, outcome.error) == (b"7", None)
        assert asked == [(call, Question(0, "1", "other", JSON, b"1"))]
        await worker.stop()

    asyncio.run(scenario())
    assert ended == [True]
