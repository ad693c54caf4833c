import asyncio

import pytest

from servelite.core.call import Call
from servelite.core.errors import DefinitionError
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
