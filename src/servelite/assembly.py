"""The fuse box: the one place where parts are chosen and wired, and the only reader of the environment."""

import contextlib
import os
import random
import re
import secrets
import sys
import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from servelite.core.errors import DefinitionError
from servelite.core.ports import AccountBook, Ledger, Usage, Worker
from servelite.core.settings import Settings, read_settings
from servelite.runtime.accounts import Accounts
from servelite.runtime.beside import Beside
from servelite.runtime.engine import MIB, Engine
from servelite.runtime.environments import check_here, interpreter
from servelite.runtime.folders import find_beside, find_function, find_functions
from servelite.runtime.machine import Cores, Machine, Memory
from servelite.runtime.metering import Meter
from servelite.runtime.pool import Pool
from servelite.runtime.quotas import Quotas
from servelite.stores.address import address

DEFAULT_LEDGER = ".servelite/ledger.db"

SETTINGS_FILE = "servelite.toml"

KEY_VARIABLE = "SERVELITE_KEY"

MAKE_A_KEY = f"Make one: export {KEY_VARIABLE}=$(python3 -c 'import secrets; print(secrets.token_urlsafe(32))')"


def gateway_engine(
    paths: Sequence[Path],
    ledger: str = DEFAULT_LEDGER,
    settings: Settings | None = None,
    max_body_bytes: int = 6 * MIB,
    memory_bytes: int | None = None,
    *,
    with_those_beside: bool = False,
) -> Engine:
    """Wire an engine whose functions run in worker processes, which may use `memory_bytes` together.

    What their handlers call is served too where it stands beside them, if `with_those_beside`.

    Raises:
        DefinitionError: a path holds no function, or the ledger's name is unknown.
        LedgerUnavailable: the ledger can't be opened.
    """
    machine = Machine(Cores(cores()), Memory((memory_bytes or default_memory_bytes()) // 1024))
    engine = _engine(find_functions(paths), _new_process, ledger, settings or read_settings_file(), machine)
    engine.max_body_bytes = max_body_bytes
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
    parts = ledger, known, machine
    engine = _engine(found, lambda _, folder, __: InlineWorker(folder, beside.ask, beside.stop), *parts, with_keeper=False)
    engine.max_body_bytes = sys.maxsize
    return engine


def read_usage(ledger: str, by: str, since_us: int, until_us: int, account: str | None = None) -> list[Usage]:
    """Sum the calls of a ledger, which another process may be writing; none where it does not exist yet.

    Raises:
        LedgerUnavailable: the ledger can't be opened.
    """
    from servelite.stores.ledger import sum_usage

    return [] if ledger == "none" else sum_usage(address(ledger), by, since_us, until_us, account)


def read_settings_file(path: Path | None = None) -> Settings:
    """Read `servelite.toml` of the working directory, or the file that is named; the defaults where there is none.

    Raises:
        DefinitionError: the named file can't be read, or what it says is not possible.
    """
    file = path or Path(SETTINGS_FILE)
    if path is None and not file.exists():
        return Settings()
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DefinitionError(
            f"{file} can't be read: {error}. It is TOML, with the tables [tariff], [accounts.NAME] and [ledger]."
        ) from error
    return read_settings(said, str(file))


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


def _new_process(name: str, folder: Path, threads: int) -> Worker:
    from servelite.runtime.worker_process import WorkerProcess

    def command(socket_fd: int) -> list[str]:
        return [interpreter(folder), "-P", "-m", "servelite.worker", str(folder), str(socket_fd), str(threads), str(os.getpid())]

    return WorkerProcess(command, worker_environment(os.environ, threads), name)


def _engine_beside(folders: Mapping[str, Path], ledger: str, settings: Settings) -> Engine:
    """Wire an engine of what stands beside some folders, none of it before it is called."""
    machine = Machine(Cores(cores()), Memory(default_memory_bytes() // 1024))
    engine = _engine(folders, _new_process, ledger, settings, machine, with_keeper=False, is_empty=True)
    engine.children.add = engine.add
    return engine


def _engine(
    folders: Mapping[str, Path],
    new_worker: Callable[[str, Path, int], Worker],
    ledger: str,
    settings: Settings,
    machine: Machine,
    *,
    with_keeper: bool = True,
    is_empty: bool = False,
) -> Engine:
    def now_us() -> int:
        return time.time_ns() // 1000

    def monotonic_us() -> int:
        return time.monotonic_ns() // 1000

    gateway = secrets.token_hex(4)
    book, open_book = _ledger(ledger, settings, gateway, with_keeper=with_keeper)
    quotas = Quotas(settings.tariff, settings.allowances, settings.others, now_us)
    accounts = Accounts(gateway, quotas, now_us, open_book)
    meter = Meter(book, accounts, gateway, now_us)
    known = dict(folders)

    def new_pool(name: str) -> Pool:
        pool = Pool(name, partial(new_worker, name, known[name]), meter, monotonic_us, machine)
        machine.memory.tenants = [*machine.memory.tenants, pool.workers]
        return pool

    def find_stage(name: str, pipeline: str) -> Pool | None:
        folder = find_beside(name, known[pipeline])
        if folder is None:
            return None
        known[name] = folder
        return new_pool(name)

    random_bits = random.Random().getrandbits  # noqa: S311  ids are unique, not secret; seeded from the system
    pools = {} if is_empty else {name: new_pool(name) for name in folders}
    return Engine(pools, meter, machine.memory, now_s=time.time, random_bits=random_bits, find_stage=find_stage)


def _ledger(url: str, settings: Settings, gateway: str, *, with_keeper: bool) -> tuple[Ledger, Callable[[], AccountBook] | None]:
    """Open a ledger, and tell how to open its account book."""
    from servelite.stores.account_book import DatabaseAccountBook
    from servelite.stores.keeper import start_keeper
    from servelite.stores.ledger import JournaledLedger, NoLedger

    if url == "none":
        return NoLedger(), None
    place = address(url)
    keeper = partial(start_keeper, url, settings.keep_days) if with_keeper else None
    return JournaledLedger(place, keeper), lambda: DatabaseAccountBook(place.open(), gateway)
