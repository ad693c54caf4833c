"""What a gateway knows of accounts, and keeps as the ledger has it: their keys, what they used elsewhere, kept answers.

It looks at the ledger five times a second, in a thread, for a database may take its time; calls look at memory only. What may
wait, kept answers and when keys were last used, goes over a desk of its own: a lock must not keep a revoked key alive.
"""

import asyncio
import logging
from collections.abc import Callable

from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import AccountBook, Kept, RepeatKey
from servelite.runtime.desk import Desk
from servelite.runtime.keyring import Keyring
from servelite.runtime.quotas import Quotas
from servelite.runtime.repeats import Repeats

LOOK_EVERY_S = 0.2
"""How often the ledger is looked at: a key that was revoked lives as long as this at most."""

SLOWER = 5
"""At every so many looks, what others used is read, and when keys were last used is written."""

CLAIM_WITHIN_S = 5.0
"""How long a call with an Idempotency-Key waits for the ledger."""

END_S = 3.0
"""How long the end waits for the ledger."""

logger = logging.getLogger("servelite.ledger")


class Accounts:
    """Keys, quotas and kept answers; `open_book` opens the ledger's side of them, and is None where there is no ledger."""

    def __init__(self, gateway: str, quotas: Quotas, now_us: Callable[[], int], open_book: Callable[[], AccountBook] | None = None) -> None:
        self.quotas = quotas
        self.ends_us: int | None = None
        """When this process has surely ended what it does now, µs since 1970; None if it goes on."""
        self.keyring = Keyring(now_us)
        self.repeats = Repeats(gateway, now_us, self if open_book else None)
        self._now_us = now_us
        self._desk: Desk | None = Desk(open_book) if open_book else None
        self._errands: Desk | None = Desk(open_book) if open_book else None  # what may wait
        self._watch: asyncio.Task[None] | None = None
        self._noting: asyncio.Task[None] | None = None
        self._renewals: set[asyncio.Task[None]] = set()
        self._looks = 0

    async def start(self) -> None:
        """Look once, and again and again from then on; LedgerUnavailable where the ledger can't be read."""
        if self._desk is not None:
            await self._look(self._desk)
            self._watch = asyncio.create_task(self._look_around(self._desk))

    async def stop(self) -> None:
        """Write down what is new, and let go of the ledger."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._note_used()
        closed = await asyncio.gather(*(desk.close(END_S) for desk in (self._desk, self._errands) if desk is not None))
        if not all(closed):
            logger.warning("the ledger does not answer; when keys were last used is not noted")

    def restored(self) -> None:
        """Take note that this process is a copy of one that was frozen; one that goes on never is."""

    async def _look_around(self, desk: Desk) -> None:
        is_away = False
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self._look(desk)
            except Exception as error:  # noqa: BLE001  whatever a damaged ledger brings: a watch that ended would keep revoked keys alive
                if not is_away:
                    told = error.detail if isinstance(error, LedgerUnavailable) else repr(error)
                    logger.warning("keys and quotas stay as they are until the ledger can be read again: %s", told)
                is_away = True
                continue
            if is_away:
                logger.warning("keys and quotas are as the ledger says again")
            is_away = False

    async def _look(self, desk: Desk) -> None:
        is_slow_turn, began_us = self._looks % SLOWER == 0, self.quotas.month_began_us
        reads_spent = is_slow_turn and self.quotas.has_quotas
        self._looks += 1
        seen = await desk.ask(lambda book: book.look(began_us if reads_spent else None))
        if seen.keys is not None:
            self.keyring.replace(seen.keys)
        if reads_spent and began_us == self.quotas.month_began_us:
            self.quotas.spent_elsewhere(seen.spent)
        self.repeats.arrived(seen.arrived_us)
        if is_slow_turn:
            self._note_used()
            self._renew()

    def _note_used(self) -> None:
        """Have written down when keys were used, unless that is still under way."""
        if self._errands is not None and (self._noting is None or self._noting.done()):
            used_us = self.keyring.take_used()
            if used_us:
                self._noting = asyncio.create_task(self._write_used(self._errands, used_us))

    async def _write_used(self, desk: Desk, used_us: dict[str, int]) -> None:
        try:
            await desk.ask(lambda book: book.note_used(used_us))
        except LedgerUnavailable as error:
            logger.warning("when keys were last used is to be noted later: %s", error.detail)
            self.keyring.note_used(used_us)

    def _renew(self) -> None:
        if due := self.repeats.to_renew():
            task = asyncio.create_task(self._write_renewed(due))
            self._renewals.add(task)
            task.add_done_callback(self._renewals.discard)

    async def _write_renewed(self, due: list[RepeatKey]) -> None:
        assert self._errands is not None
        try:
            await self._errands.ask(lambda book: book.renew(due, self._now_us()))
        except LedgerUnavailable as error:
            logger.warning("Idempotency-Keys that were taken can't be held on to: %s", error.detail)

    async def claim(self, account: str, repeat_key: str, fingerprint: str) -> Kept | str | None:
        """Take an Idempotency-Key in the ledger; see `AccountBook.claim`."""
        assert self._errands is not None
        until_us = self._claimed_until_us()
        claim = self._errands.ask(lambda book: book.claim(account, repeat_key, fingerprint, self._now_us(), until_us))
        try:
            return await asyncio.wait_for(claim, CLAIM_WITHIN_S)
        except (LedgerUnavailable, TimeoutError) as error:  # its own words name a file, or a server
            logger.warning("an Idempotency-Key can't be taken: %s", error or "the ledger does not answer")
            raise LedgerUnavailable("Whether this Idempotency-Key was used before can't be told at the moment. Try again later.") from error

    def _claimed_until_us(self) -> int | None:
        """Return until when a key is taken, None for a time in which it is held on to anew."""
        return None

    async def give_back(self, account: str, repeat_key: str) -> None:
        """Let go of an Idempotency-Key whose call was not run; where that fails, it is free before long."""
        assert self._errands is not None
        try:
            await self._errands.ask(lambda book: book.give_back(account, repeat_key))
        except LedgerUnavailable as error:
            logger.warning("an Idempotency-Key can't be given back: %s", error.detail)
