"""A PostgreSQL server for tests: the one that SERVELITE_TEST_POSTGRES names, or one of their own, from the binaries of this machine."""

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg
import pytest

from tests.server import free_port, until

VARIABLE = "SERVELITE_TEST_POSTGRES"
BINARIES = "/usr/lib/postgresql"
PASSWORD = "not-to-be-seen-%&"
QUOTED_PASSWORD = "not-to-be-seen-%25%26"

FOR_SPEED = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=32MB", "autovacuum=off")


class GivenServer:
    """A server that somebody else runs; its URL names a role that may make databases."""

    def __init__(self, url: str) -> None:
        self._url = url

    def url(self, database: str) -> str:
        """Return the URL of one of its databases."""
        return urlsplit(self._url)._replace(path=f"/{database}").geturl()

    def ask(self, statement: str, database: str | None = None) -> list[tuple[Any, ...]]:
        """Run a statement as the role that may do all, and return its rows."""
        with psycopg.connect(self.url(database) if database else self._url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def database(self, how: str = "ENCODING 'UTF8' TEMPLATE template0") -> Iterator[str]:
        """Make a database, and return its URL; it goes with the block, whoever still uses it."""
        name = f"servelite_{secrets.token_hex(6)}"
        self.ask(f"CREATE DATABASE {name} {how}")
        try:
            yield self.url(name)
        finally:
            self.ask(f"DROP DATABASE {name} WITH (FORCE)")

    @contextlib.contextmanager
    def schema(self) -> Iterator[str]:
        """Make a schema, which is faster than a database of its own, and return a URL that leads into it; it goes with the block."""
        name = f"servelite_{secrets.token_hex(6)}"
        self.ask(f"CREATE SCHEMA {name}")
        parts = urlsplit(self._url)
        try:
            yield parts._replace(query="&".join(filter(None, [parts.query, f"options=-csearch_path%3D{name}"]))).geturl()
        finally:
            self.ask(f"DROP SCHEMA {name} CASCADE")


class OwnServer(GivenServer):
    """A server on a free port of this machine, all it has in a folder of its own; it may be stopped and started again."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._folder = Path(tempfile.mkdtemp(prefix="servelite-postgres-"))
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            shutil.chown(self._folder, "postgres")
            self._as = {"user": "postgres", "group": "postgres", "extra_groups": []}
        self.port = free_port()
        super().__init__(f"postgresql://tester:{QUOTED_PASSWORD}@127.0.0.1:{self.port}/postgres")
        (self._folder / "password").write_text(PASSWORD)
        command = ["initdb", "--pgdata", "data", "--username", "tester", "--pwfile", "password", "--auth", "scram-sha-256", "--no-sync"]
        self._run(*command, "--encoding", "UTF8", "--no-locale", "--no-instructions")

    def start(self) -> Self:
        """Start it, and wait until it answers."""
        settings = [f"-c{one}" for one in FOR_SPEED]
        command = ["postgres", "-D", "data", "-p", str(self.port), "-h", "127.0.0.1", "-k", str(self._folder), *settings]
        with (self._folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(self._found(command), cwd=self._folder, stdout=log, stderr=log, **self._as)
        until(self._answers)
        return self

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """End it with a signal, by default in the middle of whatever it does."""
        self._process.send_signal(number)
        self._process.wait()

    def remove(self) -> None:
        """Delete all it had."""
        shutil.rmtree(self._folder)

    def _answers(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log.txt").read_text()
        with contextlib.suppress(psycopg.OperationalError):
            return bool(self.ask("SELECT 1"))
        return False

    def _run(self, *command: str) -> None:
        done = subprocess.run(self._found(list(command)), cwd=self._folder, capture_output=True, text=True, check=False, **self._as)
        assert done.returncode == 0, done.stderr

    def _found(self, command: list[str]) -> list[str]:
        return [str(self._binaries / command[0]), *command[1:]]


def binaries() -> Path | None:
    """Return where the binaries of the newest PostgreSQL are, on the path or where Debian puts them."""
    found = shutil.which("initdb")
    known = sorted(Path(BINARIES).glob("*/bin/initdb"), key=lambda file: float(file.parts[-3]))
    return Path(found).resolve().parent if found else known[-1].parent if known else None


def missing(reason: str, environment: Mapping[str, str]) -> None:
    """Skip the test, or have it fail where all of them are to be held: in CI."""
    if environment.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@contextlib.contextmanager
def own_server(environment: Mapping[str, str]) -> Iterator[OwnServer]:
    """Run a server for a block; the test is skipped where this machine has none."""
    found = binaries()
    if found is None:
        missing(f"no PostgreSQL here: neither initdb on the path nor {BINARIES}/*/bin. apt-get install postgresql", environment)
    assert found is not None
    server = OwnServer(found)
    try:
        yield server.start()
    finally:
        server.stop()
        server.remove()


@contextlib.contextmanager
def any_server(environment: Mapping[str, str]) -> Iterator[GivenServer]:
    """Return the server that is named in the environment, or run one for a block."""
    given = environment.get(VARIABLE)
    if given:
        yield GivenServer(given)
    else:
        with own_server(environment) as server:
            yield server
