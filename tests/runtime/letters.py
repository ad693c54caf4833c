"""Functions, glue and a pipeline of them that several tests share, and what a test does to their calls."""

import asyncio
from collections.abc import Callable
from typing import Any, Literal

from servelite.core.accounts import Allowance
from servelite.core.stages import each, parallel, sequence
from servelite.core.tariff import Tariff
from tests.runtime.fakes import settle, until
from tests.runtime.pipes import Pipes


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
