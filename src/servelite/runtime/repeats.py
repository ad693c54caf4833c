"""Calls with an Idempotency-Key: the first is run and its answer kept, those that repeat it get that answer, and pay nothing.

The answer goes into the journal together with the call's row, in one write, so there is never the one without the other,
and from there into the ledger's database. Until it has arrived there it is held here too.
"""

import asyncio
import hashlib
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import asdict, fields

from servelite.core.call import Answer, Call, Receipt
from servelite.core.errors import (
    AnswerNotKept,
    IdempotencyKeyInUse,
    IdempotencyKeyReused,
    LedgerUnavailable,
    ServeliteError,
    from_wire,
    wire_code,
)
from servelite.core.ports import Kept

KEEP_US = 24 * 3600 * 1_000_000
"""How long an answer is kept."""

MOST_ANSWER_BYTES = 1024 * 1024
"""Longer answers are not kept: who asks again is told so, and not billed again."""

MOST_FRESH_BYTES = 64 * 1024 * 1024
"""What answers that have not arrived in the database yet may take, and `SHARE_BYTES` those of one account."""

SHARE_BYTES = MOST_FRESH_BYTES // 4

LONG_BODY_BYTES = 64 * 1024
"""A longer body is digested in a thread: 6 MiB take 20 ms."""

ENTRY_BYTES = 500
"""What an answer takes besides its body, about."""

RECEIPT_FIELDS = {field.name for field in fields(Receipt)}

LookUp = Callable[[str, str], Awaitable[Kept | None]]


class Repeats:
    """Remembers what was answered to whom; `look_up` asks the ledger, and is None where there is no database behind it."""

    def __init__(self, gateway: str, now_us: Callable[[], int], look_up: LookUp | None = None) -> None:
        self._gateway = gateway
        self._now_us = now_us
        self._look_up = look_up
        self._running: dict[tuple[str, str], str] = {}
        self._fresh: dict[tuple[str, str], Kept] = {}  # oldest first
        self._fresh_bytes: Counter[str] = Counter()  # by account

    async def answer(self, call: Call, run: Callable[[], Awaitable[Answer]]) -> Answer:
        """Answer a call as it was answered before, else by running it.

        Raises:
            IdempotencyKeyInUse: the first call with this key still runs.
            IdempotencyKeyReused: the first call with this key was another one.
            AnswerNotKept: its answer was too long to be kept.
            LedgerUnavailable: answers can't be kept at the moment.
            ServeliteError: as `run` raises.
        """
        is_long = len(call.body) > LONG_BODY_BYTES
        who, asked = (call.account, call.repeat_key), await asyncio.to_thread(_fingerprint, call) if is_long else _fingerprint(call)
        running = self._running.get(who)
        if running is not None:
            if running != asked:
                raise _reused(call)
            raise IdempotencyKeyInUse(f"The first call with the Idempotency-Key '{call.repeat_key}' still runs. Try again later.")
        self._running[who] = asked
        try:
            kept = self._fresh.get(who)
            if kept is None and self._look_up is not None:
                kept = await self._look_up(*who)
            if kept is not None and kept.at_us > self._now_us() - KEEP_US:
                if kept.fingerprint != asked:
                    raise _reused(call)
                return _again(call, kept)
            self._make_room(call.account)
            return await run()
        finally:
            del self._running[who]

    def kept(self, call: Call, at_us: int, answer: Answer) -> Kept:
        """Return what is to be kept of an answer."""
        is_too_long = len(answer.body) > MOST_ANSWER_BYTES
        error = AnswerNotKept(_too_long(call.repeat_key, len(answer.body))) if is_too_long else answer.error
        problem = json.dumps({"code": wire_code(error), "detail": error.detail, "errors": error.errors}) if error else ""
        body = b"" if is_too_long else answer.body
        who = call.account, call.repeat_key
        receipt = json.dumps(asdict(answer.receipt))
        return Kept(*who, self._running[who], call.id, at_us, answer.media_type, body, problem, receipt, self._gateway)

    def hold(self, kept: Kept) -> None:
        """Hold an answer that was recorded, until it has arrived in the database."""
        who = kept.account, kept.repeat_key
        self._forget(who)
        self._fresh[who] = kept
        self._fresh_bytes[kept.account] += len(kept.body) + ENTRY_BYTES

    def arrived(self, until_us: int) -> None:
        """Let go of the answers that the database has: those up to a moment."""
        while self._fresh and self._fresh[oldest := next(iter(self._fresh))].at_us <= until_us:
            self._forget(oldest)

    def _forget(self, who: tuple[str, str]) -> None:
        kept = self._fresh.pop(who, None)
        if kept is not None:
            self._fresh_bytes[kept.account] -= len(kept.body) + ENTRY_BYTES
            self._fresh_bytes += Counter()  # those that hold nothing are not kept

    def _make_room(self, account: str) -> None:
        """Without a database the account's oldest go; with one, nothing goes before it has arrived there."""
        while self._is_full(account):
            if self._look_up is not None:
                raise LedgerUnavailable("Answers to calls with an Idempotency-Key can't be kept at the moment. Try again later.")
            own = (who for who in self._fresh if who[0] == account)
            self._forget(next(own, next(iter(self._fresh))))

    def _is_full(self, account: str) -> bool:
        return self._fresh_bytes[account] > SHARE_BYTES or self._fresh_bytes.total() > MOST_FRESH_BYTES


def _fingerprint(call: Call) -> str:
    """Tell one call from another by all that its answer depends on."""
    digest = hashlib.sha256(json.dumps([call.function, call.media_type]).encode())
    digest.update(call.body)
    return digest.hexdigest()


def _again(call: Call, kept: Kept) -> Answer:
    """Make the answer that was given before; AnswerNotKept where it was too long."""
    error: ServeliteError | None = None
    if kept.problem:
        error = from_wire(**json.loads(kept.problem))
        if isinstance(error, AnswerNotKept):
            raise error
    call.id = kept.call
    known = {
        name: value for name, value in json.loads(kept.receipt).items() if name in RECEIPT_FIELDS
    }  # another version may have written it
    return Answer(kept.body, kept.media_type, Receipt(**known), error, is_repeated=True)


def _reused(call: Call) -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        f"The Idempotency-Key '{call.repeat_key}' was used before, for another function or body. Send a new key with a new call."
    )


def _too_long(key: str, size: int) -> str:
    return (
        f"The call with the Idempotency-Key '{key}' was answered, with {size:,} bytes, more than the {MOST_ANSWER_BYTES:,} that are kept. "
        "It is not run or billed again. Send a new key to have it run again."
    )
