"""What a gateway reads again and again of its ledger's database, on a connection of its own that is kept open."""

from collections.abc import Mapping, Sequence

from servelite.core.accounts import ApiKey, Spent
from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import CLAIM_US, Kept, RepeatKey, Seen
from servelite.stores.answers import arrived_us
from servelite.stores.claims import give_back, renew, take
from servelite.stores.database import Database
from servelite.stores.keys import all_keys, note_used
from servelite.stores.sums import spent_by, spent_elsewhere


class DatabaseAccountBook:
    """The `AccountBook` port; not for two threads at once."""

    def __init__(self, db: Database, gateway: str) -> None:
        self._db = db
        self._gateway = gateway
        self._keys_seen: tuple[int, int] | None = None

    def look(self, since_us: int | None) -> Seen:
        """Look at keys, spent time and kept answers, writing nothing: readers need no lock; see `AccountBook`."""
        self._require_place()
        spent = [] if since_us is None else spent_elsewhere(self._db, self._gateway, since_us)
        return Seen(self.changed_keys(), spent, arrived_us(self._db, self._gateway))

    def changed_keys(self) -> list[ApiKey] | None:
        """Return all keys where one was added or revoked since the last time."""
        self._require_place()
        (seen,) = self._db.query("SELECT count(*), count(revoked_us) FROM keys")
        if seen == self._keys_seen:
            return None
        keys = all_keys(self._db)
        self._keys_seen = seen
        return keys

    def spent_by(self, account: str, since_us: int) -> Spent:
        """Return what an account used since a month began, at this gateway too."""
        self._require_place()
        return spent_by(self._db, account, since_us)

    def note_used(self, used_us: Mapping[str, int]) -> None:
        """Note when keys were last used, by id, unless somebody else writes; see `AccountBook`."""
        self._require_place()
        note_used(self._db, used_us)

    def claim(self, account: str, repeat_key: str, fingerprint: str, now_us: int, until_us: int | None = None) -> Kept | str | None:
        """Take an Idempotency-Key for this gateway; see `AccountBook`."""
        self._require_place()
        return take(self._db, self._gateway, (account, repeat_key), fingerprint, (now_us, until_us or now_us + CLAIM_US))

    def renew(self, keys: Sequence[RepeatKey], now_us: int) -> None:
        """Hold on to keys that were taken."""
        renew(self._db, self._gateway, keys, now_us)

    def give_back(self, account: str, repeat_key: str) -> None:
        """Let go of a key whose call was not run."""
        give_back(self._db, self._gateway, (account, repeat_key))

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _require_place(self) -> None:
        if not self._db.is_in_place():
            raise LedgerUnavailable("The ledger's database is not where it was.")
