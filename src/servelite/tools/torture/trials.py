"""The trials by name, with the promise that each holds the server to, and how they are run one after the other."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from servelite.core.errors import ServeliteError
from servelite.tools.torture import clients, limits, overload, processes
from servelite.tools.torture.malformed import malformed
from servelite.tools.torture.stage import Stage
from servelite.tools.torture.target import Target
from servelite.tools.torture.verdict import Finding, Verdict, failed, skipped

TRIAL_WITHIN_S = 120.0
"""What one trial may take, whatever it meets."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One promise, and what puts it to the test: on the stage, on any server, or on both.

    needs_patience  it waits for the server's own patience to end, longer than a quick run has
    """

    name: str
    promise: str
    expected: str
    on_stage: Callable[[Stage], Awaitable[Finding]] | None = None
    on_target: Callable[[Target], Awaitable[Finding]] | None = None
    needs_patience: bool = False


_TIME = "A call past its time limit is stopped"
_TIME_EXPECTED = "504 timed_out at most 0.1 s late, its worker ended, its time metered, the next call answered"
_CRASH = "A crash costs one call"
_CRASH_EXPECTED = "502 worker_died within 0.2 s that names it, others and the next call answered"

TRIALS = (
    Trial("hang_python", _TIME, _TIME_EXPECTED, limits.hang_python),
    Trial("hang_native", f"{_TIME}, native code too", _TIME_EXPECTED, limits.hang_native),
    Trial("batch_mates", "A hung call costs its batch-mates nothing", "one 504, its mates 200", limits.batch_mates),
    Trial("exit", _CRASH, _CRASH_EXPECTED, limits.leave),
    Trial("segfault", _CRASH, _CRASH_EXPECTED, limits.segfault),
    Trial("abort", _CRASH, _CRASH_EXPECTED, limits.abort),
    Trial("secret", "What a handler raises stays inside", "500 function_failed without a word of it", limits.secret),
    Trial(
        "allocation", "A worker over its memory limit is stopped", "507 out_of_memory within 1 s, the next call answered", limits.allocation
    ),
    Trial("leak", "A worker that leaks is replaced between calls", "no call fails, memory stays below the limit", limits.leak),
    Trial(
        "malformed",
        "What is wrong is refused, and harms nobody",
        "the right 4xx, never 5xx, well afterwards",
        on_target=malformed,
    ),
    Trial("crossed", "Each client gets its own answer", "no answer of another, every request id once", on_target=clients.crossed),
    Trial(
        "slow_clients",
        "Slow clients are cut off, others notice nothing",
        "cut within 15 s, good calls answered meanwhile",
        on_target=clients.slow_clients,
        needs_patience=True,
    ),
    Trial(
        "disconnects",
        "Nothing is computed for clients that left",
        "at most 2 of 50 abandoned calls computed, the next call within 0.2 s",
        clients.disconnects,
        clients.leaving,
    ),
    Trial(
        "overload",
        "Ten times too much does not slow what can be done",
        "goodput 85 % of capacity, p99 within twice the time limit, 429 with Retry-After for the rest, under 50 MB more, "
        "/livez within 100 ms, a normal answer within 1 s after",
        overload.overload,
    ),
    Trial("kill_worker", "A worker killed from outside costs no call", "no call fails", processes.kill_worker),
    Trial("kill_gateway", "No worker outlives its gateway", "no worker left after 1 s", processes.kill_gateway),
    Trial("stop", "SIGTERM lets calls end", "0 of 100 in flight lost, exit code 0, no process left", processes.stop),
)


async def hold(
    trials: Sequence[Trial], place: Stage | Target, *, is_quick: bool = False, tell: Callable[[str], None] = lambda _: None
) -> list[Verdict]:
    """Hold the trials one after the other, on a stage or on a server that runs already; `tell` hears of each before it begins."""
    verdicts = []
    for number, trial in enumerate(trials, start=1):
        tell(f"{number}/{len(trials)} {trial.name}")
        found = skipped("left out by --quick") if is_quick and trial.needs_patience else await _find(trial, place)
        verdicts.append(Verdict(trial.name, trial.promise, trial.expected, found.seen, found.result, found.figure))
    return verdicts


async def _find(trial: Trial, place: Stage | Target) -> Finding:
    try:
        async with asyncio.timeout(TRIAL_WITHIN_S):
            return await _run(trial, place)
    except TimeoutError:
        return failed(f"it did not end within {TRIAL_WITHIN_S:g} s")
    except (ServeliteError, OSError) as error:
        return failed(f"it could not go on: {error}")


async def _run(trial: Trial, place: Stage | Target) -> Finding:
    if isinstance(place, Target):
        return await trial.on_target(place) if trial.on_target else skipped("needs faults, which only a server of its own can have")
    if trial.on_stage:
        return await trial.on_stage(place)
    assert trial.on_target is not None
    async with place.serve() as scene:
        return await trial.on_target(scene.target)
