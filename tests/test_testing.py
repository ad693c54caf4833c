"""`servelite.testing`: a function is called in the test's own process, and held to answer the same in every batch."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite import InvalidInput
from servelite.core.errors import DefinitionError, FunctionNotFound
from servelite.testing import FunctionClient

GOSSIP = """
    '''Adds to a call's number what its batch-mates say of it, if anything.'''
    from pydantic import BaseModel
    from servelite import function

    class Guest(BaseModel):
        name: int
        says_of: dict[int, float] = {}

    @function(max_batch=16)
    def gossip(guests: list[Guest]) -> list[float]:
        return [1 + sum(other.says_of.get(one.name, 0) for other in guests) for one in guests]
"""

BATCHED = """
    from itertools import count
    from servelite import InvalidInput, function

    calls = count()

    @function(max_batch=8)
    def batched(values: list[float]) -> list[float | InvalidInput]:
        return {answers}
"""


@pytest.fixture(scope="module")
def gossip(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FunctionClient]:
    folder = tmp_path_factory.mktemp("functions") / "gossip"
    folder.mkdir()
    (folder / "handler.py").write_text(dedent(GOSSIP))
    with FunctionClient(folder) as client:
        yield client


def batched(write_function: Any, answers: str) -> Path:
    """Write a function whose `values` are answered by an expression."""
    return write_function("batched", BATCHED.format(answers=answers))


def test_a_value_comes_back_as_examples_have_it(write_function):
    with FunctionClient(batched(write_function, "[2 * value for value in values]")) as client:
        assert client.call(21) == 42
        with pytest.raises(InvalidInput):
            client.call("x")


@given(st.integers(2, 10), st.data())
def test_any_dependence_on_a_batch_mate_is_found(gossip, count, data):
    culprit = data.draw(st.integers(0, count - 1))
    victim = data.draw(st.integers(0, count - 1).filter(lambda name: name != culprit))
    effect = data.draw(st.floats(0.01, 100) | st.floats(-100, -0.01))
    guests = [{"name": name, "says_of": {victim: effect} if name == culprit else {}} for name in range(count)]
    with pytest.raises(AssertionError) as caught:
        gossip.check_batches(guests)
    (told,) = str(caught.value).splitlines()
    assert told.startswith(f"Input {victim + 1} beside input {culprit + 1}: the output is ")


@given(st.integers(1, 20))
def test_guests_who_say_nothing_pass(gossip, count):
    gossip.check_batches([{"name": name} for name in range(count)])


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ("[value / max(values) for value in values]", "Input 1 beside input 2: the output is 0.5, not 1.0 (0.5 apart)."),
        ("[value + (place > 0) for place, value in enumerate(values)]", "Input 1 beside input 2"),
        ("[value + (len(values) > 7) for value in values]", "Input 1 beside 7 times input 1"),
        ("sorted(values)", "Input 2 beside input 1"),
        ("[InvalidInput(f'{value} of {values}') for value in values]", "Input 1 beside input 2"),
        ("[value if len(values) == 1 else InvalidInput('no') for value in values]", "Input 1 beside input 2"),
        ("[value + next(calls) for value in values]", "Input 1 alone, the second time"),
    ],
    ids=[
        "the batch's maximum",
        "the place in it",
        "a full batch",
        "another order",
        "a refusal that quotes others",
        "a refusal of company",
        "another answer each time",
    ],
)
def test_an_answer_that_depends_on_its_batch_is_told(write_function, answers, told):
    with FunctionClient(batched(write_function, answers)) as client, pytest.raises(AssertionError) as caught:
        client.check_batches([1, 2, 0.5])
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "answers",
    [
        "[value for value in values]",
        "[value * (1 + 1e-4 * len(values) / 8) for value in values]",
        "[value if value < 2 else InvalidInput(f'{value} is too much') for value in values]",
        "[1 / value for value in values]",
    ],
    ids=["nothing of it", "drift of floats", "a refusal", "an exception"],
)
def test_an_answer_that_does_not_depend_on_its_batch_passes(write_function, answers):
    with FunctionClient(batched(write_function, answers)) as client:
        client.check_batches([1, 2, 0])


def test_the_tolerance_is_the_caller_s(write_function):
    with FunctionClient(batched(write_function, "[value * (1 + len(values) / 100) for value in values]")) as client:
        client.check_batches([1, 2], tolerance=0.1)
        with pytest.raises(AssertionError):
            client.check_batches([1, 2], tolerance=0.01)


def test_bytes_are_tried_as_they_are(write_function):
    source = """
        from servelite import function

        @function(max_batch=4)
        def longest(pictures: list[bytes]) -> list[int]:
            return [max(map(len, pictures)) for _ in pictures]
    """
    with FunctionClient(write_function("longest", source)) as client:
        client.check_batches([b"\xff\x00", b"\x00\x01"])
        with pytest.raises(AssertionError, match="Input 1 beside input 2: the output is 3, not 1"):
            client.check_batches([b"\xff", b"\xff\xff\xff"])


def test_without_inputs_the_examples_are_tried(write_function):
    folder = batched(write_function, "[value / max(values) for value in values]")
    with FunctionClient(folder) as client, pytest.raises(DefinitionError, match=r"Give some: check_batches"):
        client.check_batches()
    (folder / "examples.jsonl").write_text('{"input": 1}\n{"input": 2}\n')
    with FunctionClient(folder) as client, pytest.raises(AssertionError):
        client.check_batches()


def test_what_never_shares_a_batch_passes(write_function):
    source = BATCHED.replace("max_batch=8", "max_batch=1").replace("list[float]", "float").replace("list[float | InvalidInput]", "float")
    with FunctionClient(write_function("single", source.format(answers="values + next(calls)"))) as client:
        client.check_batches([1, 2])


ASKS = """
    from servelite import Context, InvalidInput, function

    @function
    def asks(number: int, context: Context) -> int:
        return context.call("double", number) + context.call("asks", number - 1) if number else 0
"""

DOUBLE = """
    from servelite import function

    @function(max_batch=8)
    def double(numbers: list[int]) -> list[int]:
        return [2 * number for number in numbers]
"""


def test_a_function_may_call_those_that_stand_beside_it(write_function):
    write_function("double", DOUBLE)
    with FunctionClient(write_function("asks", ASKS)) as asks:
        assert [asks.call(number) for number in (0, 3)] == [0, 12]


def test_a_function_that_stands_nowhere_is_told(write_function):
    told = "No function named 'double' stands beside asks"
    with FunctionClient(write_function("asks", ASKS)) as asks, pytest.raises(FunctionNotFound, match=told):
        asks.call(1)
