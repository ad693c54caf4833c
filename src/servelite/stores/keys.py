"""API keys of accounts, in the ledger's database: made, listed, revoked, and read by gateways."""

import json
from collections.abc import Mapping

from servelite.core.accounts import ApiKey
from servelite.stores.database import Database

_COLUMNS = "id, account, name, hash, functions, is_admin, created_us, expires_us, revoked_us, last_used_us"

NOTE_PATIENCE_S = 0.1
"""How long a note of last uses waits for others who write: it may be made another time."""


def add_key(db: Database, key: ApiKey) -> None:
    """Keep a new key."""
    values = [key.id, key.account, key.name, key.hash, json.dumps(key.functions), int(key.is_admin), key.created_us, key.expires_us]
    db.query(f"INSERT INTO keys ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL)", values)  # noqa: S608  our own names


def all_keys(db: Database) -> list[ApiKey]:
    """Return every key, revoked ones too, oldest first."""
    rows = db.query(f"SELECT {_COLUMNS} FROM keys ORDER BY created_us, id")  # noqa: S608  our own names
    return [_key(*row) for row in rows]


def revoke_key(db: Database, key_id: str, now_us: int) -> None:
    """Make a key worth nothing from now on; one that was revoked before stays so since then."""
    db.query("UPDATE keys SET revoked_us = ? WHERE id = ? AND revoked_us IS NULL", [now_us, key_id])


def note_used(db: Database, at_us: Mapping[str, int]) -> None:
    """Note when keys were last used; the latest of several gateways counts. LedgerUnavailable where others write just then."""
    with db.transaction("keys", patience_s=NOTE_PATIENCE_S):
        for key_id, used_us in at_us.items():
            db.query("UPDATE keys SET last_used_us = ? WHERE id = ? AND coalesce(last_used_us, 0) < ?", [used_us, key_id, used_us])


def _key(id_: str, account: str, name: str, hash_: bytes, functions: str, is_admin: int, *times: int | None) -> ApiKey:
    created_us, expires_us, revoked_us, last_used_us = times
    scope = tuple(json.loads(functions)), bool(is_admin)
    return ApiKey(id_, account, name, bytes(hash_), *scope, created_us or 0, expires_us, revoked_us, last_used_us)
