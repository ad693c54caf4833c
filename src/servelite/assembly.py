"""The fuse box: the one place where parts are chosen and wired, and the only reader of the environment."""

import contextlib
import os
import random
import re
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from servelite.core.errors import DefinitionError
from servelite.core.ports import Ledger, Usage, Worker
from servelite.runtime.engine import MIB, Engine
from servelite.runtime.environments import check_here, interpreter
from servelite.runtime.folders import find_function, find_functions
from servelite.runtime.machine import Cores, Machine, Memory
from servelite.runtime.metering import Meter
from servelite.runtime.pool import Pool

DEFAULT_LEDGER = ".servelite/ledger.db"

KEY_VARIABLE = "SERVELITE_KEY"

MAKE_A_KEY = f"Make one: export {KEY_VARIABLE}=$(python3 -c 'import secrets; print(secrets.token_urlsafe(32))')"


def gateway_engine(
    paths: Sequence[Path], ledger: str = DEFAULT_LEDGER, max_body_bytes: int = 6 * MIB, memory_bytes: int | None = None
) -> Engine:
    """Wire an engine whose functions run in worker processes, which may use `memory_bytes` together.

    Raises:
        DefinitionError: a path holds no function, or the ledger's name is unknown.
        LedgerUnavailable: the ledger can't be opened.
    """
    from servelite.runtime.worker_process import WorkerProcess

    def new_worker(name: str, folder: Path, threads: int) -> Worker:
        def command(socket_fd: int) -> list[str]:
            return [interpreter(folder), "-P", "-m", "servelite.worker", str(folder), str(socket_fd), str(threads), str(os.getpid())]

        return WorkerProcess(command, worker_environment(os.environ, threads), name)

    machine = Machine(Cores(cores()), Memory((memory_bytes or default_memory_bytes()) // 1024))
    return _engine(find_functions(paths), new_worker, open_ledger(ledger, with_keeper=True), machine, max_body_bytes)


def inline_engine(folder: Path, ledger: str = DEFAULT_LEDGER) -> Engine:
    """Wire an engine that runs one function in this process.

    Raises:
        DefinitionError: the path is not a function, it needs another environment, or the ledger's name is unknown.
        LedgerUnavailable: the ledger can't be opened.
    """
    from servelite.worker.inline import InlineWorker

    found = find_function(folder)
    check_here(found)
    machine = Machine(Cores(1), Memory(sys.maxsize))  # this process, for as long as it likes
    return _engine(find_functions([found]), lambda _, found, __: InlineWorker(found), open_ledger(ledger), machine, sys.maxsize)


def read_usage(ledger: str, by: str, since_us: int, until_us: int) -> list[Usage]:
    """Sum the calls of a ledger, which another process may be writing; none where it does not exist yet.

    Raises:
        LedgerUnavailable: the ledger can't be opened.
    """
    from servelite.stores.ledger import sum_usage

    exists = ledger != "none" and ledger_path(ledger).exists()
    return sum_usage(ledger_path(ledger), by, since_us, until_us) if exists else []


def open_ledger(url: str, *, with_keeper: bool = False) -> Ledger:
    """Open a ledger: a path, `sqlite:///PATH`, or `none`; DefinitionError for any other scheme."""
    from servelite.stores.keeper import start_keeper
    from servelite.stores.ledger import NoLedger, SqliteLedger

    return NoLedger() if url == "none" else SqliteLedger(ledger_path(url), start_keeper if with_keeper else None)


def ledger_path(url: str) -> Path:
    """Return the file that a ledger's URL names."""
    scheme, separator, rest = url.partition("://")
    if not url:
        raise DefinitionError("The ledger has no name. Give a file's path, sqlite:///PATH, or none.")
    if not separator:
        return Path(url)
    if scheme != "sqlite":
        raise DefinitionError(f"No ledger of the kind '{scheme}'. Give a file's path, sqlite:///PATH, or none.")
    if not rest.removeprefix("/"):
        raise DefinitionError(f"{url} names no file. Write for example sqlite:///ledger.db.")
    return Path(rest.removeprefix("/"))


def shared_key() -> str | None:
    """Return the key that calls show, from the environment; None where there is none, DefinitionError where it is weak."""
    key = os.environ.get(KEY_VARIABLE)
    if key and not re.fullmatch("[!-~]{32,}", key):
        raise DefinitionError(f"{KEY_VARIABLE} is not 32 or more letters, digits and signs. {MAKE_A_KEY}")
    return key or None


def required_key() -> str:
    """Return the key that calls show; DefinitionError where there is none."""
    key = shared_key()
    if key is None:
        raise DefinitionError(f"--require-key takes the key from {KEY_VARIABLE}, which is not set. {MAKE_A_KEY}")
    return key


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def worker_environment(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return a worker's environment: this one's without the key, with numpy's BLAS held to the worker's threads."""
    limits = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return {**limits, **{name: value for name, value in environment.items() if name != KEY_VARIABLE}}


def default_memory_bytes() -> int:
    """Return what workers may use together by default: four fifths of the memory of this machine, or of its container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # not in a container, or not limited ("max")
            total = min(total, int(Path(file).read_text()))
    return total * 4 // 5


def _engine(
    folders: Mapping[str, Path], new_worker: Callable[[str, Path, int], Worker], book: Ledger, machine: Machine, max_body_bytes: int
) -> Engine:
    meter = Meter(book, now_us=lambda: time.time_ns() // 1000)

    def now_us() -> int:
        return time.monotonic_ns() // 1000

    pools = {name: Pool(name, partial(new_worker, name, folder), meter, now_us, machine) for name, folder in folders.items()}
    machine.memory.tenants = [pool.workers for pool in pools.values()]
    random_bits = random.Random().getrandbits  # noqa: S311  ids are unique, not secret; seeded from the system
    return Engine(pools, book, machine.memory, now_s=time.time, random_bits=random_bits, max_body_bytes=max_body_bytes)
