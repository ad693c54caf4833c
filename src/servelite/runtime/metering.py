"""From a batch's reply to receipts and ledger rows: each call's exact share, recorded before it is answered."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from servelite.core.call import Answer, BatchReply, Call, Outcome, Receipt, shares
from servelite.core.errors import wire_code
from servelite.core.ports import Ledger, Row


class Wait(NamedTuple):
    """How long one call of a batch waited before a worker took it, µs; `init_us` more for a worker to start."""

    queue_us: int
    init_us: int


class Meter:
    """Writes what calls took into the ledger."""

    def __init__(self, ledger: Ledger, now_us: Callable[[], int]) -> None:
        self._ledger = ledger
        self._now_us = now_us

    def settle(self, calls: Sequence[Call], waits: Sequence[Wait], reply: BatchReply, gives: str) -> list[Answer]:
        """Record a batch, and return the answers, bodies of the media type `gives`, that may now leave.

        Raises:
            LedgerUnavailable: the rows could not be kept; nothing may be answered.
        """
        count, at_us = len(calls), self._now_us()
        shared = zip(calls, waits, reply.outcomes, shares(reply.compute_us, count), shares(reply.cpu_us, count), strict=True)
        answers, rows = [], []
        for call, wait, outcome, compute_us, cpu_us in shared:
            billed_us = compute_us if outcome.error is None or outcome.error.billed else 0
            receipt = Receipt(compute_us, cpu_us, wait.queue_us, wait.init_us, count, wait.init_us > 0, billed_us)
            answers.append(Answer(outcome.body, gives, receipt, outcome.error))
            rows.append(_row(call, at_us, outcome, receipt, reply.peak_kib))
        self._ledger.record(rows)
        return answers


def _row(call: Call, at_us: int, outcome: Outcome, receipt: Receipt, peak_kib: int) -> Row:
    error = outcome.error
    status, code = (error.status, wire_code(error)) if error else (200, "ok")
    whose = call.id, at_us, call.account, call.function, status, code
    times = receipt.queue_us, receipt.init_us, receipt.compute_us, receipt.cpu_us, peak_kib, receipt.batch
    # by position, because sixteen keywords a row take longer than all the rest; a test holds the order to Row's
    return Row._make((*whose, *times, len(call.body), len(outcome.body), int(receipt.cold), receipt.billed_us))
