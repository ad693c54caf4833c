"""From a batch's reply to receipts and ledger rows: what each call took, recorded before it is answered."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from servelite.core.call import Answer, BatchReply, Call, Outcome, Receipt, proportionate
from servelite.core.errors import wire_code
from servelite.core.function import Description
from servelite.core.ports import Ledger, Row
from servelite.runtime.accounts import Accounts


class Wait(NamedTuple):
    """How long one call of a batch waited before a worker took it, µs; `init_us` more for a worker to start."""

    queue_us: int
    init_us: int


class Meter:
    """Writes what calls took into the ledger, at the tariff's price, and into their accounts' quotas."""

    def __init__(self, ledger: Ledger, accounts: Accounts, gateway: str, now_us: Callable[[], int]) -> None:
        self._ledger = ledger
        self._quotas, self._repeats, self._tariff = accounts.quotas, accounts.repeats, accounts.quotas.tariff
        self._gateway = gateway
        self._now_us = now_us

    def settle(self, calls: Sequence[Call], waits: Sequence[Wait], reply: BatchReply, function: Description) -> list[Answer]:
        """Record a batch, and return the answers that may now leave.

        Raises:
            LedgerUnavailable: the rows could not be kept; nothing may be answered.
        """
        count, at_us = len(calls), self._now_us()
        cpu = proportionate(reply.cpu_us, [outcome.compute_us for outcome in reply.outcomes])
        answers, rows, kept = [], [], []
        for call, wait, outcome, cpu_us in zip(calls, waits, reply.outcomes, cpu, strict=True):
            compute_us = outcome.compute_us
            is_billed = outcome.error is None or outcome.error.billed
            billed_us = self._tariff.billed_us(compute_us) if is_billed else 0
            receipt = Receipt(compute_us, cpu_us, wait.queue_us, wait.init_us, count, wait.init_us > 0, billed_us)
            answer = Answer(outcome.body, function.gives, receipt, outcome.error)
            answers.append(answer)
            rows.append(self._row(call, at_us, outcome, receipt, reply.peak_kib, function))
            if call.repeat_key:
                kept.append(self._repeats.kept(call, at_us, answer))
        self._ledger.record(rows, kept)
        for one in kept:
            self._repeats.hold(one)
        for call, answer, row in zip(calls, answers, rows, strict=True):
            answer.receipt.free_left_us = self._quotas.settle(call, row.billed_us, row.mib_us)
        return answers

    def _row(self, call: Call, at_us: int, outcome: Outcome, receipt: Receipt, peak_kib: int, function: Description) -> Row:
        error, memory_mib, billed_us = outcome.error, function.limits.memory_mib, receipt.billed_us
        status, code = (error.status, wire_code(error)) if error else (200, "ok")
        mib_us = self._tariff.mib_us(billed_us, memory_mib)
        cost_pico = self._tariff.cost_pico(self._tariff.units(billed_us, mib_us), int(billed_us > 0))
        whose = call.id, at_us, call.account, call.function, status, code
        times = receipt.queue_us, receipt.init_us, receipt.compute_us, receipt.cpu_us, peak_kib, receipt.batch
        sizes = len(call.body), len(outcome.body), int(receipt.cold), billed_us
        whence = call.key_id, function.version, call.parent, call.stage, memory_mib, cost_pico, self._gateway, mib_us
        # by position, because two dozen keywords a row take longer than all the rest; a test holds the order to Row's
        return Row._make((*whose, *times, *sizes, *whence))
