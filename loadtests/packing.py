"""Figures of packages for AWS Lambda: their size, and how long they take to start; needs the package registry and a Python of Lambda's."""

import asyncio
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from servers import HERE
from table import Figure

from servelite.core.errors import ServiceError
from servelite.tools.packaging.account import Account
from servelite.tools.packaging.leaving import WHY
from servelite.tools.packaging.making import make
from servelite.tools.packaging.plan import Plan, find_contents, make_plan
from servelite.tools.packaging.pythons import compile_tree, find_python
from servelite.tools.packaging.target import HANDLER, default_target, here
from servelite.tools.packaging.wheels import Step, find_installer, resolve

HANDLERS = HERE / "lambdas"
BARE, FASTAPI = ("onnxruntime", "numpy"), ("onnxruntime", "numpy", "fastapi", "mangum")
STARTS = 5
"""Starts of each handler a round."""

INIT = """
import sys, time
sys.path.insert(0, sys.argv[1])
began = time.perf_counter()
module, _, name = sys.argv[2].rpartition(".")
handler = getattr(__import__(module, fromlist=[name]), name)
print((time.perf_counter() - began) * 1000)
"""
"""What is measured of a start: the handler's import, and all that it does; the interpreter's own start is the same for all."""


def package_figures(function: Path, rounds: int, work: Path) -> Iterator[Figure]:
    """Package a function, and measure it beside a bare handler and FastAPI; nothing, and why, where wheels can't be had."""
    try:
        yield from _figures(function, rounds, work)
    except ServiceError as error:
        _say(f"not measured: {error.detail}")


def _figures(function: Path, rounds: int, work: Path) -> Iterator[Figure]:
    plan = _plan(function, work)
    yield from _size_figures(make(plan, _say).account)
    with zipfile.ZipFile(plan.product) as package:
        package.extractall(work / "packaged")
    python = find_python(plan.proving.python) or sys.executable
    starts = [_packaged(python, work / "packaged", function.name)]
    for name, wanted in (("bare", BARE), ("with_fastapi", FASTAPI)):
        plain, compiled = _rivals(plan, name, wanted, function / "model.onnx", work)
        starts += [_start(python, compiled, f"{name}.handler"), _start(python, plain, f"{name}.handler")]
    yield from _init_figures(*_alternate(starts, rounds * STARTS))


def _plan(function: Path, work: Path) -> Plan:
    """Plan a package that can be started here: for Lambda's Python where there is one, else for the running one."""
    target = default_target() if find_python(default_target().python) else here()
    contents = asyncio.run(find_contents([function]))
    return make_plan(contents, target, work / "build", is_image=False, is_checked=False)


def _size_figures(account: Account) -> Iterator[Figure]:
    before, after, mb = account.before, account.after, 2**20
    resolved = before - sum(row.before for row in account.rows if row.after == 0 and row.why in WHY.values())
    bytecode = sum(row.after for row in account.rows if row.before == 0)
    yield Figure("package, of pip install 'servelite[aws]' and the function", after / before, asked=0.6, is_timing=False)
    yield Figure("  unpruned", before / mb, "MB")
    yield Figure("  package, bytecode included", after / mb, "MB")
    yield Figure("  of it, bytecode", bytecode / mb, "MB")
    yield Figure("  package, of what it was cut from: no gateway, no command line, no boto3", after / resolved)
    yield Figure("  the same without bytecode", (after - bytecode) / resolved)


def _init_figures(ours: Sequence[float], *others: Sequence[float]) -> Iterator[Figure]:
    """Compare the fastest starts: what else the machine does only makes them slower."""
    bare, bare_plain, fastapi, fastapi_plain = (min(one) for one in others)
    took = min(ours)
    yield Figure("init of the package, of a bare handler without bytecode", took / bare_plain, asked=1.25, samples=ours)
    yield Figure("  of a bare handler with bytecode made like the package's", took / bare)
    yield Figure("init of the package, of FastAPI + Mangum without bytecode", took / fastapi_plain, asked=0.5)
    yield Figure("  of FastAPI + Mangum with bytecode made like the package's", took / fastapi)
    names = ("package", "bare, with bytecode", "bare", "FastAPI + Mangum, with bytecode", "FastAPI + Mangum")
    for name, time_ms in zip(names, (took, bare, bare_plain, fastapi, fastapi_plain), strict=True):
        yield Figure(f"  {name}", time_ms, "ms")


def _rivals(plan: Plan, name: str, wanted: tuple[str, ...], model: Path, work: Path) -> tuple[Path, Path]:
    """Install a handler's packages as they come, and return its folder without and with bytecode."""
    steps = [Step("servelite", Path(), wanted)]
    plain = resolve(steps, find_installer(), plan.proving, work / name, _say)
    shutil.copy(HANDLERS / f"{name}.py", plain)
    shutil.copy(model, plain / "model.onnx")
    compiled = shutil.copytree(plain, work / f"{name}-compiled")
    compile_tree(compiled, plan.proving)
    return plain, compiled


def _packaged(python: str, tree: Path, function: str) -> tuple[list[str], dict[str, str]]:
    command, surroundings = _start(python, tree, HANDLER)
    return command, {**surroundings, "SERVELITE_FUNCTION": function}


def _start(python: str, tree: Path, handler: str) -> tuple[list[str], dict[str, str]]:
    """Return the command of a start: isolated, and without writing bytecode, for Lambda's folder is read-only."""
    return [python, "-ISB", "-c", INIT, str(tree), handler], {"LAMBDA_TASK_ROOT": str(tree), "PATH": os.defpath}


def _alternate(starts: Sequence[tuple[list[str], dict[str, str]]], rounds: int) -> list[list[float]]:
    """Start each in turn, and return the times of each, ms; the first round, from the disk, does not count."""
    times = [[_run(*start) for start in starts] for _ in range(rounds + 1)]
    return [list(column) for column in zip(*times[1:], strict=True)]


def _run(command: Sequence[str], surroundings: dict[str, str]) -> float:
    done = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise RuntimeError(f"{command[-1]} did not start: {done.stderr[-500:]}")
    return float(done.stdout.split()[-1])


def _say(line: str) -> None:
    print(f"  {line}", file=sys.stderr)
