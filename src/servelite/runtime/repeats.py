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
from typing import Protocol

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
from servelite.core.ports import ANSWER_BYTES, CLAIM_US, KEEP_ANSWERS_US, Kept, RepeatKey

MOST_ANSWER_BYTES = 1024 * 1024
"""Longer answers are not kept: who asks again is told so, and not billed again."""

MOST_PROBLEM = 16 * 1024
"""Characters of an error that are kept."""

MOST_FRESH_BYTES = 64 * 1024 * 1024
"""What answers that have not arrived in the database yet may take, and `SHARE_BYTES` those of one account."""

SHARE_BYTES = MOST_FRESH_BYTES // 4

LONG_BODY_BYTES = 64 * 1024
"""A longer body is digested in a thread: 6 MiB take 20 ms."""

RECEIPT_FIELDS = {field.name for field in fields(Receipt)}

RENEW_AFTER_US = CLAIM_US // 2


class Claims(Protocol):
    """How keys are taken in the ledger's database, so that gateways on one ledger know of each other; see `AccountBook`."""

    async def claim(self, account: str, repeat_key: str, fingerprint: str) -> Kept | str | None:
        """Take a key."""
        ...

    async def give_back(self, account: str, repeat_key: str) -> None:
        """Let go of a key; never raises."""
        ...


class Repeats:
    """Remembers what was answered to whom; `claims` is None where there is no database behind it."""

    def __init__(self, gateway: str, now_us: Callable[[], int], claims: Claims | None = None) -> None:
        self._gateway = gateway
        self._now_us = now_us
        self._claims = claims
        self._claimed_us: dict[RepeatKey, int] = {}
        self._running: dict[RepeatKey, str] = {}
        self._fresh: dict[RepeatKey, Kept] = {}  # oldest first
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
        if who in self._running:
            raise _running(call, self._running[who], asked)
        self._running[who] = asked
        try:
            kept = self._fresh.get(who) or await self._taken(who, asked)
            if isinstance(kept, str):
                raise _running(call, kept, asked)
            if kept is not None and kept.at_us > self._now_us() - KEEP_ANSWERS_US:
                if kept.fingerprint != asked:
                    raise _reused(call)
                return _again(call, kept)
            return await self._run(call, who, run)
        finally:
            del self._running[who]

    async def _taken(self, who: RepeatKey, asked: str) -> Kept | str | None:
        """Take the key; return what stands in the way."""
        if self._claims is None:
            return None
        found = await self._claims.claim(*who, asked)
        if found is None:
            self._claimed_us[who] = self._now_us()
        return found

    async def _run(self, call: Call, who: RepeatKey, run: Callable[[], Awaitable[Answer]]) -> Answer:
        try:
            self._make_room(call.account)
            return await run()
        except BaseException:
            if self._claimed_us.pop(who, None) is not None and self._claims is not None:
                await self._claims.give_back(*who)
            raise

    def to_renew(self) -> list[RepeatKey]:
        """Return the keys to hold on to, as renewed: their calls run, or their answers are not in the database yet."""
        now_us = self._now_us()
        due = [who for who, claimed_us in self._claimed_us.items() if claimed_us < now_us - RENEW_AFTER_US]
        self._claimed_us |= dict.fromkeys(due, now_us)
        return due

    def kept(self, call: Call, at_us: int, answer: Answer) -> Kept:
        """Return what is to be kept of an answer."""
        is_too_long = len(answer.body) > MOST_ANSWER_BYTES
        error = AnswerNotKept(_too_long(call.repeat_key, len(answer.body))) if is_too_long else answer.error
        problem = _problem(error) if error else ""
        body = b"" if is_too_long else answer.body
        who = call.account, call.repeat_key
        receipt = json.dumps(asdict(answer.receipt))
        return Kept(*who, self._running[who], call.id, at_us, answer.media_type, body, problem, receipt, self._gateway)

    def hold(self, kept: Kept) -> None:
        """Hold an answer that was recorded, until it has arrived in the database."""
        who = kept.account, kept.repeat_key
        self._drop(who)
        self._fresh[who] = kept
        self._fresh_bytes[kept.account] += _size(kept)

    def arrived(self, until_us: int) -> None:
        """Let go of the answers that the database has: those up to a moment."""
        while self._fresh and self._fresh[oldest := next(iter(self._fresh))].at_us <= until_us:
            self._forget(oldest)

    def _forget(self, who: RepeatKey) -> None:
        self._drop(who)
        self._claimed_us.pop(who, None)

    def _drop(self, who: RepeatKey) -> None:
        kept = self._fresh.pop(who, None)
        if kept is not None:
            self._fresh_bytes[kept.account] -= _size(kept)
            self._fresh_bytes += Counter()  # those that hold nothing are not kept

    def _make_room(self, account: str) -> None:
        """Without a database the account's oldest go; with one, nothing goes before it has arrived there."""
        while self._is_full(account):
            if self._claims is not None:
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


def _size(kept: Kept) -> int:
    return len(kept.body) + len(kept.problem) + ANSWER_BYTES


def _problem(error: ServeliteError) -> str:
    """Write an error down; one of very many words is cut."""
    told = {"code": wire_code(error), "detail": error.detail, "errors": error.errors}
    written = json.dumps(told)
    return written if len(written) <= MOST_PROBLEM else json.dumps({**told, "detail": error.detail[: MOST_PROBLEM // 8], "errors": []})


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


def _running(call: Call, running: str, asked: str) -> ServeliteError:
    if running != asked:
        return _reused(call)
    return IdempotencyKeyInUse(f"The first call with the Idempotency-Key '{call.repeat_key}' still runs. Try again later.")


def _reused(call: Call) -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        f"The Idempotency-Key '{call.repeat_key}' was used before, for another function or body. Send a new key with a new call."
    )


def _too_long(key: str, size: int) -> str:
    return (
        f"The call with the Idempotency-Key '{key}' was answered, with {size:,} bytes, more than the {MOST_ANSWER_BYTES:,} that are kept. "
        "It is not run or billed again. Send a new key to have it run again."
    )
