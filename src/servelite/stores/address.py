"""What a ledger's URL names: which database, and where the journals of this machine stand."""

import contextlib
import functools
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from servelite.core.errors import DefinitionError
from servelite.core.ports import AccountBook
from servelite.core.settings import KEEP_DAYS
from servelite.stores.account_book import DatabaseAccountBook
from servelite.stores.database import Database
from servelite.stores.sql_tables import SqlTables
from servelite.stores.sqlite import SqliteDatabase
from servelite.stores.tables import Tables

KINDS = "Give a file's path, sqlite:///PATH, postgresql://USER@HOST/DATABASE, dynamodb://TABLE, or none."

LOCAL_FOLDER = Path(".servelite")
"""Where journals stand on their way to a database elsewhere: below the working directory."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a ledger stands, and how what it holds is opened.

    url      may hold a password; `name` is it as it may be shown
    exists   tells whether there may be something to read
    tables   opens its tables
    book     opens them for what a gateway reads again and again, by the gateway's name
    """

    url: str = field(repr=False)
    name: str
    journals: Path
    exists: Callable[[], bool]
    tables: Callable[[], Tables]
    book: Callable[[str], AccountBook]


@dataclass(frozen=True, slots=True)
class SqlAddress(Address):
    """Where a ledger stands in an SQL database; `file` is None where that is a server's."""

    open: Callable[[], Database]
    file: Path | None


def address(url: str, keep_days: int = KEEP_DAYS, *, for_one_thread: bool = False) -> Address:
    """Read a ledger's URL; `keep_days` counts where rows are told when they are written how long they stay.

    What is opened `for_one_thread` may share a connection, where making one is slow.

    Raises:
        DefinitionError: it is empty, of an unknown kind, or can't be read; or what it needs is not installed.
    """
    scheme, separator, rest = url.partition("://")
    if not url:
        raise DefinitionError(f"The ledger has no name. {KINDS}")
    if not separator and (kind := re.match(r"(postgres(ql)?|sqlite|dynamodb):", url)):
        raise DefinitionError(f"A ledger's URL has two slashes after '{kind[0]}'. {KINDS}")
    if scheme in ("postgresql", "postgres") and separator:
        return _server(url)
    if scheme == "dynamodb" and separator:
        return _dynamodb(url, keep_days, for_one_thread=for_one_thread)
    if separator and scheme != "sqlite":
        raise DefinitionError(f"No ledger of the kind '{scheme}'. {KINDS}")
    path = rest.removeprefix("/") if separator else url
    if not path:
        raise DefinitionError(f"{url} names no file. Write for example sqlite:///ledger.db.")
    return _file(url, Path(path))


@contextlib.contextmanager
def open_tables(url: str) -> Iterator[Tables]:
    """Open the tables of the keys for a while; DefinitionError where the ledger keeps nothing."""
    if url == "none":
        raise DefinitionError("Keys stand in the ledger, and --ledger none keeps nothing. Name a ledger, or leave the option out.")
    with contextlib.closing(address(url).tables()) as tables:
        yield tables


def _file(url: str, path: Path) -> Address:
    return _sql(url, str(path), path.with_name(path.name + ".journal"), lambda: SqliteDatabase(path), path)


def _server(url: str) -> Address:
    from servelite.stores.postgres import PostgresDatabase, read_url, shown

    parts = read_url(url)
    name = shown(parts)
    return _sql(url, name, _journals("postgresql", name), lambda: PostgresDatabase(parts, name))


def _dynamodb(url: str, keep_days: int, *, for_one_thread: bool) -> Address:
    from servelite.stores.dynamodb import Table, read_url, table_exists
    from servelite.stores.dynamodb_book import DynamoAccountBook
    from servelite.stores.dynamodb_tables import DynamoTables

    where = read_url(url)

    def open_table() -> Table:
        return Table(where)

    opened = functools.cache(open_table) if for_one_thread else open_table
    return Address(
        url,
        url,
        _journals("dynamodb", url),
        exists=lambda: table_exists(where),
        tables=lambda: DynamoTables(opened(), keep_days),
        book=lambda gateway: DynamoAccountBook(opened(), gateway),
    )


def _sql(url: str, name: str, journals: Path, open_database: Callable[[], Database], file: Path | None = None) -> Address:
    return SqlAddress(
        url,
        name,
        journals,
        exists=lambda: file is None or file.exists(),
        tables=lambda: SqlTables(open_database()),
        book=lambda gateway: DatabaseAccountBook(open_database(), gateway),
        open=open_database,
        file=file,
    )


def _journals(kind: str, name: str) -> Path:
    """Return where the journals of a ledger elsewhere stand: by a digest, for a name may hold anything."""
    return LOCAL_FOLDER / f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:12]}.journal"
