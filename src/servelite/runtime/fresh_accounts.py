"""What a process that is frozen between calls knows of accounts: read at a call, where it is older than a second.

A call waits for a read of its key's state, and of what its account has used where that has a quota, a few milliseconds each. While the
ledger can't be read no call is let in: what a process knew before it was frozen may be hours old, and a revoked key must not open.
"""

import logging
from collections.abc import Callable

from servelite.core.accounts import ApiKey
from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import AccountBook
from servelite.runtime.accounts import Accounts
from servelite.runtime.desk import OpenDesk, Result
from servelite.runtime.keyring import Keyring
from servelite.runtime.quotas import Quotas

FRESH_US = 1_000_000
"""What was read so long ago counts as it is now."""

NOTE_EVERY_US = 60_000_000
"""How often the last use of a key is written down: each time costs a call some milliseconds."""

LONGEST_US = 900 * 1_000_000
"""The longest that a call may run where nothing ends its process before: as long as AWS Lambda lets it."""

logger = logging.getLogger("servelite.ledger")


class FreshKeyring(Keyring):
    """A keyring that is brought up to date before a key is looked up, and tells when one was used."""

    def __init__(self, now_us: Callable[[], int], read: Callable[[], None], note: Callable[[], None]) -> None:
        super().__init__(now_us)
        self._read = read
        self._note = note

    def holder(self, authorization: bytes) -> ApiKey:
        """Return the key that an Authorization header shows; see `Keyring`. LedgerUnavailable where the ledger can't be read."""
        self._read()
        key = super().holder(authorization)
        self._note()
        return key


class FreshAccounts(Accounts):
    """`Accounts` without a watch: `quotas` and `keyring` read the ledger themselves, in the thread of whoever asks them.

    Whoever lets a call in says in `ends_us` when this process has surely ended what it does (AWS Lambda: the invocation's deadline).
    As nobody is there to hold on to it, an Idempotency-Key is held so long; LONGEST_US where that is not said.
    """

    def __init__(self, gateway: str, quotas: Quotas, now_us: Callable[[], int], open_book: Callable[[], AccountBook] | None = None) -> None:
        super().__init__(gateway, quotas, now_us, open_book)
        self._keys_read_us = self._noted_us = 0
        self._spent_read_us: dict[str, int] = {}
        if open_book is not None:
            self._open_desk = OpenDesk(open_book)
            self._desk = self._errands = self._open_desk
            self.keyring = FreshKeyring(now_us, self._read_keys, self._note_keys)
            quotas.before_hold = self._read_spent

    async def start(self) -> None:
        """Look once, so that a ledger that can't be used is told before there are calls; LedgerUnavailable, in words for the operator."""
        if self._desk is not None:
            self._take_keys()

    async def stop(self) -> None:
        """Write down what is new, and let go of the ledger."""
        if self._desk is not None:
            self._noted_us = 0
            self._note_keys()
            await self._desk.close(0)

    def restored(self) -> None:
        """Begin anew, with a connection of one's own: `open_book` gives the book another name, and what was read is too old."""
        self._keys_read_us = 0
        self._spent_read_us.clear()
        if self._desk is not None:
            self._open_desk.close_now()

    def _read_keys(self) -> None:
        if not self._is_fresh(self._keys_read_us):
            self._ask(self._take_keys, "Whose this key is")

    def _take_keys(self) -> None:
        now_us = self._now_us()
        keys = self._open_desk.ask_now(lambda book: book.changed_keys())
        if keys is not None:
            self.keyring.replace(keys)
        self._keys_read_us = now_us

    def _read_spent(self, account: str) -> None:
        """Read what an account used everywhere, this process included: its rows are in the ledger before their calls are settled."""
        began_us = self.quotas.month_began_us
        if not self._is_fresh(self._spent_read_us.get(account, 0)):
            now_us = self._now_us()
            spent = self._ask(lambda: self._open_desk.ask_now(lambda book: book.spent_by(account, began_us)), "What the account has left")
            self.quotas.spent_everywhere(spent)
            self._spent_read_us[account] = now_us

    def _note_keys(self) -> None:
        now_us = self._now_us()
        if abs(now_us - self._noted_us) < NOTE_EVERY_US:
            return
        self._noted_us = now_us
        if used_us := self.keyring.take_used():
            try:
                self._open_desk.ask_now(lambda book: book.note_used(used_us))
            except LedgerUnavailable as error:
                logger.warning("when keys were last used is to be noted later: %s", error.detail)
                self.keyring.note_used(used_us)

    def _is_fresh(self, read_us: int) -> bool:
        return 0 <= self._now_us() - read_us < FRESH_US

    def _ask(self, question: Callable[[], Result], what: str) -> Result:
        try:
            return question()
        except LedgerUnavailable as error:  # its own words name a place
            logger.error("a call is refused: %s", error.detail)
            raise LedgerUnavailable(f"{what} can't be told at the moment. Try again later.") from error

    def _claimed_until_us(self) -> int | None:
        now_us = self._now_us()
        self.repeats.arrived(now_us)  # what was answered is in the ledger
        return self.ends_us if self.ends_us and self.ends_us > now_us else now_us + LONGEST_US
