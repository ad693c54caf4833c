"""Ledgers on every database: SQLite in a file, and PostgreSQL on a real server."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from servelite.stores.address import Address, address
from servelite.stores.database import Database


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a ledger that does not exist yet."""
    monkeypatch.chdir(tmp_path)  # where journals on their way to a server stand
    if request.param == "sqlite":
        return f"{tmp_path}/ledger.db"
    named: str = request.getfixturevalue("postgres_schema")
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
