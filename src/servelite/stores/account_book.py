"""What a gateway reads again and again of its ledger's database, on a connection of its own that is kept open."""

from collections.abc import Mapping

from servelite.core.accounts import ApiKey
from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import Kept, Seen
from servelite.stores.database import Database
from servelite.stores.keys import all_keys, note_used
from servelite.stores.sums import spent_elsewhere


class DatabaseAccountBook:
    """The `AccountBook` port; not for two threads at once."""

    def __init__(self, db: Database, gateway: str) -> None:
        self._db = db
        self._gateway = gateway
        self._keys_seen: tuple[int, int] | None = None

    def look(self, since_us: int | None) -> Seen:
        """Look at keys, spent time and kept answers; see `AccountBook`."""
        if not self._db.is_in_place():
            raise LedgerUnavailable("The ledger's database is not where it was.")
        spent = [] if since_us is None else spent_elsewhere(self._db, self._gateway, since_us)
        ((arrived_us,),) = self._db.query("SELECT coalesce(max(at_us), 0) FROM answers WHERE gateway = ?", [self._gateway])
        return Seen(self._changed_keys(), spent, arrived_us)

    def note_used(self, used_us: Mapping[str, int]) -> None:
        """Note when keys were last used, by id."""
        note_used(self._db, used_us)

    def kept(self, account: str, repeat_key: str) -> Kept | None:
        """Return the answer that is kept for an Idempotency-Key, if it has come to the database."""
        columns = ", ".join(Kept._fields)
        rows = self._db.query(f"SELECT {columns} FROM answers WHERE account = ? AND repeat_key = ?", [account, repeat_key])  # noqa: S608
        return Kept(*rows[0])._replace(body=bytes(rows[0][6])) if rows else None

    def _changed_keys(self) -> list[ApiKey] | None:
        """Return all keys where one was added or revoked since the last time."""
        (seen,) = self._db.query("SELECT count(*), count(revoked_us) FROM keys")
        if seen == self._keys_seen:
            return None
        keys = all_keys(self._db)
        self._keys_seen = seen
        return keys

    def close(self) -> None:
        """Close the connection."""
        self._db.close()
