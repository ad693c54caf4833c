"""What is kept of the past, and how long: rows of calls go, sums of past months lose their gateways, kept answers go."""

from servelite.core.call import call_id
from servelite.core.month import DAY_US, CalendarMonth
from servelite.stores.answers import KEEP_ANSWERS_BYTES, let_answers_go
from servelite.stores.claims import let_claims_go
from servelite.stores.database import Database
from servelite.stores.sums import fold_gateways

SLICE = 10_000
"""Rows that are let go at a time: others have their turn in between."""

FOLD_AFTER_US = 2 * DAY_US
"""How long after its end a month counts as past: the last rows of other machines have come, and no clock is so wrong."""


def let_go(db: Database, now_us: int, keep_days: int, keep_answers_bytes: int = KEEP_ANSWERS_BYTES) -> bool:
    """Delete rows of calls that are older than so many days, their sums stay; and answers that are too old or too many.

    Returns whether there is more to do, for a next time.
    """
    is_more_to_fold = fold_gateways(db, CalendarMonth.of(max(FOLD_AFTER_US, now_us) - FOLD_AFTER_US).begins_us)
    let_answers_go(db, now_us, keep_answers_bytes)
    let_claims_go(db, now_us)
    return _let_rows_go(db, now_us - keep_days * DAY_US) or is_more_to_fold


def _let_rows_go(db: Database, before_us: int) -> bool:
    oldest = call_id(max(0, before_us) // 1000)
    later = db.query("SELECT id FROM calls WHERE id < ? ORDER BY id LIMIT 1 OFFSET ?", [oldest, SLICE])
    db.query("DELETE FROM calls WHERE id < ?", [later[0][0] if later else oldest])
    return bool(later)
