"""From a batch's reply to receipts and ledger rows: what each call took, recorded before it is answered."""

import asyncio
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from servelite.core.call import Answer, BatchReply, Call, Outcome, Receipt, Tally, proportionate
from servelite.core.errors import Cancelled, wire_code
from servelite.core.function import Description
from servelite.core.ports import Ledger, Row, Spans
from servelite.runtime.accounts import Accounts

PRICES = 4096
"""Prices that are remembered: calls of a small model take the same few microseconds again and again."""

Price = tuple[int, int, int]
"""What a row says of it: memory_mib, cost_pico, mib_us."""


class Wait(NamedTuple):
    """How long one call of a batch waited before a worker took it, µs; `init_us` more for a worker to start."""

    queue_us: int
    init_us: int


class Meter:
    """Writes what calls took into the ledger, at the tariff's price, and into their accounts' quotas."""

    def __init__(self, ledger: Ledger, accounts: Accounts, gateway: str, now_us: Callable[[], int]) -> None:
        self.ledger = ledger
        self.accounts = accounts
        self._quotas, self._repeats, self._tariff = accounts.quotas, accounts.repeats, accounts.quotas.tariff
        self._gateway = gateway
        self._now_us = now_us
        self._price = lru_cache(PRICES)(self._priced)
        self.spans: Spans | None = None
        self.start_us = 0
        """What the start of this very process took that the next call waited for; 0 where none did, or one was told already."""

    def settle(self, calls: Sequence[Call], waits: Sequence[Wait], reply: BatchReply, function: Description) -> list[Answer]:
        """Record a batch, and return the answers that may now leave.

        Raises:
            LedgerUnavailable: the rows could not be kept; nothing may be answered.
        """
        count, at_us = len(calls), self._now_us()
        cpu = proportionate(reply.cpu_us, [outcome.compute_us for outcome in reply.outcomes])
        memory_mib = function.limits.memory_mib
        answers, settled = [], []
        if self.start_us:
            waits = self._with_start(waits)
        for call, (queue_us, init_us), (body, error, compute_us), cpu_us in zip(calls, waits, reply.outcomes, cpu, strict=True):
            billed_us = self._tariff.billed_us(compute_us) if error is None or error.billed else 0
            receipt = Receipt(compute_us, cpu_us, queue_us, init_us, count, init_us > 0, billed_us)
            answer = Answer(body, function.gives, receipt, error)
            answers.append(answer)
            if not call.is_settled:
                price = self._price(billed_us, memory_mib, call.tally is None)
                row = self._row(call, at_us, answer, reply.peak_kib, function.version, price)
                settled.append((call, answer, row))
        self._record(settled)
        return answers

    def _with_start(self, waits: Sequence[Wait]) -> Sequence[Wait]:
        """Count the process's start with the first call of it."""
        start_us, self.start_us = self.start_us, 0
        return [waits[0]._replace(init_us=waits[0].init_us + start_us), *waits[1:]]

    def settle_so_far(self, call: Call, wait: Wait, compute_us: int, peak_kib: int, function: Description) -> None:
        """Record a stage that its pipeline does not wait for, with its share of a run that goes on; see `settle`."""
        gone = Outcome(error=Cancelled("Its pipeline has ended without it."), compute_us=compute_us)
        self.settle([call], [wait], BatchReply([gone], 0, peak_kib), function)
        call.is_settled = True

    def settle_pipeline(self, call: Call, tally: Tally, outcome: Outcome, function: Description) -> Answer:
        """Record a pipeline's call with the sums of its stages, and return the answer that may now leave; see `settle`."""
        times = tally.compute_us, tally.cpu_us, tally.queue_us, tally.init_us
        answer = Answer(outcome.body, function.gives, Receipt(*times, 1, tally.init_us > 0, tally.billed_us), outcome.error)
        call_pico = self._tariff.cost_pico(0, int(tally.billed_us > 0 and call.tally is None))
        price = max(tally.memory_mib, function.limits.memory_mib), tally.cost_pico + call_pico, tally.mib_us
        self._record([(call, answer, self._row(call, self._now_us(), answer, tally.peak_kib, function.version, price))])
        return answer

    async def close(self) -> None:
        """Close the ledger, and send the last spans."""
        self.ledger.close()
        if self.spans is not None:
            await asyncio.to_thread(self.spans.close)

    def _record(self, settled: Sequence[tuple[Call, Answer, Row]]) -> None:
        if not settled:
            return
        kept = [self._repeats.kept(call, row.at_us, answer) for call, answer, row in settled if call.repeat_key]
        self.ledger.record([row for _, _, row in settled], kept)
        for one in kept:
            self._repeats.hold(one)
        if self.spans is not None:
            self.spans.record([(call, row) for call, _, row in settled])
        for call, answer, row in settled:
            if call.tally is None:
                answer.receipt.free_left_us = self._quotas.settle(call, row.billed_us, row.mib_us)
            else:  # it is billed with the pipeline that it is a stage of
                _add(call.tally, row)

    def _priced(self, billed_us: int, memory_mib: int, is_own: bool) -> Price:  # noqa: FBT001  it is called by position, see `__init__`
        mib_us = self._tariff.mib_us(billed_us, memory_mib)
        return memory_mib, self._tariff.cost_pico(self._tariff.units(billed_us, mib_us), int(billed_us > 0 and is_own)), mib_us

    def _row(self, call: Call, at_us: int, answer: Answer, peak_kib: int, version: str, price: Price) -> Row:
        error, receipt = answer.error, answer.receipt
        status, code = (error.status, wire_code(error)) if error else (200, "ok")
        memory_mib, cost_pico, mib_us = price
        # by position, because two dozen keywords a row take longer than all the rest; a test holds the order to Row's
        # fmt: off
        return tuple.__new__(Row, (
            call.id, at_us, call.account, call.function, status, code,
            receipt.queue_us, receipt.init_us, receipt.compute_us, receipt.cpu_us, peak_kib, receipt.batch,
            len(call.body), len(answer.body), int(receipt.cold), receipt.billed_us,
            call.key_id, version, call.parent, call.stage, memory_mib, cost_pico, self._gateway, mib_us,
        ))
        # fmt: on


def _add(tally: Tally, row: Row) -> None:
    tally.calls += 1
    tally.compute_us += row.compute_us
    tally.cpu_us += row.cpu_us
    tally.queue_us += row.queue_us
    tally.init_us += row.init_us
    tally.billed_us += row.billed_us
    tally.mib_us += row.mib_us
    tally.cost_pico += row.cost_pico
    tally.peak_kib = max(tally.peak_kib, row.peak_kib)
    tally.memory_mib = max(tally.memory_mib, row.memory_mib)
