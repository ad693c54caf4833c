"""Checks a function before it is relied on: its types, examples, time limit, batches, and the bars of its card.

It runs in a worker process, as it would be served: a handler that hangs or crashes is a check that failed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from servelite.assembly.engines import gateway_engine
from servelite.core.call import Answer
from servelite.core.card import read_bars
from servelite.core.errors import FunctionError, wire_code
from servelite.core.function import Description
from servelite.core.likeness import TOLERANCE, difference
from servelite.runtime.batch_mates import answer_together, ended_its_worker, find_dependences
from servelite.runtime.engine import Engine

SHOWN = 3
"""Reasons of one check that are told; a model that is wrong is wrong in many examples."""

CLOSE = 0.5
"""A run that takes more than this part of `timeout_s` is told: the next machine may be half as fast."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check came to, and the sentence on it."""

    check: Literal["types", "examples", "time", "batches", "card"]
    result: Literal["passed", "warned", "failed", "skipped"]
    says: str


async def check(folder: Path, tolerance: float = TOLERANCE) -> list[Verdict]:
    """Check the function of a folder; floats may differ by `tolerance`, see `core.likeness`. What it calls is looked for beside it.

    Raises:
        DefinitionError: the folder is not a function that can be served.
        ServiceError: its worker could not be run.
    """
    engine = gateway_engine([folder], ledger="none", with_those_beside=True)
    try:
        await engine.start()
        return await _check(engine, tolerance)
    except FunctionError as error:  # the worker ended before it was ready
        return [Verdict("types", "failed", error.detail)]
    finally:
        await engine.stop()


async def _check(engine: Engine, tolerance: float) -> list[Verdict]:
    name = next(iter(engine.pools))
    function = engine.describe(name)
    bodies = [function.encode_input(example["input"]) for example in function.examples]
    answers = [(await answer_together(engine, [body]))[0] for body in bodies]
    loaded = f"Takes {' or '.join(function.takes)}, gives {function.gives}; both have a JSON Schema."
    verdicts = [Verdict("types", "passed", loaded), _check_examples(function, answers, tolerance)]
    if answers and not any(answer.error for answer in answers):
        verdicts.append(await _check_time(engine, function, bodies, answers))
        verdicts.append(await _check_batches(engine, function, bodies, tolerance, fits=verdicts[-1].result != "failed"))
    else:
        verdicts += [Verdict(kind, "skipped", "It takes examples that are answered.") for kind in ("time", "batches")]
    return [*verdicts, _check_card(function)]


def _check_examples(function: Description, answers: Sequence[Answer], tolerance: float) -> Verdict:
    if not answers:
        return Verdict("examples", "failed", 'There is none. Write {"input": …, "output": …} into examples.jsonl, one a line.')
    if wrong := list(_wrong_examples(function, answers, tolerance)):
        return Verdict("examples", "failed", f"{_told(wrong)} Mend the handler, or the line of examples.jsonl.")
    compared = sum("output" in example for example in function.examples)
    return Verdict("examples", "passed", f"Answered: {len(answers)}; compared with a written output: {compared}.")


def _wrong_examples(function: Description, answers: Sequence[Answer], tolerance: float) -> Iterator[str]:
    for number, (example, answer) in enumerate(zip(function.examples, answers, strict=True), start=1):
        if answer.error:
            yield f"Input {number} is answered {wire_code(answer.error)}: {answer.error.detail}"
        elif "output" in example and (differs := difference(example["output"], function.decode_output(answer.body), tolerance)):
            yield f"Input {number}: {differs}."


async def _check_time(engine: Engine, function: Description, bodies: Sequence[bytes], answers: Sequence[Answer]) -> Verdict:
    """Time the slowest example as often as a batch holds."""
    slowest = max(range(len(bodies)), key=lambda place: answers[place].receipt.compute_us)
    size = 1 if function.pipeline else function.limits.max_batch  # a pipeline's batches are its functions' own
    limit_s = function.limits.timeout_s
    full = await answer_together(engine, [bodies[slowest]] * size)
    run = f"The longest run, {f'{size} times ' if size > 1 else ''}input {slowest + 1},"
    if ended_its_worker(full, size * len(bodies[slowest])):
        return Verdict("time", "failed", f"{run} ended its worker, or was ended after {limit_s:g} s. Lower max_batch, or raise timeout_s.")
    run_s = sum(answer.receipt.compute_us for answer in full[: full[0].receipt.batch]) / 1e6  # the first run is the fullest
    says = f"{run} takes {run_s * 1000:,.3f} ms of {limit_s:g} s."
    if run_s > CLOSE * limit_s:
        return Verdict("time", "warned", f"{says} That is close: raise timeout_s, or lower max_batch.")
    return Verdict("time", "passed", says)


async def _check_batches(engine: Engine, function: Description, bodies: Sequence[bytes], tolerance: float, *, fits: bool) -> Verdict:
    most = function.limits.max_batch
    if most == 1:
        return Verdict("batches", "skipped", "max_batch is 1: no call shares a batch.")
    if not fits:
        return Verdict("batches", "skipped", "A full batch ends its worker.")
    if dependent := await find_dependences(engine, bodies, tolerance):
        return Verdict("batches", "failed", f"{_told(dependent)} An answer may depend on its own input only.")
    if len(bodies) == 1:
        return Verdict("batches", "warned", "The one example had only itself for company. Write a second into examples.jsonl.")
    return Verdict("batches", "passed", f"{len(bodies)} inputs are answered alone as they are in batches of up to {most}.")


def _check_card(function: Description) -> Verdict:
    bars = read_bars(function.card)
    if short := [bar.shortfall for bar in bars if bar.shortfall]:
        return Verdict("card", "failed", _told(short))
    if not bars:
        return Verdict("card", "skipped", "There are no bars in [acceptance] of card.toml.")
    return Verdict("card", "passed", f"{', '.join(f'{bar.name} {bar.figure}' for bar in bars)}: bars cleared.")


def _told(reasons: Sequence[str]) -> str:
    more = [f"And {len(reasons) - SHOWN} more."] if len(reasons) > SHOWN else []
    return " ".join([*reasons[:SHOWN], *more])
