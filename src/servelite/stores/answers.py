"""Answers that are kept for those who repeat an Idempotency-Key, in the ledger's database: added, found, and let go."""

from collections.abc import Iterable, Mapping

from servelite.core.ports import ANSWER_BYTES, KEEP_ANSWERS_US, Kept
from servelite.stores.database import Database

KEEP_ANSWERS_BYTES = 256 * 1024 * 1024
"""What kept answers may take together."""

_COLUMNS = ", ".join(Kept._fields)

_SIZE = f"CAST(sum(length(body) + length(problem) + {ANSWER_BYTES}) AS BIGINT)"

_SIZES = f"SELECT account, {_SIZE} FROM answers GROUP BY account"  # noqa: S608  our own number

_BEYOND = f"""
    SELECT max(at_us) FROM (
      SELECT at_us, sum(length(body) + length(problem) + {ANSWER_BYTES}) OVER (ORDER BY at_us DESC) AS size FROM answers WHERE account = ?
    ) AS sizes WHERE size > ?
"""  # noqa: S608  our own number


def add_answers(db: Database, kept: Iterable[Kept]) -> None:
    """Keep answers, but none for a key that has one already; in a transaction."""
    # two who insert the same wait for each other, never both
    in_order = sorted(kept, key=lambda one: (one.account, one.repeat_key))
    if in_order:
        _forget_old(db, max(one.at_us for one in in_order))  # they would stand in the way of those that come
        db.insert("answers", Kept._fields, "account, repeat_key", in_order)


def find_answer(db: Database, account: str, repeat_key: str) -> Kept | None:
    """Return the answer that is kept for a key, if it has come here."""
    rows = db.query(f"SELECT {_COLUMNS} FROM answers WHERE account = ? AND repeat_key = ?", [account, repeat_key])  # noqa: S608  our own names
    found = [Kept(*row) for row in rows]
    return found[0]._replace(body=bytes(found[0].body)) if found else None


def arrived_us(db: Database, gateway: str) -> int:
    """Return the moment up to which the answers of a gateway have come here."""
    ((latest_us,),) = db.query("SELECT coalesce(max(at_us), 0) FROM answers WHERE gateway = ?", [gateway])
    return int(latest_us)


def let_answers_go(db: Database, now_us: int, keep_bytes: int = KEEP_ANSWERS_BYTES) -> None:
    """Delete answers that are too old; and of those accounts that keep most, the oldest, until all fit together."""
    _forget_old(db, now_us)
    sizes = {account: int(size) for account, size in db.query(_SIZES)}
    share = share_of(sizes, keep_bytes)
    for account in (account for account, size in sizes.items() if size > share):
        ((last_us,),) = db.query(_BEYOND, [account, share])
        if last_us is not None:
            db.query("DELETE FROM answers WHERE account = ? AND at_us <= ?", [account, last_us])


def share_of(sizes: Mapping[str, int], room: int) -> int:
    """Return what each account may have of a room, so that it is used and nobody is cut for others who have more."""
    left = room
    for done, size in enumerate(sorted(sizes.values())):
        share = left // (len(sizes) - done)
        if size > share:
            return share
        left -= size
    return room


def _forget_old(db: Database, now_us: int) -> None:
    db.query("DELETE FROM answers WHERE at_us <= ?", [now_us - KEEP_ANSWERS_US])
