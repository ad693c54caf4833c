"""The ledger's tables in PostgreSQL, for several gateways that share one account book; psycopg has its room here."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from typing import Any
from urllib.parse import quote

from servelite.core.errors import DefinitionError, LedgerUnavailable
from servelite.stores.database import newer, unusable
from servelite.stores.migrations import POSTGRES

DEFAULTS = {
    "application_name": "servelite",
    "connect_timeout": "5",
    # a server that vanished without a word is given up after half a minute, not after the system's two hours
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "4",
    "tcp_user_timeout": "30000",
}
"""What a URL may say otherwise."""

SESSION = "-c timezone=UTC -c statement_timeout=30s -c idle_in_transaction_session_timeout=60s"
"""How long the server lets us take; no statement of ours comes near, and what a vanished gateway holds is let go."""

WHICH = ("hostaddr", "service", "options")
"""Parts after the ? that tell one ledger from another; all others, passwords among them, are never shown."""

HOW_TO_WRITE = (
    "Write postgresql://USER@HOST:PORT/DATABASE, signs like / ? # @ : % in a name or password as %2F %3F %23 %40 %3A %25, "
    "and after a ? only parameters that libpq knows."
)

CHUNK, CHUNK_WITH_BYTES = 4000, 16
"""Rows one statement inserts; all of a transaction's, as a rule, so that the trigger adds to sums once and in order."""

TYPES = {str: "text", int: "bigint", bytes: "bytea"}

RIGHTS = """
    SELECT current_setting('server_encoding') = 'UTF8', current_setting('transaction_read_only') = 'off' AND (
      SELECT bool_and(has_table_privilege(name, may)) FROM
        unnest(ARRAY['calls', 'days', 'journals', 'keys', 'answers', 'claims']) AS name,
        unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS may)
"""


def read_url(url: str) -> dict[str, str]:
    """Return the parts of a URL, by PostgreSQL's names for them.

    Raises:
        DefinitionError: it can't be read, or psycopg is not installed.
    """
    try:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise DefinitionError("A ledger on PostgreSQL needs psycopg. Install it: pip install 'servelite[postgres]'") from error
    try:
        parts = {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except ProgrammingError:  # its words may hold a piece of the password, so they are told to nobody
        raise DefinitionError(f"The ledger's URL can't be read. {HOW_TO_WRITE}") from None
    ports = parts.get("port", "").split(",")
    if not all(port == "" or (port.isascii() and port.isdigit() and 0 < int(port) < 65536) for port in ports):
        raise DefinitionError(f"The port in the ledger's URL is no number from 1 to 65535. {HOW_TO_WRITE}")
    if "@" in "".join(re.split("[/?]", url.partition("://")[2], maxsplit=1)[1:]):  # a password with a / or ? ends too early
        raise DefinitionError(f"The ledger's URL has an @ after its host. {HOW_TO_WRITE}")
    return parts


def shown(parts: Mapping[str, str]) -> str:
    """Write a URL as it may be shown: what tells one ledger from another, and no more."""
    hosts, ports = parts.get("host", "").split(","), parts.get("port", "").split(",")
    where = ",".join(_quoted_host(host) + (port and f":{port}") for host, port in zip(hosts, cycle(ports), strict=False))
    user = f"{quote(parts['user'], safe='')}@" if "user" in parts else ""
    more = "&".join(f"{name}={quote(parts[name], safe='')}" for name in WHICH if name in parts)
    return f"postgresql://{user}{where}/{quote(parts.get('dbname', ''), safe='')}{more and f'?{more}'}"


def _quoted_host(host: str) -> str:
    return f"[{host}]" if ":" in host else quote(host, safe="")


class PostgresDatabase:
    """The `Database` of a server's database."""

    def __init__(self, parts: Mapping[str, str], name: str) -> None:
        """Connect, and make or migrate the tables; `name` is the URL as it may be shown. LedgerUnavailable where that is impossible."""
        import psycopg

        self._name = name
        self._error = psycopg.Error
        # the last is what PostgreSQL says of a text that is too long for an index
        self._refused = psycopg.DataError, psycopg.IntegrityError, UnicodeError, psycopg.errors.ProgramLimitExceeded
        try:
            said: Any = {**DEFAULTS, **parts, "client_encoding": "utf8", "options": f"{SESSION} {parts.get('options', '')}"}
            self._db = psycopg.connect(autocommit=True, **said)
        except psycopg.Error as error:
            raise self._unusable(error) from error
        try:
            self._migrate()
            self._check_rights()
        except LedgerUnavailable:
            self._db.close()
            raise

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement; see `Database`."""
        try:
            cursor = self._db.execute(statement.replace("?", "%s").encode(), values or None)
            return cursor.fetchall() if cursor.description else []
        except (self._error, UnicodeError) as error:
            raise self._unusable(error) from error

    def insert(self, table: str, columns: Sequence[str], key: str, rows: Sequence[Sequence[Any]]) -> None:
        """Insert rows as arrays, one a column: a bound parameter a value costs ten times as much; see `Database`."""
        if not rows:
            return
        kinds = list(map(type, rows[0]))
        arrays = ", ".join(f"?::{TYPES[kind]}[]" for kind in kinds)
        statement = f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays}) ON CONFLICT ({key}) DO NOTHING"  # noqa: S608  our own names
        size = CHUNK_WITH_BYTES if bytes in kinds else CHUNK
        for at in range(0, len(rows), size):
            self._insert(statement, list(map(_array, zip(*rows[at : at + size], strict=True))))

    def _insert(self, statement: str, arrays: list[str]) -> None:
        try:
            self.query(statement, arrays)
        except LedgerUnavailable as error:
            if isinstance(error.__cause__, self._refused):
                raise ValueError(str(error.__cause__)) from error
            raise

    @contextlib.contextmanager
    def transaction(self, subject: str, patience_s: float | None = None) -> Iterator[None]:
        """Do all or nothing, one at a time for each subject; see `Database`."""
        self.query("BEGIN")
        try:
            if patience_s is not None:
                self.query(f"SET LOCAL lock_timeout = {round(patience_s * 1000)}")
            self.query("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", [f"servelite {subject}"])
            yield
            self.query("COMMIT")
        except BaseException:
            with contextlib.suppress(LedgerUnavailable):  # the connection may be what failed
                self.query("ROLLBACK")
            raise

    def is_in_place(self) -> bool:
        """Tell whether the connection is open, as far as is known: a lost one is noticed by the next statement."""
        return not self._db.closed

    def close(self) -> None:
        """Hang up."""
        self._db.close()

    def _version(self) -> int:
        ((table,),) = self.query("SELECT to_regclass('servelite')")
        versions = self.query("SELECT version FROM servelite") if table else []
        version: int = versions[0][0] if versions else 0
        if version > len(POSTGRES):
            raise newer(self._name)
        return version

    def _migrate(self) -> None:
        if self._version() == len(POSTGRES):
            return  # as nearly always: then no right to make tables is needed, and nobody is waited for
        with self.transaction("migration"):
            self.query("CREATE TABLE IF NOT EXISTS servelite (version bigint NOT NULL)")
            for statement in (statement for statements in POSTGRES[self._version() :] for statement in statements):
                self.query(statement)
            self.query("DELETE FROM servelite")
            self.query("INSERT INTO servelite (version) VALUES (?)", [len(POSTGRES)])

    def _check_rights(self) -> None:
        """Refuse what would take no row, before calls are served on it."""
        ((is_utf8, may_write),) = self.query(RIGHTS)
        if not is_utf8:
            raise LedgerUnavailable(f"The ledger {self._name} is not in UTF-8. Make its database with ENCODING 'UTF8' TEMPLATE template0.")
        if not may_write:
            raise LedgerUnavailable(
                f"The ledger {self._name} can't be written by this role. "
                "Grant it SELECT, INSERT, UPDATE and DELETE on all tables, and name the server that is not a read-only copy."
            )

    def _unusable(self, error: Exception) -> LedgerUnavailable:
        """Tell an error by its first line; those after it give advice that is not ours."""
        return unusable(self._name, str(error).strip().partition("\n")[0].rstrip("."))


def _array(column: Sequence[Any]) -> str:
    """Write a column as PostgreSQL reads arrays."""
    if isinstance(column[0], int):
        return f"{{{','.join(map(str, column))}}}"
    texts = (f"\\x{value.hex()}" if isinstance(value, bytes) else value for value in column)
    return f"{{{','.join(map(_quoted, texts))}}}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace('"', r"\"")
    return f'"{escaped}"'
