"""What tests share: function folders written for one test, and real servers that end with it."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import HealthCheck, settings

from tests.ministack import CREDENTIALS, Ministack, new_table, running
from tests.postgres import GivenServer, OwnServer, any_server, own_server
from tests.server import Server

# a shell has what it runs in the background ignore Ctrl-C, and so would all that the tests start
signal.signal(signal.SIGINT, signal.default_int_handler)

FolderWriter = Callable[..., Path]

# a busy machine is no bug; and what lands is tried with the same examples each time, others are tried at home
settings.register_profile(
    "servelite", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize="CI" in os.environ, print_blob=True
)
settings.load_profile("servelite")

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # tests start hundreds of processes: each would compile servelite anew


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio."""
    return "asyncio"


@pytest.fixture
def write_function(tmp_path: Path) -> FolderWriter:
    """Return a writer of function folders: write_function("name", handler source, "examples.jsonl": text, …)."""

    def write(name: str, source: str, files: dict[str, str] | None = None) -> Path:
        folder = tmp_path / "functions" / name
        folder.mkdir(parents=True)
        (folder / "handler.py").write_text(dedent(source), encoding="utf-8")
        for file, content in (files or {}).items():
            (folder / file).write_text(content, encoding="utf-8")
        return folder

    return write


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return a starter of real servers: start_server(path, …, "--option", …); they end with the test."""
    servers: list[Server] = []

    def start(*arguments: str | Path) -> Server:
        servers.append(Server(*arguments, cwd=tmp_path))
        return servers[-1].wait_ready()

    yield start
    for server in servers:
        server.kill()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[GivenServer]:
    """Return a PostgreSQL server that all tests share."""
    with any_server(os.environ) as server:
        yield server


@pytest.fixture
def postgres(postgres_server: GivenServer) -> Iterator[str]:
    """Return the URL of an empty database on PostgreSQL, which ends with the test."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture
def postgres_schema(postgres_server: GivenServer) -> Iterator[str]:
    """Return the URL of an empty schema on PostgreSQL, which ends with the test."""
    with postgres_server.schema() as url:
        yield url


@pytest.fixture
def own_postgres() -> Iterator[OwnServer]:
    """Return a PostgreSQL server that the test may stop, and start again."""
    with own_server(os.environ) as server:
        yield server


@pytest.fixture(scope="session")
def aws_stack() -> Iterator[Ministack]:
    """Return a stand-in for AWS that all tests share."""
    with running() as stack:
        yield stack


@pytest.fixture
def aws_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put credentials for it into the environment."""
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def own_aws_stack(aws_credentials: None) -> Iterator[Ministack]:
    """Return a stand-in for AWS that the test may stop, and start again."""
    with running() as stack:
        yield stack


@pytest.fixture
def dynamodb(aws_stack: Ministack, aws_credentials: None) -> str:
    """Return the URL of a ledger on DynamoDB that has no table yet, and the credentials in the environment."""
    return f"dynamodb://{new_table()}?endpoint={aws_stack.url}"
