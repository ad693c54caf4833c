"""Figures of the AWS Lambda door when it is warm: what an event takes beyond the model's own run, in the same process."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from servers import HERE
from table import Figure

PROCESS = HERE / "lambdas" / "warm.py"
EVENTS = 400
"""Events of each kind a round."""


def warm_figures(function: Path, rounds: int) -> Iterator[Figure]:
    """Answer the first example of a function directly and as an HTTP event, in turn with its model's run alone."""
    command = [sys.executable, str(PROCESS), str(function), str(rounds), str(EVENTS)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    if done.returncode:
        raise RuntimeError(f"The Lambda door did not answer: {done.stderr[-500:]}")
    took: dict[str, list[float]] = json.loads(done.stdout.splitlines()[-1])  # what stands before is the log of the calls
    run_us = median(took["run"])
    yield _beyond("a direct event on Lambda, warm, beyond session.run", took["direct"], took["run"], 120)
    yield _beyond("an HTTP event on Lambda, warm, beyond session.run", took["http"], took["run"], 350)
    yield Figure("  session.run alone", run_us, "µs")


def _beyond(name: str, whole: list[float], run: list[float], asked: float) -> Figure:
    return Figure(name, median(whole) - median(run), "µs", asked, samples=[a - b for a, b in zip(whole, run, strict=True)])
