"""What a call takes from the head of its request: the body's type and length, how long its client waits, and whether it repeats another."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from servelite.core.errors import BadRequest, UnsupportedMediaType

MAX_SHOWN_HEADER = 100
"""Bytes of a client's Content-Type that are kept; the longest real ones have about 70."""

MOST_DEADLINE_DIGITS = 9
"""Eleven days, in milliseconds."""

PREFERRED_WAIT = re.compile(rb"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,9})\b", re.IGNORECASE)

REPEAT_KEY = re.compile(rb"[!-~]{1,255}")


class Reading(NamedTuple):
    """What a head says of a call to a function; `body_bytes` is 0 where it is not said, and `patience_s` too."""

    function: str
    media_type: str = ""
    body_bytes: int = 0
    patience_s: float = 0.0
    repeat_key: str = ""


def read_head(function: str, headers: Iterable[tuple[bytes, bytes]]) -> Reading:
    """Read the headers of a call to a function.

    Raises:
        BadRequest: X-Deadline-Ms or Idempotency-Key is none.
        UnsupportedMediaType: the body is compressed.
    """
    media_type, body_bytes, deadline_s, wait_s, repeat_key = "", 0, 0.0, 0.0, ""
    for name, value in headers:
        if name == b"content-type":
            media_type = value.partition(b";")[0].strip().lower()[:MAX_SHOWN_HEADER].decode("latin-1")
        elif name == b"content-length":
            body_bytes = int(value)
        elif name == b"x-deadline-ms":
            deadline_s = _deadline_s(value)
        elif name == b"idempotency-key":
            repeat_key = _repeat_key(value)
        elif name == b"prefer":
            wait_s = wait_s or _preferred_wait_s(value)
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise UnsupportedMediaType("Compressed bodies are not taken. Send the body without Content-Encoding.")
    return Reading(function, media_type, body_bytes, deadline_s or wait_s, repeat_key)


def _deadline_s(value: bytes) -> float:
    """Read X-Deadline-Ms: how long the caller waits for a worker."""
    if not value.isdigit() or len(value) > MOST_DEADLINE_DIGITS or int(value) == 0:
        raise BadRequest("X-Deadline-Ms is a whole number of milliseconds from 1, for example 500.")
    return int(value) / 1000


def _repeat_key(value: bytes) -> str:
    """Read Idempotency-Key: an RFC 9651 string as the IETF draft has it, or bare as most clients send it."""
    key = value[1:-1] if len(value) > 1 and value[:1] == value[-1:] == b'"' else value
    if not REPEAT_KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key is 1 to 255 visible ASCII characters, for example a UUID.")
    return key.decode("ascii")


def _preferred_wait_s(value: bytes) -> float:
    """Read RFC 7240's `Prefer: wait=SECONDS`; other preferences, and what can't be read, are ignored as it demands."""
    found = PREFERRED_WAIT.search(value)
    return float(found[1]) if found else 0.0
