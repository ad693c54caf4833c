"""Accounts: who pays for calls, the keys they call with, and what they may use."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

LOCAL = "local"
"""The account of calls that are made without a key."""

ACCOUNT_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")

ACCOUNT_RULE = "A name has 1 to 64 letters, digits and signs of '._@-'."
"""What an account may be called."""


@dataclass(frozen=True, slots=True)
class Allowance:
    """What an account may use; None means no limit.

    credit_micro      money it may owe for a calendar month beyond its free time, in millionths; 0 is free time only
    calls_per_s       calls a second, on average; as many may come at once
    concurrent_calls  calls at the same time
    """

    credit_micro: int | None = None
    calls_per_s: float | None = None
    concurrent_calls: int | None = None

    @property
    def is_unlimited(self) -> bool:
        """Whether there is nothing to watch."""
        return self == Allowance()


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of an account, as it is kept: not the key itself, but its SHA-256.

    id            what it is called by, and begins with; not secret
    functions     patterns of the functions that it may call, `*` and `?` as in a shell
    is_admin      whether it may read the metrics, and everybody's usage
    created_us, expires_us, revoked_us, last_used_us  since 1970 (UTC); None for never
    """

    id: str
    account: str
    name: str
    hash: bytes
    functions: tuple[str, ...] = ("*",)
    is_admin: bool = False
    created_us: int = 0
    expires_us: int | None = None
    revoked_us: int | None = None
    last_used_us: int | None = None

    def is_valid(self, now_us: int) -> bool:
        """Tell whether it is neither revoked nor expired."""
        return self.revoked_us is None and (self.expires_us is None or now_us < self.expires_us)

    def state(self, now_us: int) -> str:
        """Say in a word whether it is worth something: valid, expired or revoked."""
        return "valid" if self.is_valid(now_us) else "expired" if self.revoked_us is None else "revoked"

    def may_call(self, function: str) -> bool:
        """Tell whether a function is among those that it may call."""
        return function in self.functions or any(fnmatchcase(function, pattern) for pattern in self.functions)


@dataclass(frozen=True, slots=True)
class Spent:
    """What an account used in a month: billed time, that time weighed with memory, and billed calls."""

    account: str
    billed_us: int
    mib_us: int
    calls: int
