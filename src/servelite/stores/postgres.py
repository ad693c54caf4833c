"""The ledger's tables in PostgreSQL, for several gateways that share one account book; psycopg has its room here."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from servelite.core.errors import DefinitionError, LedgerUnavailable
from servelite.stores.database import Database, newer, unusable
from servelite.stores.migrations import POSTGRES

CONNECT_S = 5
"""How long a server may take to answer at first."""

STATEMENT_MS = 30_000
"""How long one statement may take; none of ours comes near."""


def open_postgres(url: str, name: str) -> Database:
    """Connect, and make or migrate the tables; `name` is the URL as it may be shown.

    Raises:
        DefinitionError: psycopg is not installed.
        LedgerUnavailable: the server can't be reached, or refuses.
    """
    try:
        import psycopg  # noqa: F401
    except ImportError as error:
        raise DefinitionError("A ledger on PostgreSQL needs psycopg. Install it: pip install 'servelite[postgres]'") from error
    return PostgresDatabase(url, name)


class PostgresDatabase:
    """The `Database` of a server's database."""

    def __init__(self, url: str, name: str) -> None:
        import psycopg

        self._name = name
        self._error = psycopg.Error
        try:
            options = f"-c statement_timeout={STATEMENT_MS} -c timezone=UTC"
            self._db = psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_S, options=options, application_name="servelite")
        except psycopg.Error as error:
            raise unusable(name, error) from error
        try:
            self._migrate()
        except LedgerUnavailable:
            self._db.close()
            raise

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a statement; see `Database`."""
        try:
            cursor = self._db.execute(statement.replace("?", "%s").encode(), values or None)
            return cursor.fetchall() if cursor.description else []
        except self._error as error:
            raise unusable(self._name, error) from error

    @contextlib.contextmanager
    def transaction(self, subject: str) -> Iterator[None]:
        """Do all or nothing, one at a time for each subject."""
        self.query("BEGIN")
        try:
            self.query("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", [f"servelite {subject}"])
            yield
        except BaseException:
            with contextlib.suppress(LedgerUnavailable):  # the connection may be what failed
                self.query("ROLLBACK")
            raise
        self.query("COMMIT")

    def is_in_place(self) -> bool:
        """Tell whether the connection is open."""
        return not self._db.closed

    def close(self) -> None:
        """Hang up."""
        self._db.close()

    def _migrate(self) -> None:
        with self.transaction("migration"):
            self.query("CREATE TABLE IF NOT EXISTS servelite (version bigint NOT NULL)")
            versions = self.query("SELECT version FROM servelite")
            version = versions[0][0] if versions else 0
            if version > len(POSTGRES):
                raise newer(self._name)
            for statements in POSTGRES[version:]:
                for statement in statements:
                    self.query(statement)
            if version < len(POSTGRES):
                self.query("DELETE FROM servelite")
                self.query("INSERT INTO servelite (version) VALUES (?)", [len(POSTGRES)])
