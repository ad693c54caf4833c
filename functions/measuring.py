"""Functions are measured as they are served: in worker processes, in batches, by the time on their receipts."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from servelite.assembly.engines import gateway_engine
from servelite.core.call import Answer
from servelite.core.errors import InvalidInput, ServeliteError
from servelite.core.settings import Settings
from servelite.runtime.batch_mates import answer_together

FUNCTIONS = Path(__file__).resolve().parent


def ask(name: str, inputs: Sequence[Any]) -> list[Any]:
    """Return a function's outputs, as examples.jsonl would have them; an error in the place of each that is refused."""
    return asyncio.run(_ask(name, inputs))


def cpu_milliseconds(name: str, inputs: Sequence[Any], rounds: int = 5) -> float:
    """Return the median CPU time, of all threads, of a call that is alone in its batch, on a warm worker."""
    return round(asyncio.run(_time(name, inputs, rounds)), 3)


async def _ask(name: str, inputs: Sequence[Any]) -> list[Any]:
    engine = gateway_engine([FUNCTIONS / name], ledger="none", settings=Settings())
    try:
        await engine.start()
        function = engine.describe(name)
        outputs: list[Any] = []
        for start in range(0, len(inputs), function.limits.max_batch):
            batch = inputs[start : start + function.limits.max_batch]
            answers = await answer_together(engine, [function.encode_input(value) for value in batch])
            outputs += [_refused(answer.error) or function.decode_output(answer.body) for answer in answers]
        return outputs
    finally:
        await engine.stop()


def _refused(error: ServeliteError | None) -> ServeliteError | None:
    """Return a caller's error; raise any other, for it is no answer."""
    if error and not isinstance(error, InvalidInput):
        raise error
    return error


async def _time(name: str, inputs: Sequence[Any], rounds: int) -> float:
    engine = gateway_engine([FUNCTIONS / name], ledger="none", settings=Settings())
    try:
        await engine.start()
        bodies = [engine.describe(name).encode_input(value) for value in inputs]
        answers: list[Answer] = [(await answer_together(engine, [body]))[0] for body in bodies * rounds]
        return median(answer.receipt.cpu_us for answer in answers) / 1000
    finally:
        await engine.stop()
