"""Ledger rows as the tests of every ledger make them."""

from datetime import UTC, datetime
from itertools import count
from typing import Any

from servelite.core.call import call_id
from servelite.core.ports import Kept, Row

DAY_US = 24 * 3600 * 1_000_000
EVER = (0, 2**62)

_numbers = count()


def instant(text: str) -> int:
    """Return an ISO date and time, UTC, in µs since 1970."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


NOON = instant("2026-11-20T12:00:00")


def row(**changes: Any) -> Row:
    """Return the row of a call that went well, with an id of its own."""
    at_us = changes.get("at_us", NOON)
    fields = {
        "id": call_id(max(0, at_us) // 1000, next(_numbers)),
        "at_us": at_us,
        "account": "local",
        "function": "f",
        "status": 200,
        "code": "ok",
        "queue_us": 1,
        "init_us": 0,
        "compute_us": 10,
        "cpu_us": 5,
        "peak_kib": 1000,
        "batch": 1,
        "bytes_in": 2,
        "bytes_out": 3,
        "cold": 0,
        "billed_us": 10,
    }
    made = Row(**{**fields, **changes})
    return made if "mib_us" in changes else made._replace(mib_us=made.billed_us * made.memory_mib)


def kept(**changes: Any) -> Kept:
    """Return an answer that is kept."""
    fields = {
        "account": "local",
        "repeat_key": f"key-{next(_numbers)}",
        "fingerprint": "f" * 64,
        "call": call_id(NOON // 1000, next(_numbers)),
        "at_us": NOON,
        "media_type": "application/json",
        "body": b'"answer"',
        "problem": "",
        "receipt": "{}",
        "gateway": "g1",
    }
    return Kept(**{**fields, **changes})
