"""What may be said of a new key: whose it is, what it may call, and until when; read strictly, each error with its cure."""

import re
from datetime import UTC, datetime

from servelite.core.accounts import ACCOUNT_NAME, ACCOUNT_RULE, LOCAL
from servelite.core.errors import DefinitionError

NAME_LENGTH = 64
"""Longest name of a key, and longest pattern; names of functions and accounts end there too."""

MOST_PATTERNS = 100
"""Patterns of one key: each that is no name costs every call with it half a microsecond."""

US = {"h": 3600 * 1_000_000, "d": 24 * 3600 * 1_000_000}
"""Microseconds of the units that an expiry is said in."""


def checked_account(name: str) -> str:
    """Return an account's name, or refuse it."""
    if name == "*":
        raise DefinitionError("A key is of one account, and '*' stands for all others in servelite.toml. Name one, for example acme.")
    if name == LOCAL:
        raise DefinitionError(f"'{LOCAL}' is the account of calls that are made without a key. Name another, for example acme.")
    if not ACCOUNT_NAME.fullmatch(name):
        raise DefinitionError(f"{name[:80]!r} can't name an account. {ACCOUNT_RULE}")
    return name


def checked_key_name(name: str) -> str:
    """Return what people call a key, or refuse it: it is shown in tables."""
    if not (len(name) <= NAME_LENGTH and name.isprintable()):
        raise DefinitionError(f"{name[:NAME_LENGTH]!r} can't name a key. A name has up to {NAME_LENGTH} characters, all of them printable.")
    return name


def read_scope(said: str) -> tuple[str, ...]:
    """Read the functions that a key may call: `sentiment,ocr*`."""
    patterns = tuple(dict.fromkeys(pattern.strip() for pattern in said.split(",")))
    for pattern in patterns:
        if not re.fullmatch(rf"[A-Za-z0-9_*?-]{{1,{NAME_LENGTH}}}", pattern):
            raise DefinitionError(
                f"{pattern!r} names no function. Write names with commas between them; * stands for any characters, "
                "? for one: --functions 'sentiment,ocr*'"
            )
    if len(patterns) > MOST_PATTERNS:
        raise DefinitionError(f"A key has up to {MOST_PATTERNS} patterns of functions, not {len(patterns)}. Put some together with *.")
    return patterns


def read_expiry(said: str, now_us: int) -> int | None:
    """Read when a key ends, as µs since 1970: 90d, 12h, 2027-01-31 (as that day begins, UTC); None for never."""
    if said == "never":
        return None
    span = re.fullmatch("([0-9]{1,5})([dh])", said)
    expires_us = now_us + int(span[1]) * US[span[2]] if span else _midnight_us(said)
    if expires_us <= now_us:
        raise DefinitionError(f"A key that expires {said} would be worth nothing. Name a time to come, for example 90d, or never.")
    return expires_us


def _midnight_us(day: str) -> int:
    try:
        if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", day):
            raise ValueError("not as a date is written here")
        return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) * 1_000_000
    except ValueError as error:
        raise DefinitionError(f"{day!r} is no time to expire. Write days or hours (90d, 12h), a date (2027-01-31), or never.") from error
