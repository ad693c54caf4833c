"""The fuse box: the one place where parts are chosen and wired, and the only reader of the environment."""

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

from servelite.core.accounts import ApiKey
from servelite.core.errors import DefinitionError
from servelite.core.ports import AccountBook, Ledger, Usage, Worker
from servelite.core.settings import Settings, read_settings
from servelite.runtime.accounts import Accounts
from servelite.runtime.beside import Beside
from servelite.runtime.engine import MIB, Engine
from servelite.runtime.environments import check_here, interpreter, runs_elsewhere
from servelite.runtime.folders import find_beside, find_function, find_functions
from servelite.runtime.keyring import hash_of
from servelite.runtime.machine import Cores, Machine, Memory
from servelite.runtime.metering import Meter
from servelite.runtime.pool import Pool
from servelite.runtime.quotas import Quotas
from servelite.runtime.resources import cores, default_memory_bytes
from servelite.stores import keys as key_table
from servelite.stores.address import address, open_database

DEFAULT_LEDGER = ".servelite/ledger.db"

SETTINGS_FILE = "servelite.toml"

KEY_VARIABLE = "SERVELITE_KEY"
"""Where `servelite call --url` finds the key that it shows."""


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
    parts = ledger, settings or read_settings_file(), machine
    engine = _engine(find_functions(paths), _new_process, *parts, with_keeper=with_keeper)
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
    engine = _engine(
        found, lambda _, folder, __: InlineWorker(folder, beside.ask, beside.stop), *parts, with_keeper=False, with_stages=False
    )
    engine.max_body_bytes = sys.maxsize
    return engine


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

    return _engine(find_functions(paths), new_worker, "none", Settings(), Machine(Cores(1), Memory(sys.maxsize)))


def read_usage(ledger: str, by: Sequence[str], span_us: tuple[int, int], account: str | None = None) -> dict[str, list[Usage]]:
    """Sum the calls of a ledger in several ways, all of one moment; another process may be writing it; none where it does not exist yet.

    Raises:
        LedgerUnavailable: the ledger can't be opened.
    """
    from servelite.stores.ledger import NoLedger, sum_usage

    return NoLedger().usage(by, *span_us) if ledger == "none" else sum_usage(address(ledger), by, span_us, account)


def shown_ledger(ledger: str) -> str:
    """Return a ledger's name as it may be shown: without the password that its URL may hold."""
    return ledger if ledger == "none" else address(ledger).name


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


def own_key() -> str | None:
    """Return the key that a client shows, from the environment; None where there is none, DefinitionError where it can't be one."""
    key = os.environ.get(KEY_VARIABLE)
    if key and not re.fullmatch("[!-~]{1,1000}", key):
        raise DefinitionError(
            f"{KEY_VARIABLE} holds no key: it has spaces, or signs that no key has. Put in what servelite keys create printed."
        )
    return key or None


def create_key(
    ledger: str, account: str, name: str, functions: Sequence[str], expires_us: int | None, *, is_admin: bool
) -> tuple[ApiKey, str]:
    """Make a key, and keep its hash in a ledger; return what is kept, and the key itself, which nobody can tell again.

    Raises:
        DefinitionError: the ledger keeps nothing, or its name is unknown.
        LedgerUnavailable: the ledger can't be written.
    """
    key_id = secrets.token_hex(8)
    shown = f"sl_{key_id}_{secrets.token_urlsafe(32)}"
    key = ApiKey(key_id, account, name, hash_of(shown.encode()), tuple(functions), is_admin, time.time_ns() // 1000, expires_us)
    with open_database(ledger) as db:
        key_table.add_key(db, key)
    return key, shown


def read_keys(ledger: str) -> list[ApiKey]:
    """Return the keys of a ledger, oldest first, expired and revoked ones among them; none where it does not exist yet.

    Raises:
        DefinitionError: the ledger keeps nothing, or its name is unknown.
        LedgerUnavailable: the ledger can't be read.
    """
    if ledger != "none" and not address(ledger).exists():
        return []
    with open_database(ledger) as db:
        return key_table.all_keys(db)


def revoke_key(ledger: str, key_id: str) -> ApiKey:
    """Make a key worth nothing from now on, and return it as it was before.

    Raises:
        DefinitionError: there is no such key.
        LedgerUnavailable: the ledger can't be written.
    """
    known = {key.id: key for key in read_keys(ledger)}
    if key_id not in known:
        raise DefinitionError(
            f"No key in the ledger {address(ledger).name} has the id '{key_id}'. See which there are: servelite keys list"
        )
    with open_database(ledger) as db:
        key_table.revoke_key(db, key_id, time.time_ns() // 1000)
    return known[key_id]


def worker_environment(environment: Mapping[str, str], threads: int) -> dict[str, str]:
    """Return a worker's environment: this one's without the key, with numpy's BLAS held to the worker's threads."""
    limits = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
    return {**limits, **{name: value for name, value in environment.items() if name != KEY_VARIABLE}}


def _new_process(name: str, folder: Path, threads: int) -> Worker:
    from servelite.runtime.worker_process import WorkerProcess

    def command(socket_fd: int) -> list[str]:
        return [interpreter(folder), "-P", "-m", "servelite.worker", str(folder), str(socket_fd), str(threads), str(os.getpid())]

    return WorkerProcess(command, worker_environment(os.environ, threads), name)


def _engine_beside(folders: Mapping[str, Path], ledger: str, settings: Settings) -> Engine:
    """Wire an engine of what stands beside some folders, none of it before it is called."""
    machine = Machine(Cores(cores()), Memory(default_memory_bytes() // 1024))
    engine = _engine(folders, _new_process, ledger, settings, machine, with_keeper=False)
    engine.pools.clear()
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
    with_stages: bool = True,
) -> Engine:
    def now_us() -> int:
        return time.time_ns() // 1000

    def monotonic_us() -> int:
        return time.monotonic_ns() // 1000

    gateway = secrets.token_hex(8)
    book, open_book = _ledger(ledger, settings, gateway, with_keeper=with_keeper)
    quotas = Quotas(settings.tariff, settings.allowances, settings.others, now_us)
    accounts = Accounts(gateway, quotas, now_us, open_book)
    # rows of a process that makes one call name no gateway: each would have a day's sums of its own, for ever
    meter = Meter(book, accounts, gateway if with_keeper else "", now_us)
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

    random_bits = random.Random().getrandbits  # noqa: S311  ids are unique, not secret; seeded from the system
    pools = {name: new_pool(name) for name in folders}
    engine = Engine(pools, meter, machine.memory, now_s=time.time, random_bits=random_bits, find_stage=find_stage)
    engine.folders = known
    return engine


def _ledger(url: str, settings: Settings, gateway: str, *, with_keeper: bool) -> tuple[Ledger, Callable[[], AccountBook] | None]:
    """Open a ledger, and tell how to open its account book."""
    from servelite.stores.account_book import DatabaseAccountBook
    from servelite.stores.keeper import start_keeper
    from servelite.stores.ledger import JournaledLedger, NoLedger

    if url == "none":
        return NoLedger(), None
    place = address(url)
    keeper = partial(start_keeper, url, settings.keep_days) if with_keeper else None
    return JournaledLedger(place, keeper, gateway if with_keeper else ""), lambda: DatabaseAccountBook(place.open(), gateway)
