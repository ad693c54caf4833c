"""`GET /usage`: what the calls of a month used and cost; to a plain key of its own account, to an admin key of all."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from servelite.core.accounts import ACCOUNT_NAME, ApiKey
from servelite.core.bill import bill, read_by, read_month, sums_of_bill
from servelite.core.errors import Forbidden, InvalidInput, LedgerUnavailable
from servelite.core.month import CalendarMonth
from servelite.core.tariff import MICRO
from servelite.runtime.engine import Engine

logger = logging.getLogger("servelite.http")

Said = TypeVar("Said")

ASKED = ("month", "by", "account")


async def read_bill(engine: Engine, turn: asyncio.Semaphore, key: ApiKey | None, asked: Mapping[str, str]) -> dict[str, Any]:
    """Return the bill that a query asks for, as `servelite usage --json` prints it; so many at a time as `turn` lets.

    Raises:
        Forbidden: it is another account's.
        InvalidInput: the query names what there is not.
        LedgerUnavailable: the ledger can't be read.
    """
    _require_known(asked)
    by = _read("by", read_by, asked.get("by", "function"))
    month = _read("month", read_month, asked["month"]) if "month" in asked else CalendarMonth.of(int(engine.now_s() * MICRO))
    account = _whose(key, asked.get("account"))
    try:
        async with turn:  # in a thread: calls do not wait for it
            sums = await asyncio.to_thread(engine.ledger.usage, sums_of_bill(by), month.begins_us, month.ends_us, account)
    except LedgerUnavailable as error:  # its own words name a file, or a server
        logger.error("usage can't be read: %s", error.detail)
        raise LedgerUnavailable("The ledger can't be read at the moment; the server's log says why. Try again later.") from error
    return bill(month, by, sums, engine.accounts.quotas.tariff)


def _whose(key: ApiKey | None, account: str | None) -> str | None:
    """Return the account whose bill is read, None for all."""
    if key is None or key.is_admin:
        if account is not None and not ACCOUNT_NAME.fullmatch(account):
            raise _refusal("account", f"'{account[:100]}' can't name an account. Leave account= out to read the usage of all.")
        return account
    if account not in (None, key.account):
        raise Forbidden(f"This key reads the usage of its own account, {key.account}. Leave account= out, or use an admin key.")
    return key.account


def _require_known(asked: Mapping[str, str]) -> None:
    for name in asked:
        if name not in ASKED:
            raise _refusal(name[:50], f"There is no parameter '{name[:50]}'. There are: {', '.join(ASKED)}.")


def _read(name: str, read: Callable[[str], Said], said: str) -> Said:
    try:
        return read(said)
    except ValueError as error:
        raise _refusal(name, str(error)) from error


def _refusal(name: str, message: str) -> InvalidInput:
    return InvalidInput(message, [{"field": name, "message": message, "rule": "query"}])
