"""Figures of whole processes: an import, a server's first answer, one call from the command line."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from servers import SERVELITE, first_input, free_port, started, wait_for_answer
from table import Figure

HEAVY = ("starlette", "uvicorn", "onnxruntime", "numpy", "rich")
LOADED = f"import sys, servelite; print(*(name for name in {HEAVY} if name in sys.modules))"


def import_figures(rounds: int, work: Path) -> Iterator[Figure]:
    """Measure what `import servelite` adds to an interpreter's start."""
    bare, ours = alternate([_python("pass"), _python("import servelite")], rounds * 5, work)
    loaded = subprocess.run(_python(LOADED), check=True, capture_output=True, text=True, cwd=work, timeout=60).stdout.split()
    name = f"heavy packages that it loads, of {len(HEAVY)}"
    yield Figure.of("import servelite, beyond python -c pass", [b - a for a, b in zip(bare, ours, strict=True)], "ms", 60)
    yield Figure.of("  python -c pass", bare, "ms")
    yield Figure(name, len(loaded), asked=0, is_timing=False, note=" ".join(loaded))


def start_figures(function: Path, rounds: int, work: Path) -> Iterator[Figure]:
    """Measure how long `servelite run` takes until a call is answered."""
    _time_to_answer(function, work)  # the first start reads from the disk
    yield Figure.of(f"servelite run {function.name}, to its first 200", [_time_to_answer(function, work) for _ in range(rounds)], "s", 0.7)


def call_figures(function: Path, rounds: int, work: Path) -> Iterator[Figure]:
    """Measure one `servelite call`, and what importing its two heavy packages takes alone."""
    call = [SERVELITE, "call", str(function), first_input(function).decode()]
    ours, imports = alternate([call, _python("import onnxruntime, numpy")], rounds, work)
    yield Figure.of(f"servelite call {function.name}, whole process", [value / 1000 for value in ours], "s", 0.5)
    yield Figure.of("  python -c 'import onnxruntime, numpy'", [value / 1000 for value in imports], "s")


def _time_to_answer(function: Path, work: Path) -> float:
    port, body = free_port(), first_input(function)
    began_s = time.perf_counter()
    with started([SERVELITE, "run", str(function), "--port", str(port)], work) as process:
        wait_for_answer(process, port, f"/functions/{function.name}", body)
        return time.perf_counter() - began_s


def alternate(commands: Sequence[Sequence[str]], rounds: int, work: Path) -> list[list[float]]:
    """Run commands in turn, and return the times of each, ms; the first round, from the disk, does not count."""
    times = [[_run(command, work) for command in commands] for _ in range(rounds + 1)]
    return [list(column) for column in zip(*times[1:], strict=True)]


def _run(command: Sequence[str], work: Path) -> float:
    began_s = time.perf_counter()
    done = subprocess.run(command, check=False, cwd=work, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    took_ms = (time.perf_counter() - began_s) * 1000
    if done.returncode:
        raise RuntimeError(f"{json.dumps(command)} exited with {done.returncode}: {done.stderr.decode()[-500:]}")
    return took_ms


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]
