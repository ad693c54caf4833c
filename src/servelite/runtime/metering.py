"""From a batch's reply to receipts and ledger rows: each call's exact share, recorded before it is answered."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from servelite.core.call import Answer, BatchReply, Call, Outcome, Receipt, shares
from servelite.core.errors import wire_code
from servelite.core.ports import Ledger, Row


@dataclass(slots=True)
class Wait:
    """How long one call of a batch waited before a worker took it, µs; `init_us` of it for a worker to start."""

    queue_us: int
    init_us: int


class Meter:
    """Writes what calls took into the ledger."""

    def __init__(self, ledger: Ledger, now_us: Callable[[], int]) -> None:
        self._ledger = ledger
        self._now_us = now_us

    def settle(self, calls: Sequence[Call], waits: Sequence[Wait], reply: BatchReply) -> list[Answer]:
        """Record a batch, and return the answers that may now leave.

        Raises:
            LedgerUnavailable: the rows could not be kept; nothing may be answered.
        """
        count, at_us = len(calls), self._now_us()
        compute, cpu = shares(reply.compute_us, count), shares(reply.cpu_us, count)
        answers, rows = [], []
        for index, (call, wait, outcome) in enumerate(zip(calls, waits, reply.outcomes, strict=True)):
            receipt = Receipt(
                compute[index], cpu[index], wait.queue_us, wait.init_us, count, wait.init_us > 0, _billed(outcome, compute[index])
            )
            answers.append(Answer(outcome.body, receipt, outcome.error))
            rows.append(_row(call, at_us, outcome, receipt, reply.peak_kib))
        self._ledger.record(rows)
        return answers


def _billed(outcome: Outcome, compute_us: int) -> int:
    return compute_us if outcome.error is None or outcome.error.billed else 0


def _row(call: Call, at_us: int, outcome: Outcome, receipt: Receipt, peak_kib: int) -> Row:
    error = outcome.error
    return Row(
        id=call.id,
        at_us=at_us,
        account=call.account,
        function=call.function,
        status=error.status if error else 200,
        code=wire_code(error) if error else "ok",
        queue_us=receipt.queue_us,
        init_us=receipt.init_us,
        compute_us=receipt.compute_us,
        cpu_us=receipt.cpu_us,
        peak_kib=peak_kib,
        batch=receipt.batch,
        bytes_in=len(call.body),
        bytes_out=len(outcome.body),
        cold=int(receipt.cold),
        billed_us=receipt.billed_us,
    )
