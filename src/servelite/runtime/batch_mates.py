"""Whether answers depend on their batch-mates: each input is run alone, then in company of many kinds, and the answers compared.

Inputs are numbered from 1. Number 0 is a body that can't be decoded, an unwelcome neighbour for the others.
"""

import asyncio
from collections.abc import Iterator, Sequence
from itertools import cycle, islice, permutations
from random import Random
from typing import Any

from servelite.core.call import Answer, Call
from servelite.core.errors import FunctionError, wire_code
from servelite.core.function import BINARY, Description
from servelite.core.likeness import TOLERANCE, difference
from servelite.runtime.engine import Engine
from servelite.runtime.waiting import BATCH_BYTES

UNREADABLE = b"\xff"
"""Neither UTF-8 nor JSON; a function of bytes takes it like any other, so it is spared this neighbour."""

PAIRED = 12
"""So many of the first are paired each with each, and fill a batch by themselves: 144 batches; all are in the shuffled ones."""


async def answer_together(engine: Engine, bodies: Sequence[bytes]) -> list[Answer]:
    """Have the engine's first function answer bodies, at most `max_batch`, in one batch: all of them wait when a worker looks."""
    name = next(iter(engine.pools))
    return await asyncio.gather(*(engine.call(Call(engine.new_id(), name, "", body)) for body in bodies))


async def find_dependences(engine: Engine, inputs: Sequence[bytes], tolerance: float = TOLERANCE) -> list[str]:
    """Say of each input that is answered otherwise in company than alone: beside whom, and by how much. None where max_batch is 1."""
    name = next(iter(engine.pools))
    function = engine.describe(name)
    if function.limits.max_batch == 1:
        return []
    bodies = [UNREADABLE, *inputs]
    numbers = range(1 if function.takes[0] == BINARY else 0, len(bodies))
    alone = {number: _seen(function, (await answer_together(engine, [bodies[number]]))[0]) for number in numbers}
    found: dict[int, str] = {}
    for company in companies(numbers, function.limits.max_batch):
        answers = await answer_together(engine, [bodies[number] for number in company])
        if ended_its_worker(answers, sum(len(bodies[number]) for number in company)):
            found.setdefault(-1, f"A batch of {_listed(company)} ended its worker, whose log may say why.")
        for place, number in enumerate(company):
            if number not in found and (differs := difference(alone[number], _seen(function, answers[place]), tolerance)):
                found[number] = f"{_company(company, place)}: {differs}."
    return list(found.values())


def companies(numbers: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """Yield batches of at most `most` numbers, small ones first, for they say most clearly who disturbs whom.

    Each alone once more, in pairs, as often as a batch holds, and all of them shuffled into batches of several sizes.
    """
    yield from ((number,) for number in numbers)
    yield from permutations(numbers[:PAIRED], 2)
    yield from ((number,) * most for number in numbers[:PAIRED])
    for size in _sizes(most):
        order = Random(size).sample(numbers, len(numbers))  # noqa: S311  the same order each time
        whole = -(-len(order) // size) * size
        yield from zip(*[islice(cycle(order), whole)] * size, strict=True)


def ended_its_worker(answers: Sequence[Answer], size_bytes: int) -> bool:
    """Tell whether a batch's worker died or was stopped: then its calls were run again, each alone."""
    return len(answers) > 1 and size_bytes <= BATCH_BYTES and all(answer.receipt.batch == 1 for answer in answers)


def _sizes(most: int) -> Iterator[int]:
    """Yield 2, 3, 5, 8, … and `most`: sizes of which few are multiples of others."""
    before, size = 1, 2
    while size < most:
        yield size
        before, size = size, before + size
    yield most


def _seen(function: Description, answer: Answer) -> Any:
    """Return what a caller sees of an answer, without what is another one each time: a failure's detail names the request."""
    error = answer.error
    if error is None:
        return function.decode_output(answer.body)
    return {"error": wire_code(error), "detail": "" if isinstance(error, FunctionError) else error.detail}


def _company(company: Sequence[int], place: int) -> str:
    one, mates = _named(company[place]).capitalize(), [*company[:place], *company[place + 1 :]]
    return f"{one} beside {_listed(mates)}" if mates else f"{one} alone, the second time"


def _listed(numbers: Sequence[int]) -> str:
    """Name inputs: `input 3`, `64 times input 3`, `input 1, input 2, input 3 and 5 more`."""
    if len(numbers) > 1 and len(set(numbers)) == 1:
        return f"{len(numbers)} times {_named(numbers[0])}"
    more = f" and {len(numbers) - 3} more" if len(numbers) > 3 else ""
    return ", ".join(map(_named, numbers[:3])) + more


def _named(number: int) -> str:
    return f"input {number}" if number else "an unreadable body"
