"""The API keys that a gateway knows, and whose key it is that a request shows.

A key is `sl_ID_SECRET`. Its id finds the key's hash; the hash of all that was shown is compared in constant time, with a
hash that nothing has where there is no such id, so that a missing, a wrong, an expired and a revoked key take the same way
to the same answer.
"""

import hashlib
import hmac
from collections.abc import Callable, Iterable

from servelite.core.accounts import ApiKey
from servelite.core.errors import Unauthorized

_NOBODY = ApiKey(id="", account="", name="", hash=bytes(32), functions=(), revoked_us=0)

MOST_KEY_BYTES = 200
"""Longer than any key; what is beyond is not hashed."""


class Keyring:
    """Knows keys by their id."""

    def __init__(self, now_us: Callable[[], int]) -> None:
        self._now_us = now_us
        self._keys: dict[bytes, ApiKey] = {}
        self._used_us: dict[str, int] = {}

    def replace(self, keys: Iterable[ApiKey]) -> None:
        """Know these keys, and no others."""
        self._keys = {key.id.encode(): key for key in keys}

    def holder(self, authorization: bytes) -> ApiKey:
        """Return the key that an Authorization header shows; Unauthorized, always in the same words, where it is none that is valid."""
        scheme, _, shown = authorization.partition(b" ")
        shown = shown.strip(b" ")[:MOST_KEY_BYTES]
        now_us = self._now_us()
        key = self._keys.get(shown[3:].partition(b"_")[0], _NOBODY)
        is_it = hmac.compare_digest(hash_of(shown), key.hash)
        if not (is_it & key.is_valid(now_us) & (scheme.lower() == b"bearer")):
            raise Unauthorized("The key is missing, wrong, expired or revoked. Send a valid one in the header Authorization: Bearer KEY.")
        self._used_us[key.id] = now_us
        return key

    @property
    def opens(self) -> bool:
        """Whether there is a key that is valid."""
        now_us = self._now_us()
        return any(key.is_valid(now_us) for key in self._keys.values())

    def take_used(self) -> dict[str, int]:
        """Return when keys were used since this was last asked."""
        used_us, self._used_us = self._used_us, {}
        return used_us

    def note_used(self, used_us: dict[str, int]) -> None:
        """Take back what could not be written down."""
        self._used_us = {**used_us, **self._used_us}


def hash_of(key: bytes) -> bytes:
    """Return what is kept of a key: its SHA-256. A key is 256 random bits, so nothing slower is needed."""
    return hashlib.sha256(key).digest()
