"""How rows come into the table on DynamoDB: each with its part of the sums in one transaction, each once however often it is tried.

A row is put where there is none of its id, together with what it adds to the sums that it is counted in. So a transaction that was
written, though nobody heard of it, is refused when it is tried again: rows that are there are then left out, with what they would add.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from servelite.core.errors import LedgerUnavailable
from servelite.core.month import DAY_US
from servelite.core.ports import KEEP_ANSWERS_US, Kept, Row
from servelite.stores.dynamodb_requests import Item, Outcome, Write
from servelite.stores.dynamodb_table import (
    EXPIRES,
    LANES,
    Key,
    answer_key,
    day_key,
    day_name,
    gateway_lane,
    lane_name,
    month_of,
    row_key,
    spent_key,
)
from servelite.stores.sums import SUMS

MOST_WRITES = 100
"""Writes of one transaction, as DynamoDB has it."""

MOST_BYTES = 2 * 1024 * 1024
"""About what one transaction writes; DynamoDB takes 4 MB."""

ROW_BYTES = 1024
"""About what a row takes, or an answer besides its body."""

PIECE_BYTES = 256 * 1024
"""What one item holds of an answer's body; DynamoDB takes 400 KB in all."""

TRIES = 30
"""How often a transaction is tried that others are in the way of."""

SPENT_STAYS_US = 62 * DAY_US
"""How long after a month's end it is known what accounts spent in it: nobody asks any more then."""

DAY_NAMES = ("account", "key_id", "function", "stage")
"""What the sums of a day are apart by."""

NOTHING = {str: "", int: 0}
"""What is left out of an item, by its type."""

Transact = Callable[[Sequence[Write]], Outcome]
"""Does all of some writes, or none; see `Table.transact`."""

Wait = Callable[[int], None]
"""Waits a little before another try, of which it is told the number, from 1."""


@dataclass(slots=True)
class Batch:
    """What goes into one transaction."""

    rows: list[Row] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)


class Recorder:
    """Writes rows, and answers with them."""

    def __init__(self, transact: Transact, keep_days: int, choose: Callable[[int], int], wait: Wait) -> None:
        """Write into a lane that `choose` chooses of so many, when there is something to write, and into the next where others are."""
        self._transact = transact
        self._keep_us = keep_days * DAY_US
        self._choose = choose
        self._lane: int | None = None
        self._wait = wait

    def record(self, rows: Sequence[Row], kept: Sequence[Kept]) -> None:
        """Write rows and answers, as many as there are; see `Tables.record`."""
        for batch in batches(rows, kept):
            self._write(batch)

    def _write(self, batch: Batch) -> None:
        tries = 0
        while batch.rows or batch.kept:
            outcome = self._transact(self._writes(batch))
            if outcome.is_written:
                return
            if outcome.is_contended:
                tries += 1
                if tries == TRIES:
                    raise LedgerUnavailable("Too many write into the ledger at once. Try again later.")
                self._lane = self._own_lane() + 1
                self._wait(tries)
            else:
                batch = _without(batch, outcome.unmet)

    def _writes(self, batch: Batch) -> list[Write]:
        """Return the writes of a batch: its rows, then its answers' first pieces, then all others."""
        lane = lane_name(self._own_lane())
        rows = [self._row(row) for row in batch.rows]
        return [*rows, *map(_answer, batch.kept), *_sums(batch.rows, lane), *(piece for one in batch.kept for piece in _pieces(one))]

    def _own_lane(self) -> int:
        """Return the lane; it is not chosen before it is needed, or all copies of a process that was frozen until then had the same."""
        if self._lane is None:
            self._lane = self._choose(LANES)
        return self._lane

    def _row(self, row: Row) -> Write:
        item = {name: value for name, value in row._asdict().items() if value not in ("", 0) or name == "account"}
        expires = {EXPIRES: (row.at_us + self._keep_us) // 1_000_000}
        return Write(row_key(row.id, row.parent), put={**item, **expires}, condition="attribute_not_exists(pk)")


def read_row(item: Item) -> Row:
    """Return the row that an item holds; what is empty or 0 was left out of it."""
    return Row(**{name: item.get(name, NOTHING[kind]) for name, kind in Row.__annotations__.items()})


def batches(rows: Sequence[Row], kept: Sequence[Kept]) -> Iterator[Batch]:
    """Split rows, and answers each with its call's row, into what one transaction takes; of those of one id, or key, the first."""
    batch, sums, count, size = Batch(), set[Key](), 0, 0
    for row, answers in _units(rows, kept):
        of_row = _sum_keys(row) if row else set()
        more = (row is not None) + sum(map(_piece_count, answers))
        more_bytes = ROW_BYTES * (row is not None) + sum(len(one.body) + ROW_BYTES + len(one.problem) for one in answers)
        if count and (count + more + len(sums | of_row) > MOST_WRITES or size + more_bytes > MOST_BYTES):
            yield batch
            batch, sums, count, size = Batch(), set(), 0, 0
        batch.rows += [row] if row else []
        batch.kept += answers
        sums |= of_row
        count, size = count + more, size + more_bytes
    if count:
        yield batch


def _units(rows: Sequence[Row], kept: Sequence[Kept]) -> Iterator[tuple[Row | None, list[Kept]]]:
    """Return what must not be split: rows, each with the answers to its call; and answers without one."""
    answers: dict[str, list[Kept]] = defaultdict(list)
    for one in {(one.account, one.repeat_key): one for one in reversed(kept)}.values():
        answers[one.call].insert(0, one)
    once = {row.id: row for row in reversed(rows)}
    for call in reversed(once):
        yield once[call], answers.pop(call, [])
    for others in answers.values():
        yield from ((None, [one]) for one in others)


def _without(batch: Batch, unmet: frozenset[int]) -> Batch:
    """Leave out what is there already, by its number among the writes."""
    rows = [row for number, row in enumerate(batch.rows) if number not in unmet]
    return Batch(rows, [one for number, one in enumerate(batch.kept, start=len(batch.rows)) if number not in unmet])


def _answer(kept: Kept) -> Write:
    """Put an answer, or its first piece, in place of the claim to its key; not where there is one that is not a day old."""
    item = {**kept._asdict(), "body": kept.body[:PIECE_BYTES], "pieces": _piece_count(kept), **_answer_expires(kept)}
    condition, old_us = "attribute_not_exists(at_us) OR at_us <= :old_us", kept.at_us - KEEP_ANSWERS_US
    return Write(answer_key(kept.account, kept.repeat_key), put=item, condition=condition, values={"old_us": old_us})


def _pieces(kept: Kept) -> Iterator[Write]:
    """Put what of an answer's body is not in the first piece."""
    for number in range(1, _piece_count(kept)):
        body = kept.body[number * PIECE_BYTES : (number + 1) * PIECE_BYTES]
        yield Write(answer_key(kept.account, kept.repeat_key, number), put={"body": body, **_answer_expires(kept)})


def _piece_count(kept: Kept) -> int:
    return max(1, -(-len(kept.body) // PIECE_BYTES))


def _answer_expires(kept: Kept) -> Item:
    return {EXPIRES: (kept.at_us + KEEP_ANSWERS_US) // 1_000_000 + 1}


def _sum_keys(row: Row) -> set[Key]:
    """Return what sums a row is counted in."""
    return {day_key("", row.at_us, _day_names(row)), *([_spent_key(row, "")] if _is_spent(row) else [])}


def _sums(rows: Sequence[Row], lane: str) -> Iterator[Write]:
    """Add rows to the sums of their days, and to what their accounts spent."""
    days: dict[Key, list[Row]] = defaultdict(list)
    spent: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        days[day_key(lane, row.at_us, _day_names(row))].append(row)
        if _is_spent(row):
            spent[_spent_key(row, lane)].append(row)
    for key, ones in days.items():
        names: Item = dict(zip(DAY_NAMES, _day_names(ones[0]), strict=True)) | {"day": day_name(ones[0].at_us)}
        yield Write(key, set_to=names, add=_added(dict(zip(SUMS, map(sum, zip(*map(sums_of, ones), strict=True)), strict=True))))
    for key, ones in spent.items():
        names = {"account": ones[0].account, "lane": _spent_lane(ones[0], lane), EXPIRES: _spent_expires(ones[0])}
        used = {"billed_us": sum(row.billed_us for row in ones), "mib_us": sum(row.mib_us for row in ones), "calls": len(ones)}
        yield Write(key, set_to=names, add=_added(used))


def sums_of(row: Row) -> tuple[int, ...]:
    """Return what a row adds to SUMS; the triggers of the SQL databases do the same."""
    whole_s = -(-row.compute_us // 1_000_000) if row.billed_us else 0
    lambda_mib_ms = -(-row.compute_us // 1000) * max(row.memory_mib, 128)
    own = row.compute_us, row.cpu_us, row.billed_us, row.cost_pico, int(row.billed_us > 0), row.mib_us
    return 1, int(row.code != "ok"), *own, whole_s, lambda_mib_ms


def _day_names(row: Row) -> tuple[str, ...]:
    return row.account, row.key_id, row.function, row.stage


def _is_spent(row: Row) -> bool:
    """Tell whether a row counts for its account's quota: stages are in their pipeline's."""
    return row.billed_us > 0 and not row.stage


def _spent_key(row: Row, lane: str) -> Key:
    return spent_key(row.at_us, row.account, _spent_lane(row, lane))


def _spent_lane(row: Row, lane: str) -> str:
    """Return a lane of the gateway's own, as a gateway that counts its calls itself must know them from others'."""
    return gateway_lane(row.gateway) if row.gateway else lane


def _spent_expires(row: Row) -> int:
    return (month_of(row.at_us).ends_us + SPENT_STAYS_US) // 1_000_000


def _added(numbers: dict[str, int]) -> dict[str, int]:
    """Leave out what adds nothing, but for the calls: an item is nothing without a number."""
    return {name: number for name, number in numbers.items() if number or name == "calls"}
