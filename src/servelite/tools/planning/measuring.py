"""Measuring a function here, in a worker process as it would be served: its start, its calls alone and in batches, its memory.

Time and CPU time are those of all workers that had a part in it: the stages of a pipeline, and what a handler calls, count too.
"""

import asyncio
import contextlib
import json
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from itertools import accumulate, cycle, islice
from pathlib import Path
from statistics import fmean, median

from servelite.assembly.engines import gateway_engine
from servelite.assembly.environment import worker_environment
from servelite.core.errors import DefinitionError, ServeliteError, wire_code
from servelite.core.function import Description
from servelite.core.settings import Settings
from servelite.runtime.batch_mates import answer_together
from servelite.runtime.engine import Engine
from servelite.runtime.environments import interpreter
from servelite.runtime.memory import peak_kib
from servelite.runtime.pool import QUEUE_LIMIT
from servelite.runtime.resources import cores
from servelite.tools.planning.profile import Profile

STARTS = 3

ROUNDS = 7
"""How often each example, and each size of batch, is run: the median counts, so what else the machine did meanwhile does not."""

MOST_EXAMPLES = 100

MOST_BATCH = 256
"""Larger batches are not measured: they take as much longer as they are larger."""

CLOCKS_US = 20
"""CPU time is taken around the other: its clock is read first, and last."""

COLD_WITHIN_S = 120.0
"""What a cold start and all examples may take; beyond, workers are seen instead."""

MOST_S = 10.0
"""After so long no further round is begun, nor a larger batch, for the calls alone and for the batches each."""


async def measure(folder: Path, tell: Callable[[str], None] = lambda _: None) -> Profile:
    """Measure the function of a folder with its examples; `tell` gets a line of what is done.

    Raises:
        DefinitionError: the folder is not a function that can be served, or has no examples.
        ServeliteError: an example fails, or a worker can't be run.
    """
    async with _running(folder) as engine:
        starts_us = [_init_us(engine)]
        profile = await _measure(engine, tell)
    for number in range(1, STARTS):
        tell(f"start {number + 1} of {STARTS}")
        async with _running(folder) as engine:
            starts_us.append(_init_us(engine))
    profile = replace(profile, init_us=round(median(starts_us)))
    tell("cold starts as on Lambda")
    seen = await asyncio.to_thread(lambda: [_cold_start(folder) for _ in range(STARTS)])
    if told := [one for one in seen if one]:
        cold_us, held_kib = (round(median(one[key] for one in told)) for key in ("init_us", "peak_kib"))
        return replace(profile, cold_us=max(0, cold_us - profile.alone_us[0]), peak_kib=held_kib)  # it has answered the first example
    return profile


def _cold_start(folder: Path) -> dict[str, int] | None:
    """Return what a cold start took and held; None where it can't be had, as of a pipeline whose stages have environments of their own."""
    told = {"SERVELITE_FUNCTIONS": str(folder.resolve()), "SERVELITE_FUNCTION": folder.resolve().name}
    surroundings = {**worker_environment(cores()), **told, "SERVELITE_LEDGER": "none", "SERVELITE_REQUIRE_KEY": "0"}
    command = [interpreter(folder), "-P", "-m", "servelite.tools.planning.cold_start", str(folder.resolve())]
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=COLD_WITHIN_S,
            check=True,
        )
        seen: dict[str, int] = json.loads(done.stdout)
    except (subprocess.SubprocessError, ValueError):
        return None
    return seen


@contextlib.asynccontextmanager
async def _running(folder: Path) -> AsyncIterator[Engine]:
    engine = gateway_engine([folder], "none", Settings(), with_those_beside=True)
    try:
        await engine.start()
        yield engine
    finally:
        await engine.stop()


async def _measure(engine: Engine, tell: Callable[[str], None]) -> Profile:
    """Measure all but the start."""
    name = next(iter(engine.pools))
    function = engine.describe(name)
    limits, bodies = function.limits, _bodies(function)
    most = min(limits.max_batch, QUEUE_LIMIT)  # more than that never wait
    await _run(engine, bodies[:1])  # what a handler calls is started by the first call of it
    for pool in engine.pools.values():
        pool.workers.most = 1  # another one that starts meanwhile would take the time of this one
    tell(f"{len(bodies)} examples, one by one")
    alone_us, used = await _alone(engine, bodies)
    held_kib = _peak_kib(engine)
    batches_us = await _batches(engine, bodies, min(most, MOST_BATCH), tell)
    rising_us = accumulate([round(fmean(alone_us)), *batches_us.values()], max)  # a larger batch takes no less: what seems so is noise
    sized_us = tuple(zip([1, *batches_us], rising_us, strict=True))
    bounds = most, limits.max_workers, limits.timeout_s, limits.memory_mib
    return Profile(name, tuple(alone_us), sized_us, 0, held_kib, used, *bounds)


def _bodies(function: Description) -> list[bytes]:
    if not function.examples:
        raise DefinitionError(
            f'{function.name} has no examples to measure it with. Write {{"input": …}} into {function.name}/examples.jsonl, one a line, '
            "of the kind and size that will be sent."
        )
    return [function.encode_input(example["input"]) for example in function.examples[:MOST_EXAMPLES]]


async def _run(engine: Engine, bodies: Sequence[bytes]) -> tuple[int, int]:
    """Have some inputs answered together; return the time and the CPU time that this took of all workers, µs."""
    before = _worked_us(engine)
    for number, answer in enumerate(await answer_together(engine, bodies), start=1):
        if answer.error is not None:
            which = f"Input {number} of a batch of {len(bodies)}" if len(bodies) > 1 else "An example"
            name = next(iter(engine.pools))
            raise ServeliteError(
                f"{which} of {name} is answered {wire_code(answer.error)}: {answer.error.detail} What fails can't be measured; "
                f"servelite check {name} says more."
            )
    after = _worked_us(engine)
    return after[0] - before[0], after[1] - before[1]


def _worked_us(engine: Engine) -> tuple[int, int]:
    seen = [pool.statistics for pool in engine.pools.values()]
    return sum(one.compute_us for one in seen), sum(one.cpu_us for one in seen)


async def _alone(engine: Engine, bodies: Sequence[bytes]) -> tuple[list[int], float]:
    """Return what each input takes alone, µs, and how many cores that uses."""
    times_us: list[list[int]] = [[] for _ in bodies]
    shares: list[float] = []
    until_s = time.monotonic() + MOST_S
    for number in range(ROUNDS):
        for body, seen_us in zip(bodies, times_us, strict=True):
            if number and time.monotonic() > until_s:
                break
            took_us, cpu_us = await _run(engine, [body])
            seen_us.append(took_us)
            shares.append(cores_used(took_us, cpu_us))
    return [max(1, round(median(seen_us))) for seen_us in times_us], median(shares)


def cores_used(took_us: int, cpu_us: int) -> float:
    """Return how many cores a run used; one, where the two times differ by no more than it takes to look at the clocks."""
    return 1.0 if abs(cpu_us - took_us) <= CLOCKS_US else cpu_us / max(1, took_us)


async def _batches(engine: Engine, bodies: list[bytes], most: int, tell: Callable[[str], None]) -> dict[int, int]:
    """Return what batches of several sizes take, µs: 2, 4, 8, … and the largest, as far as there is time."""
    times_us: dict[int, list[int]] = {size: [] for size in sizes(most)}
    until_s = time.monotonic() + MOST_S
    for number in range(ROUNDS):
        tell(f"batches, round {number + 1} of {ROUNDS}")
        for size, seen_us in times_us.items():
            if time.monotonic() > until_s:
                break
            took_us, _ = await _run(engine, list(islice(cycle(bodies[number % len(bodies) :] + bodies[: number % len(bodies)]), size)))
            seen_us.append(took_us)
    return {size: round(median(seen_us)) for size, seen_us in times_us.items() if seen_us}


def sizes(most: int) -> list[int]:
    """Return the sizes of batches that are measured, besides single calls."""
    doubled = [2**power for power in range(1, most.bit_length()) if 2**power < most]
    return [*doubled, most] if most > 1 else []


def _init_us(engine: Engine) -> int:
    return sum(lane.ready_us - lane.started_us for pool in engine.pools.values() for lane in pool.workers.lanes)


def _peak_kib(engine: Engine) -> int:
    """Return what all workers held at most, with what they started."""
    workers = [lane.worker for pool in engine.pools.values() for lane in pool.workers.lanes]
    return sum(max(peak_kib(worker.pid), worker.memory_kib(0)) for worker in workers)
