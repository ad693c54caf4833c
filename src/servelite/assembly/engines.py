"""Engines, wired for where they run: a gateway with workers, one process for one call, or only to describe functions."""

import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from servelite.assembly.environment import DEFAULT_LEDGER, LambdaSurroundings, read_settings_file, worker_environment
from servelite.assembly.meters import open_direct_meter, open_meter
from servelite.core.errors import DefinitionError
from servelite.core.ports import Worker
from servelite.core.settings import Settings
from servelite.runtime.beside import Beside
from servelite.runtime.bodies import MIB
from servelite.runtime.engine import Engine
from servelite.runtime.environments import check_here, interpreter, runs_elsewhere
from servelite.runtime.folders import find_beside, find_function, find_functions
from servelite.runtime.ids import Ids, LastingIds
from servelite.runtime.machine import Cores, Machine, Memory
from servelite.runtime.metering import Meter
from servelite.runtime.pool import Pool
from servelite.runtime.resources import cores, default_memory_bytes


def gateway_engine(
    paths: Sequence[Path],
    ledger: str = DEFAULT_LEDGER,
    settings: Settings | None = None,
    max_body_bytes: int = 6 * MIB,
    memory_bytes: int | None = None,
    *,
    with_keeper: bool = True,
    with_those_beside: bool = False,
) -> Engine:
    """Wire an engine whose functions run in worker processes, which may use `memory_bytes` together.

    What their handlers call is served too where it stands beside them, if `with_those_beside`.

    Raises:
        DefinitionError: a path holds no function, or the ledger's name is unknown.
        LedgerUnavailable: the ledger can't be opened.
    """
    machine = Machine(Cores(cores()), Memory((memory_bytes or default_memory_bytes()) // 1024))
    found = find_functions(paths)
    meter = open_meter(ledger, settings or read_settings_file(), _now_us, with_keeper=with_keeper)
    engine = _engine(found, _new_process, meter, machine)
    engine.bodies.max_bytes = max_body_bytes
    engine.children.add = engine.add if with_those_beside else None
    return engine


def inline_engine(folder: Path, ledger: str = DEFAULT_LEDGER, settings: Settings | None = None) -> Engine:
    """Wire an engine that runs one function in this process.

    Raises:
        DefinitionError: the path is not a function, it needs another environment, or the ledger's name is unknown.
        LedgerUnavailable: the ledger can't be opened.
    """
    from servelite.worker.inline import InlineWorker

    found = find_functions([find_function(folder)])
    check_here(*found.values())
    known = settings or read_settings_file()
    beside = Beside(lambda: _engine_beside(found, ledger, known))
    machine = Machine(Cores(1), Memory(sys.maxsize))  # this process, for as long as it likes
    meter = open_meter(ledger, known, _now_us, with_keeper=False)
    engine = _engine(found, lambda _, folder, __: InlineWorker(folder, beside.ask, beside.stop), meter, machine, with_stages=False)
    engine.bodies.max_bytes = sys.maxsize
    return engine


def lambda_engine(
    surroundings: LambdaSurroundings, write: Callable[[str], None], request_id: Callable[[], str], settings: Settings | None = None
) -> Engine:
    """Wire an engine for a process that is frozen between calls: all functions run in it, those of pipelines and what handlers call too.

    A line for each call is written with `write`; `request_id` tells which event it is about.

    Raises:
        DefinitionError: there is no function, it needs another environment, or the ledger's name is unknown.
        LedgerUnavailable: the ledger can't be opened.
    """
    from servelite.stores.emf import LoggedLedger
    from servelite.worker.inline import InlineWorker
    from servelite.worker.onnx import intra_op_threads

    known = settings or read_settings_file()
    intra_op_threads.set(surroundings.threads)

    def new_engine(folders: Mapping[str, Path]) -> Engine:
        meter = open_direct_meter(surroundings.ledger, known, _now_us)
        meter.ledger = LoggedLedger(meter.ledger, write, request_id)
        # one worker a function, whatever it says: more in one process would run no faster
        machine = Machine(Cores(1, most_workers=1), Memory(sys.maxsize))
        ids = LastingIds(time.time, random.SystemRandom().getrandbits)  # copies of a process that was frozen have no state in common
        engine = _engine(folders, new_worker, meter, machine, ids=ids)
        engine.bodies.max_bytes = sys.maxsize  # what is too large for Lambda never comes here
        return engine

    def new_worker(_: str, folder: Path, __: int) -> Worker:
        check_here(folder)
        beside = Beside(partial(_only_beside, new_engine, {folder.name: folder}))
        return InlineWorker(folder, beside.ask, beside.stop)

    return new_engine(find_functions([surroundings.functions]))


async def start_local_engine(folder: Path, ledger: str = DEFAULT_LEDGER) -> Engine:
    """Start an engine for one function: in this process, or in workers where it is a pipeline, for its functions each want a process.

    Raises:
        DefinitionError: the path is not a function, or it can't be loaded.
        ServeliteError: it can't be started.
    """
    engine = inline_engine(folder, ledger)
    (name,) = engine.pools
    try:
        await _start_or_stop(engine)
    except DefinitionError:
        if not engine.resolution.is_pipeline(name):
            raise
        engine = gateway_engine([folder], ledger, max_body_bytes=sys.maxsize, with_keeper=False, with_those_beside=True)
        await _start_or_stop(engine)
    return engine


async def _start_or_stop(engine: Engine) -> None:
    try:
        await engine.start()
    except BaseException:
        await engine.stop()
        raise


def describing_engine(paths: Sequence[Path]) -> Engine:
    """Wire an engine that only loads functions: in this process, or in a worker where one has an environment of its own.

    Raises:
        DefinitionError: a path holds no function.
    """
    from servelite.worker.inline import InlineWorker

    def new_worker(name: str, folder: Path, threads: int) -> Worker:
        return _new_process(name, folder, threads) if runs_elsewhere(folder) else InlineWorker(folder)

    meter = open_meter("none", Settings(), _now_us, with_keeper=False)
    return _engine(find_functions(paths), new_worker, meter, Machine(Cores(1), Memory(sys.maxsize)))


def _new_process(name: str, folder: Path, threads: int) -> Worker:
    from servelite.runtime.worker_process import WorkerProcess

    def command(socket_fd: int) -> list[str]:
        return [interpreter(folder), "-P", "-m", "servelite.worker", str(folder), str(socket_fd), str(threads), str(os.getpid())]

    return WorkerProcess(command, worker_environment(threads), name)


def _engine_beside(folders: Mapping[str, Path], ledger: str, settings: Settings) -> Engine:
    machine = Machine(Cores(cores()), Memory(default_memory_bytes() // 1024))
    meter = open_meter(ledger, settings, _now_us, with_keeper=False)
    return _only_beside(lambda known: _engine(known, _new_process, meter, machine), folders)


def _only_beside(new_engine: Callable[[Mapping[str, Path]], Engine], folders: Mapping[str, Path]) -> Engine:
    """Wire an engine of what stands beside some folders, none of it before it is called."""
    engine = new_engine(folders)
    engine.pools.clear()
    engine.children.add = engine.add
    return engine


def _engine(
    folders: Mapping[str, Path],
    new_worker: Callable[[str, Path, int], Worker],
    meter: Meter,
    machine: Machine,
    *,
    with_stages: bool = True,
    ids: Ids | None = None,
) -> Engine:
    def monotonic_us() -> int:
        return time.monotonic_ns() // 1000

    known = dict(folders)

    def new_pool(name: str) -> Pool:
        pool = Pool(name, partial(new_worker, name, known[name]), meter, monotonic_us, machine)
        machine.memory.tenants = [*machine.memory.tenants, pool.workers]
        return pool

    def find_stage(name: str, pipeline: str) -> Pool | None:
        folder = find_beside(name, known[pipeline]) if with_stages else None
        if folder is None:
            return None
        known[name] = folder
        return new_pool(name)

    pools = {name: new_pool(name) for name in folders}
    ids = ids or Ids(time.time, random.Random().getrandbits)  # noqa: S311  they are unique, not secret; seeded from the system
    engine = Engine(pools, meter, machine.memory, ids, now_s=time.time, find_stage=find_stage)
    engine.folders = known
    return engine


def _now_us() -> int:
    return time.time_ns() // 1000
