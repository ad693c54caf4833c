"""The promise of the ledger: every call that was answered is in it, once, whoever is killed and whatever is away meanwhile."""

import asyncio
import contextlib
import json
import os
import random
import resource
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from servelite.stores.address import address
from servelite.stores.journal import Journal
from servelite.stores.moving import move_journals
from servelite.stores.sql_tables import SqlTables
from tests.functional.crowd import calling, read_answer
from tests.functional.ledger import FROM_RECEIPT, read_rows, usage, wait_for_rows
from tests.functional.promises import Measured, StartServer
from tests.postgres import PASSWORD, QUOTED_PASSWORD, OwnServer
from tests.server import Server, free_port, is_running, parse_dictionary, until
from tests.stores.rows import row

pytestmark = pytest.mark.slow

CALLS = 10_000
CLIENTS = 32
KILLS = ["worker"] * 20 + ["gateway"] * 10 + ["keeper"] * 3
ROW_US = 15.0
"""CPU that moving one row may take; a test allows three times that, for a busy machine."""

Rows = dict[str, dict[str, Any]]


class Clients:
    """Call until they are told to stop; where the connection breaks, they connect anew."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports
        self._more = asyncio.Condition()
        self.is_over = False
        self.answers: list[tuple[int, str, dict[str, int | bool] | None]] = []
        self.good = 0
        self.refused: Counter[str] = Counter()

    async def call(self, clients: int) -> None:
        await asyncio.gather(*(self._client(self._ports[number % len(self._ports)]) for number in range(clients)))

    async def have(self, count: int) -> None:
        """Wait until so many calls were answered with 200."""
        async with self._more:
            await self._more.wait_for(lambda: self.good >= count)

    async def _client(self, port: int) -> None:
        while not self.is_over:
            try:
                await self._call_on_one_connection(port)
            except (OSError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.01)  # nobody listens while the gateway starts

    async def _call_on_one_connection(self, port: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            while not self.is_over:
                body = str(self.good).encode()
                head = "POST /functions/double HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                status, headers, answer = await read_answer(reader)
                receipt = headers.get("servelite-receipt")
                self.answers.append((status, headers["x-request-id"], parse_dictionary(receipt) if receipt else None))
                if status == 200:
                    assert int(answer) == 2 * int(body)
                elif not receipt:
                    self.refused[json.loads(answer)["code"]] += 1
                async with self._more:
                    self.good += status == 200
                    self._more.notify_all()
        finally:
            writer.close()


class Gateways:
    """Servers on one ledger, each in a folder of its own, that are killed and started again on the same port."""

    def __init__(self, function: Path, ledger: str, folders: list[Path]) -> None:
        self._arguments = [function, "--ledger", ledger]
        self.servers = [Server(*self._arguments, "--port", str(free_port()), cwd=folder).wait_ready() for folder in folders]
        self.killed: Counter[str] = Counter()

    def kill(self, what: str, number: int) -> None:
        """Kill a worker, the keeper, or the gateway itself, which is then started again."""
        server = self.servers[number % len(self.servers)]
        if what == "gateway":
            server.process.kill()
            server.kill()
            again = Server(*self._arguments, "--port", str(server.port), cwd=server.cwd)
            self.servers[self.servers.index(server)] = again
            again.wait_ready()
        else:
            pids = until(server.workers if what == "worker" else server.keepers)
            with contextlib.suppress(ProcessLookupError):
                os.kill(min(pids), signal.SIGKILL)
        self.killed[what] += 1

    def end(self) -> None:
        for server in self.servers:
            server.kill()


@pytest.fixture(params=["sqlite", "postgres", "two gateways on postgres"])
def gateways(request: pytest.FixtureRequest, functions: Path, tmp_path: Path) -> Iterator[tuple[Gateways, str, Callable[[], Rows]]]:
    """Return gateways on a ledger, its URL, and a reader of its rows."""
    folders = [tmp_path / name for name in ("one", "two")][: 2 if request.param.startswith("two") else 1]
    for folder in folders:
        folder.mkdir()
    url: str = str(tmp_path / "ledger.db") if request.param == "sqlite" else request.getfixturevalue("postgres")
    started = Gateways(functions / "double", url, folders)
    try:
        yield started, url, lambda: read_sqlite(Path(url)) if request.param == "sqlite" else read_postgres(url)
    finally:
        started.end()


def read_sqlite(path: Path) -> Rows:
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
        ledger.row_factory = sqlite3.Row
        return {row["id"]: dict(row) for row in ledger.execute("SELECT * FROM calls")}


def read_postgres(url: str) -> Rows:
    with psycopg.connect(url, row_factory=dict_row) as ledger:
        return {row["id"]: row for row in ledger.execute("SELECT * FROM calls")}


def test_ten_thousand_answered_calls_are_in_the_ledger_once_whoever_is_killed(
    gateways: tuple[Gateways, str, Callable[[], Rows]], measured: Measured
) -> None:
    servers, url, read = gateways
    clients = Clients([server.port for server in servers.servers])
    deaths = random.Random(4).sample(KILLS, len(KILLS))

    async def kill_meanwhile() -> None:
        for number, what in enumerate(deaths, start=1):
            await clients.have(CALLS * number // (len(deaths) + 1))
            await asyncio.to_thread(servers.kill, what, number)
        await clients.have(CALLS)
        clients.is_over = True

    async def run() -> None:
        await asyncio.gather(clients.call(CLIENTS), kill_meanwhile())

    asyncio.run(run())
    assert [server.stop() for server in servers.servers] == [0] * len(servers.servers)
    rows = read()
    check_answers(clients, rows)
    for server in servers.servers:
        check_sums(server.cwd, url, rows)
        assert not list(server.cwd.rglob("*.journal/*")), "rows were left in a journal"
    answered = len(clients.answers) - clients.refused.total()
    unheard = len(rows) - answered
    measured("answered calls that are in the ledger once", f"{answered} of {answered}", asked="all of 10,000")
    measured("meanwhile killed", ", ".join(f"{count} {what}s" for what, count in servers.killed.items()), asked="20 workers, 10 gateways")
    measured("rows of calls whose answer a kill cut off", str(unheard), asked="at most one a client and killed gateway")
    assert servers.killed == Counter(KILLS)
    assert 0 <= unheard <= CLIENTS * servers.killed["gateway"]


def check_answers(clients: Clients, rows: Rows) -> None:
    """Check that each answer with a receipt has its row, to the microsecond, that no two have the same, and that the others have none."""
    assert clients.good >= CALLS
    assert len({call for _, call, _ in clients.answers}) == len(clients.answers)
    assert set(clients.refused) <= {"no_worker"}, clients.refused
    for status, call, receipt in clients.answers:
        if receipt is None:
            assert (status, call in rows) == (503, False)
            continue
        row = rows[call]
        assert {name: row[name] for name in FROM_RECEIPT} == {name: receipt[key] for name, key in FROM_RECEIPT.items()}
        assert (row["status"], bool(row["cold"])) == (status, receipt["cold"])


def check_sums(folder: Path, url: str, rows: Rows) -> None:
    """Check that `servelite usage` says what the rows say."""
    for by in ("function", "account", "day"):
        groups = usage(folder, "--by", by, "--ledger", url)["usage"]
        for name in ("compute_us", "cpu_us", "billed_us"):
            assert sum(group[name] for group in groups) == sum(row[name] for row in rows.values())
        assert sum(group["calls"] for group in groups) == len(rows)
        assert sum(group["failed"] for group in groups) == sum(row["code"] != "ok" for row in rows.values())


@contextlib.contextmanager
def full_disk(server: Server, free_bytes: int) -> Iterator[None]:
    """Let the server's journal grow by no more than this inside the block: writing then fails as on a full disk."""
    (file,) = (server.cwd / ".servelite" / "ledger.db.journal").glob("*.jsonl")
    before = resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (file.stat().st_size + free_bytes, before[1]))
    try:
        yield
    finally:
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("free_bytes", [0, 100], ids=["not a byte is free", "half a row fits"])
def test_a_full_disk_refuses_calls_and_service_returns_by_itself(
    functions: Path, start_server: StartServer, tmp_path: Path, free_bytes: int
) -> None:
    server = start_server(functions / "double")
    answered = [server.call("double", number) for number in range(300)]
    with full_disk(server, free_bytes):
        refused = [server.call("double", number) for number in range(10)]
    for reply in refused:
        problem = reply.json()
        assert (reply.status, problem["code"], int(reply.headers["Retry-After"]) > 0) == (503, "ledger_unavailable", True)
        assert "could not be metered, so it is not answered" in problem["detail"]
        assert str(tmp_path) not in problem["detail"]
    answered += [server.call("double", number) for number in range(10)]
    assert {reply.status for reply in answered} == {200}
    assert server.stop() == 0
    assert read_rows(tmp_path).keys() == {reply.headers["X-Request-Id"] for reply in answered}


def test_calls_are_answered_while_another_process_holds_the_database(
    functions: Path, start_server: StartServer, tmp_path: Path, measured: Measured
) -> None:
    server = start_server(functions / "double")
    answered = [server.call("double", 0)]
    wait_for_rows(tmp_path, 1)
    with contextlib.closing(sqlite3.connect(tmp_path / ".servelite" / "ledger.db", isolation_level=None)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        answered += [server.call("double", number) for number in range(100)]
        until(lambda: "rows stay in the journal for now" in server.errors())
        answered += [server.call("double", number) for number in range(100)]
        assert len(read_rows(tmp_path)) == 1
        holder.execute("ROLLBACK")
    begun_s = time.monotonic()
    rows = wait_for_rows(tmp_path, 201)
    measured("rows arrived after the lock went", f"{time.monotonic() - begun_s:.1f} s", asked="5 s, and those of a move")
    assert {reply.status for reply in answered} == {200}
    assert rows.keys() == {reply.headers["X-Request-Id"] for reply in answered}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "killed"])
def test_calls_are_answered_while_postgresql_is_away_and_arrive_once(
    functions: Path, start_server: StartServer, own_postgres: OwnServer, tmp_path: Path, number: signal.Signals
) -> None:
    url = own_postgres.url("postgres")
    server = start_server(functions / "double", "--ledger", url)
    with calling(server, clients=8) as calls:
        for _ in range(3):
            seen = len(calls.latencies)
            until(lambda seen=seen: len(calls.latencies) > seen + 200)
            own_postgres.stop(number)
            seen = len(calls.latencies)
            until(lambda seen=seen: len(calls.latencies) > seen + 200)
            own_postgres.start()
    assert calls.errors == []
    until(lambda: len(read_postgres(url)) == len(calls.latencies))
    assert server.stop() == 0
    rows = read_postgres(url)
    assert len(rows) == len(calls.latencies)
    check_sums(tmp_path, url, rows)
    assert PASSWORD not in server.errors()
    assert QUOTED_PASSWORD not in server.errors()


def test_a_server_that_was_killed_while_postgresql_was_away_loses_no_call(
    functions: Path, start_server: StartServer, own_postgres: OwnServer, tmp_path: Path
) -> None:
    url = own_postgres.url("postgres")
    server = start_server(functions / "double", "--ledger", url)
    replies = [server.call("double", number) for number in range(20)]
    own_postgres.stop()
    replies += [server.call("double", number) for number in range(20)]
    keepers = server.keepers()
    server.kill()
    until(lambda: not any(map(is_running, keepers)))
    own_postgres.start()
    assert [group["calls"] for group in usage(tmp_path, "--ledger", url)["usage"]] == [40]  # it moves what was left
    assert read_postgres(url).keys() == {reply.headers["X-Request-Id"] for reply in replies}


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_moving_a_row_costs_little(request: pytest.FixtureRequest, tmp_path: Path, measured: Measured, kind: str) -> None:
    url = str(tmp_path / "ledger.db") if kind == "sqlite" else request.getfixturevalue("postgres")
    rows = [row(account=f"a{n % 5}", key_id="k1234567", version="0123456789ab", memory_mib=512, gateway="01234567") for n in range(32_000)]
    journal = Journal(tmp_path / "journal")
    for at in range(0, len(rows), 8):
        journal.append(rows[at : at + 8])
    with contextlib.closing(address(url).open()) as db:
        begun_s = time.process_time()
        move_journals(SqlTables(db), tmp_path / "journal")
        row_us = (time.process_time() - begun_s) / len(rows) * 1e6
        assert db.query("SELECT count(*) FROM calls") == [(len(rows),)]
    journal.close()
    measured(f"CPU of the keeper for a row into {kind}", f"{row_us:.1f} µs", asked=f"{ROW_US:.0f} µs")
    assert row_us < 10 * ROW_US
