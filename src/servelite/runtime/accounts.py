"""What a gateway knows of accounts, and keeps as the ledger has it: their keys, what they used elsewhere, kept answers.

It looks at the ledger five times a second, in a thread, for a database may take its time; calls look at memory only.
"""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import AccountBook, Kept, Seen
from servelite.runtime.keyring import Keyring
from servelite.runtime.quotas import Quotas
from servelite.runtime.repeats import Repeats

LOOK_EVERY_S = 0.2
"""How often the ledger is looked at: a key that was revoked lives as long as this at most."""

SPENT_EVERY = 5
"""At every so many looks, what others used is read."""

PAUSE_S = 2.0
"""How long a ledger that refused is left alone."""

LAST_LOOK_S = 5.0
"""How long the end waits for the last look."""

logger = logging.getLogger("servelite.ledger")


class Accounts:
    """Keys, quotas and kept answers; `open_book` opens the ledger's side of them, and is None where there is no ledger."""

    def __init__(self, gateway: str, quotas: Quotas, now_us: Callable[[], int], open_book: Callable[[], AccountBook] | None = None) -> None:
        self.quotas = quotas
        self.keyring = Keyring(now_us)
        self.repeats = Repeats(gateway, now_us, self._look_up if open_book else None)
        self._open_book = open_book
        self._book: AccountBook | None = None
        self._thread = ThreadPoolExecutor(1, "accounts")  # one, for the book is not for two at once
        self._watch: asyncio.Task[None] | None = None
        self._looks = 0

    async def start(self) -> None:
        """Look once, and again and again from then on; LedgerUnavailable where the ledger can't be read."""
        if self._open_book is not None:
            await self._look()
            self._watch = asyncio.create_task(self._look_around())

    async def stop(self) -> None:
        """Look a last time, and let go of the ledger."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            try:
                await asyncio.wait_for(self._look(), LAST_LOOK_S)
            except (LedgerUnavailable, TimeoutError) as error:
                logger.warning("when keys were last used is not noted: %s", error)
            await self._in_thread(self._close)
        self._thread.shutdown(wait=False)

    async def _look_around(self) -> None:
        is_away = False
        while True:
            await asyncio.sleep(PAUSE_S if is_away else LOOK_EVERY_S)
            try:
                await self._look()
            except LedgerUnavailable as error:
                if not is_away:
                    logger.warning("keys and quotas stay as they are until the ledger can be read again: %s", error.detail)
                is_away = True
                continue
            if is_away:
                logger.warning("keys and quotas are as the ledger says again")
            is_away = False

    async def _look(self) -> None:
        began_us = self.quotas.month_began_us
        reads_spent = self.quotas.has_limits and self._looks % SPENT_EVERY == 0
        self._looks += 1
        try:
            seen: Seen = await self._in_thread(lambda: self._opened().look(began_us if reads_spent else None))
        except LedgerUnavailable:
            self._looks = 0
            await self._in_thread(self._close)
            raise
        if seen.keys is not None:
            self.keyring.replace(seen.keys)
        if reads_spent and began_us == self.quotas.month_began_us:
            self.quotas.spent_elsewhere(seen.spent)
        self.repeats.arrived(seen.arrived_us)
        await self._note_used()

    async def _note_used(self) -> None:
        """Note when keys were last used, another time where somebody else writes the ledger."""
        used_us = self.keyring.take_used()
        if used_us:
            try:
                await self._in_thread(lambda: self._opened().note_used(used_us))
            except LedgerUnavailable:
                self.keyring.note_used(used_us)

    async def _look_up(self, account: str, repeat_key: str) -> Kept | None:
        try:
            kept: Kept | None = await self._in_thread(lambda: self._opened().kept(account, repeat_key))
        except LedgerUnavailable as error:  # its own words name a file, or a server
            logger.warning("an Idempotency-Key can't be looked up: %s", error.detail)
            raise LedgerUnavailable("Whether this Idempotency-Key was used before can't be told at the moment. Try again later.") from error
        return kept

    async def _in_thread(self, do: Callable[[], Any]) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, do)

    def _opened(self) -> AccountBook:
        """Return the book, opened anew where it refused before."""
        if self._book is None:
            assert self._open_book is not None
            self._book = self._open_book()
        return self._book

    def _close(self) -> None:
        if self._book is not None:
            self._book.close()
            self._book = None
