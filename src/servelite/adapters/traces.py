"""`GET /calls/{request_id}`: the waterfall of a call and of all that it was made of; to a plain key, of its own account's calls."""

import asyncio
import logging
import re
from collections.abc import Sequence

from servelite.core.accounts import ApiKey
from servelite.core.errors import LedgerUnavailable, NotFound
from servelite.core.ports import Row
from servelite.runtime.engine import Engine

CALL_ID = re.compile("[0-9a-f]{32}")

logger = logging.getLogger("servelite.http")


async def read_calls(engine: Engine, turn: asyncio.Semaphore, key: ApiKey | None, request_id: str) -> Sequence[Row]:
    """Return the rows of a call, its own first; so many at a time are read as `turn` lets.

    Raises:
        NotFound: there is none of this id that the key may see; which of these it is, nobody is told.
        LedgerUnavailable: the ledger can't be read.
    """
    rows: Sequence[Row] = ()
    if CALL_ID.fullmatch(request_id):
        try:
            async with turn:  # in a thread: calls do not wait for it
                rows = await asyncio.to_thread(engine.ledger.family, request_id)
        except LedgerUnavailable as error:  # its own words name a file, or a server
            logger.error("calls can't be read: %s", error.detail)
            raise LedgerUnavailable("The ledger can't be read at the moment; the server's log says why. Try again later.") from error
    if not rows or not (key is None or key.is_admin or rows[0].account == key.account):
        told = f"There is no call {request_id[:40]} that you may see"
        raise NotFound(f"{told}. Ids stand in X-Request-Id; refused calls have no row, old rows go, and --ledger none keeps none.")
    return rows
