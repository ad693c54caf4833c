"""Which gateway runs the call of an Idempotency-Key, in the ledger's database, so that no two gateways run it."""

from collections.abc import Iterable

from servelite.core.ports import CLAIM_US, KEEP_ANSWERS_US, Kept, RepeatKey
from servelite.stores.answers import find_answer
from servelite.stores.database import Database

_TAKE = """
    INSERT INTO claims (account, repeat_key, fingerprint, gateway, until_us) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (account, repeat_key) DO UPDATE SET
      fingerprint = excluded.fingerprint, gateway = excluded.gateway, until_us = excluded.until_us
"""


def take(db: Database, gateway: str, who: RepeatKey, fingerprint: str, span_us: tuple[int, int]) -> Kept | str | None:
    """Take a key for a gateway, from now until a moment; see `AccountBook.claim`."""
    now_us, until_us = span_us
    with db.transaction(f"claim {who[0]} {who[1]}"):
        kept = find_answer(db, *who)
        if kept is not None and kept.at_us > now_us - KEEP_ANSWERS_US:
            return kept
        taken = db.query("SELECT fingerprint, gateway, until_us FROM claims WHERE account = ? AND repeat_key = ?", who)
        for other_fingerprint, other, ends_us in taken:
            if other != gateway and ends_us > now_us:
                return str(other_fingerprint)
        db.query(_TAKE, [*who, fingerprint, gateway, until_us])
    return None


def renew(db: Database, gateway: str, keys: Iterable[RepeatKey], now_us: int) -> None:
    """Hold on to keys that a gateway has."""
    for who in keys:
        db.query("UPDATE claims SET until_us = ? WHERE account = ? AND repeat_key = ? AND gateway = ?", [now_us + CLAIM_US, *who, gateway])


def give_back(db: Database, gateway: str, who: RepeatKey) -> None:
    """Let go of a key that a gateway has."""
    db.query("DELETE FROM claims WHERE account = ? AND repeat_key = ? AND gateway = ?", [*who, gateway])


def give_all_back(db: Database, gateway: str) -> None:
    """Let go of the keys of a gateway that is dead."""
    db.query("DELETE FROM claims WHERE gateway = ?", [gateway])


def let_claims_go(db: Database, now_us: int) -> None:
    """Delete claims that hold no more."""
    db.query("DELETE FROM claims WHERE until_us <= ?", [now_us])
