"""Ledgers by their URL: read for a bill, and the keys that stand in them."""

import secrets
import time
from collections.abc import Sequence

from servelite.core.accounts import ApiKey
from servelite.core.errors import DefinitionError
from servelite.core.ports import Usage
from servelite.runtime.accounts import LOOK_EVERY_S
from servelite.runtime.fresh_accounts import FRESH_US
from servelite.runtime.keyring import hash_of
from servelite.stores.address import SqlAddress, address, open_tables

LOOK_TAKES_S = 0.3
"""What a look at the ledger takes at most, on a busy machine."""


def read_usage(ledger: str, by: Sequence[str], span_us: tuple[int, int], account: str | None = None) -> dict[str, list[Usage]]:
    """Sum the calls of a ledger in several ways, all of one moment; another process may be writing it; none where it does not exist yet.

    Raises:
        LedgerUnavailable: the ledger can't be opened.
    """
    from servelite.stores.direct import NoLedger
    from servelite.stores.ledger import sum_usage

    return NoLedger().usage(by, *span_us) if ledger == "none" else sum_usage(address(ledger), by, span_us, account)


def shown_ledger(ledger: str) -> str:
    """Return a ledger's name as it may be shown: without the password that its URL may hold."""
    return ledger if ledger == "none" else address(ledger).name


def noticed_within_s(ledger: str) -> float:
    """Return how long after a change of keys all who serve by a ledger have surely seen it.

    Beyond this machine those are perhaps functions that are frozen between calls, which take for true what they read a second ago.
    """
    place = address(ledger)
    is_file = isinstance(place, SqlAddress) and place.file is not None
    return LOOK_EVERY_S + LOOK_TAKES_S if is_file else FRESH_US / 1_000_000 + LOOK_TAKES_S


def create_key(
    ledger: str, account: str, name: str, functions: Sequence[str], expires_us: int | None, *, is_admin: bool
) -> tuple[ApiKey, str]:
    """Make a key, and keep its hash in a ledger; return what is kept, and the key itself, which nobody can tell again.

    Raises:
        DefinitionError: the ledger keeps nothing, or its name is unknown.
        LedgerUnavailable: the ledger can't be written.
    """
    key_id = secrets.token_hex(8)
    shown = f"sl_{key_id}_{secrets.token_urlsafe(32)}"
    key = ApiKey(key_id, account, name, hash_of(shown.encode()), tuple(functions), is_admin, time.time_ns() // 1000, expires_us)
    with open_tables(ledger) as tables:
        tables.add_key(key)
    return key, shown


def read_keys(ledger: str) -> list[ApiKey]:
    """Return the keys of a ledger, oldest first, expired and revoked ones among them; none where it does not exist yet.

    Raises:
        DefinitionError: the ledger keeps nothing, or its name is unknown.
        LedgerUnavailable: the ledger can't be read.
    """
    if ledger != "none" and not address(ledger).exists():
        return []
    with open_tables(ledger) as tables:
        return tables.all_keys()


def revoke_key(ledger: str, key_id: str) -> ApiKey:
    """Make a key worth nothing from now on, and return it as it was before.

    Raises:
        DefinitionError: there is no such key.
        LedgerUnavailable: the ledger can't be written.
    """
    known = {key.id: key for key in read_keys(ledger)}
    if key_id not in known:
        raise DefinitionError(
            f"No key in the ledger {address(ledger).name} has the id '{key_id}'. See which there are: servelite keys list"
        )
    with open_tables(ledger) as tables:
        tables.revoke_key(key_id, time.time_ns() // 1000)
    return known[key_id]
