"""The ledger's tables in an SQL database: each question goes to the room that has the statements for it."""

from collections.abc import Sequence

from servelite.core.accounts import ApiKey
from servelite.core.ports import Kept, Row, Usage
from servelite.stores import keys
from servelite.stores.answers import add_answers
from servelite.stores.claims import give_all_back
from servelite.stores.database import Database
from servelite.stores.families import read_family
from servelite.stores.retention import let_go
from servelite.stores.sums import usage
from servelite.stores.tables import ReadOn

NOTE_MOVED = "INSERT INTO journals (name, moved_bytes) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET moved_bytes = excluded.moved_bytes"


class SqlTables:
    """`Tables` in SQLite or PostgreSQL."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def record(self, rows: Sequence[Row], kept: Sequence[Kept] = ()) -> None:
        """Insert rows and answers, in one transaction; see `Tables`."""
        with self._db.transaction("calls"):
            self._insert(rows, kept)

    def usage(self, by: Sequence[str], since_us: int, until_us: int, account: str | None = None) -> dict[str, list[Usage]]:
        """Sum the calls of some days; see `Tables`."""
        return usage(self._db, by, since_us, until_us, account)

    def family(self, call: str) -> list[Row]:
        """Return the row of a call, then those of all below it; see `Tables`."""
        return read_family(self._db, call)

    def moved(self, names: Sequence[str]) -> dict[str, int]:
        """Return how far every file has been moved."""
        return {name: int(end) for name, end in self._db.query("SELECT name, moved_bytes FROM journals")}

    def move(self, name: str, read_on: ReadOn) -> int | None:
        """Take in what comes next, and note how far that is, in one transaction; see `Tables`."""
        with self._db.transaction(name):
            moved = self._db.query("SELECT moved_bytes FROM journals WHERE name = ?", [name])
            came = read_on(moved[0][0] if moved else 0)
            if came is None:
                return None
            (rows, kept), end = came
            self._insert(rows, kept)
            self._db.query(NOTE_MOVED, [name, end])
        return end

    def forget(self, name: str) -> None:
        """Forget a file that is gone."""
        self._db.query("DELETE FROM journals WHERE name = ?", [name])

    def free(self, gateway: str) -> None:
        """Let go of the Idempotency-Keys of a gateway that is dead."""
        give_all_back(self._db, gateway)

    def let_go(self, now_us: int, keep_days: int) -> bool:
        """Delete what has become old; see `retention`."""
        return let_go(self._db, now_us, keep_days)

    def add_key(self, key: ApiKey) -> None:
        """Keep a new key."""
        keys.add_key(self._db, key)

    def all_keys(self) -> list[ApiKey]:
        """Return every key, revoked ones too, oldest first."""
        return keys.all_keys(self._db)

    def revoke_key(self, key_id: str, now_us: int) -> None:
        """Make a key worth nothing from now on."""
        keys.revoke_key(self._db, key_id, now_us)

    def is_in_place(self) -> bool:
        """Tell whether the database is still the one that its name leads to."""
        return self._db.is_in_place()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _insert(self, rows: Sequence[Row], kept: Sequence[Kept]) -> None:
        self._db.insert("calls", Row._fields, "id", rows)
        add_answers(self._db, kept)
