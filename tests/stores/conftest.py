"""Ledgers on all that there is: SQLite in a file, PostgreSQL on a real server, DynamoDB on a stand-in."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from servelite.stores.address import Address, address
from servelite.stores.database import Database
from servelite.stores.tables import Tables
from tests.postgres import GivenServer

DATABASES = ["sqlite", "postgres"]
LEDGERS = [*DATABASES, pytest.param("dynamodb", marks=pytest.mark.aws)]
TABLES = ["calls", "days", "journals", "keys", "answers", "claims"]


@pytest.fixture(scope="session")
def emptied(postgres_server: GivenServer) -> Iterator[Callable[[], str]]:
    """Return what empties a ledger's tables on PostgreSQL, which is faster than to make them, and returns its URL."""
    with postgres_server.schema() as url:
        address(url).open().close()
        with psycopg.connect(url, autocommit=True) as connection:

            def empty() -> str:
                connection.execute("; ".join(f"DELETE FROM {table}" for table in TABLES))
                return url

            yield empty


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of an empty ledger, whose tables stay as they are."""
    monkeypatch.chdir(tmp_path)  # where journals on their way to a server stand
    named: str = f"{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("emptied")()
    return named


@pytest.fixture
def place(url: str) -> Address:
    """Return where such a ledger stands."""
    return address(url)


@pytest.fixture
def db(place: Address) -> Iterator[Database]:
    """Return its database, open."""
    with closing(place.open()) as db:
        yield db


@pytest.fixture(params=LEDGERS)
def any_place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Address:
    """Return where an empty ledger stands, whatever it is kept in."""
    monkeypatch.chdir(tmp_path)
    if request.param == "dynamodb":
        return address(request.getfixturevalue("dynamodb"))
    return address(f"{tmp_path}/ledger.db" if request.param == "sqlite" else request.getfixturevalue("emptied")())


@pytest.fixture
def tables(any_place: Address) -> Iterator[Tables]:
    """Return its tables, open."""
    with closing(any_place.tables()) as tables:
        yield tables


@pytest.fixture(params=DATABASES)
def new_place(request: pytest.FixtureRequest, tmp_path: Path) -> Address:
    """Return where a ledger may stand that has no tables yet."""
    return address(f"{tmp_path}/new.db" if request.param == "sqlite" else request.getfixturevalue("postgres_schema"))
