"""What a ledger's URL names: which database, and where the journals of this machine stand."""

import contextlib
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from servelite.core.errors import DefinitionError
from servelite.stores.database import Database
from servelite.stores.sqlite import SqliteDatabase

KINDS = "Give a file's path, sqlite:///PATH, postgresql://USER@HOST/DATABASE, or none."

LOCAL_FOLDER = Path(".servelite")
"""Where journals stand on their way to a database elsewhere: below the working directory."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a ledger stands; `url` may hold a password, `name` is it as it may be shown, `file` None where it is a server's."""

    url: str = field(repr=False)
    name: str
    journals: Path
    file: Path | None
    open: Callable[[], Database]

    def exists(self) -> bool:
        """Tell whether there may be something to read."""
        return self.file is None or self.file.exists()


def address(url: str) -> Address:
    """Read a ledger's URL.

    Raises:
        DefinitionError: it is empty, of an unknown kind, or can't be read; or what it needs is not installed.
    """
    scheme, separator, rest = url.partition("://")
    if not url:
        raise DefinitionError(f"The ledger has no name. {KINDS}")
    if not separator and re.match(r"(postgres(ql)?|sqlite):", url):
        raise DefinitionError(f"A ledger's URL has two slashes after '{url.partition(':')[0]}:'. {KINDS}")
    if scheme in ("postgresql", "postgres") and separator:
        return _server(url)
    if separator and scheme != "sqlite":
        raise DefinitionError(f"No ledger of the kind '{scheme}'. {KINDS}")
    path = rest.removeprefix("/") if separator else url
    if not path:
        raise DefinitionError(f"{url} names no file. Write for example sqlite:///ledger.db.")
    return _file(url, Path(path))


@contextlib.contextmanager
def open_database(url: str) -> Iterator[Database]:
    """Open the database of the keys for a while; DefinitionError where the ledger keeps nothing."""
    if url == "none":
        raise DefinitionError("Keys stand in the ledger, and --ledger none keeps nothing. Name a ledger, or leave the option out.")
    with contextlib.closing(address(url).open()) as db:
        yield db


def _file(url: str, path: Path) -> Address:
    return Address(url, str(path), path.with_name(path.name + ".journal"), path, lambda: SqliteDatabase(path))


def _server(url: str) -> Address:
    """Name a database on a server; its journals by a digest, for a name may hold anything."""
    from servelite.stores.postgres import PostgresDatabase, read_url, shown

    parts = read_url(url)
    name = shown(parts)
    folder = LOCAL_FOLDER / f"postgresql-{hashlib.sha256(name.encode()).hexdigest()[:12]}.journal"
    return Address(url, name, folder, None, lambda: PostgresDatabase(parts, name))
