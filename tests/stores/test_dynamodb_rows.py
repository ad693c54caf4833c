"""Rows on DynamoDB are counted once each, however often they come, whoever else writes, and whatever gets lost on the way."""

from collections import Counter, defaultdict
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.errors import LedgerUnavailable
from servelite.core.month import DAY_US
from servelite.core.ports import KEEP_ANSWERS_US, Kept, Row
from servelite.stores.dynamodb_requests import Item, Outcome, Write
from servelite.stores.dynamodb_rows import MOST_WRITES, PIECE_BYTES, TRIES, Recorder, batches
from servelite.stores.dynamodb_table import EXPIRES, LANES, Key
from servelite.stores.sums import SUMS
from tests.stores.rows import NOON, instant, kept, row
from tests.stores.test_days import rows as any_rows
from tests.stores.test_days import sums


class FakeTable:
    """What DynamoDB does with a transaction, in memory; `fates` says what becomes of the next ones.

    contended  others are in the way, nothing is written
    lost       it is written, and nobody hears of it
    """

    def __init__(self, fates: Sequence[str] = ()) -> None:
        self.items: dict[Key, Item] = {}
        self.fates = list(fates)
        self.sizes: list[int] = []

    def transact(self, writes: Sequence[Write]) -> Outcome:
        assert len({write.key for write in writes}) == len(writes) <= 100
        self.sizes.append(len(writes))
        fate = self.fates.pop(0) if self.fates else "fine"
        if fate == "contended":
            return Outcome(is_contended=True)
        unmet = frozenset(number for number, write in enumerate(writes) if not self._holds(write))
        if not unmet:
            for write in writes:
                self._do(write)
        if fate == "lost":
            raise LedgerUnavailable("Nobody answered.")
        return Outcome(unmet)

    def _holds(self, write: Write) -> bool:
        there = self.items.get(write.key)
        if write.condition == "attribute_not_exists(pk)":
            return there is None
        if write.condition == "attribute_not_exists(at_us) OR at_us <= :old_us":
            return there is None or "at_us" not in there or there["at_us"] <= write.values["old_us"]
        assert not write.condition
        return True

    def _do(self, write: Write) -> None:
        if write.put is not None:
            self.items[write.key] = write.put
        else:
            item = self.items.setdefault(write.key, {})
            item |= write.set_to or {}
            item |= {name: item.get(name, 0) + more for name, more in write.add.items()}

    def days(self) -> dict[tuple[object, ...], list[int]]:
        """Return the sums of days, all lanes together."""
        found: dict[tuple[object, ...], list[int]] = defaultdict(lambda: [0] * len(SUMS))
        for (pk, _), item in self.items.items():
            if pk.startswith("days#"):
                key = item["day"], item["account"], item["key_id"], item["function"], item["stage"]
                found[key] = [before + item.get(name, 0) for before, name in zip(found[key], SUMS, strict=True)]
        return dict(found)

    def spent(self) -> dict[tuple[str, str], tuple[int, ...]]:
        """Return what accounts spent, by the month's part of its place."""
        found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
        for (pk, _), item in self.items.items():
            if pk.startswith("spent#"):
                found[pk.split("#")[1], item["account"]].update({name: item.get(name, 0) for name in ("billed_us", "mib_us", "calls")})
        return {key: tuple(used.values()) for key, used in found.items()}


def recorder(table: FakeTable, lane: int = 0) -> Recorder:
    return Recorder(table.transact, 35, lambda _: lane, lambda tries: None)


def in_days(every: Sequence[Row]) -> dict[tuple[object, ...], list[int]]:
    """Sum rows by day, without gateways, whose day is written as people do."""
    return {(_day(key[0]), *key[1:-1]): found for key, found in sums([one._replace(gateway="") for one in every]).items()}


def _day(number: int) -> str:
    return {0: "1970-01-01", 1: "1970-01-02", 5: "1970-01-06", 20_000: "2024-10-04"}[number]


fates = st.lists(st.sampled_from(["fine", "contended", "lost"]), max_size=12)


@given(sent=st.lists(st.lists(any_rows, max_size=8), max_size=6), fates=fates)
def test_rows_are_counted_once_whatever_is_lost_and_sent_again(sent, fates):
    table = FakeTable(fates)
    came: dict[str, Row] = {}
    for lane, some in enumerate(sent):
        for one in some:
            came.setdefault(one.id, one)
        while True:  # as whoever sends does: until it is heard that all is written
            try:
                recorder(table, lane).record(some, [])
            except LedgerUnavailable:
                continue
            break
    assert {item["id"] for (pk, _), item in table.items.items() if pk.startswith("call#")} == came.keys()
    assert table.days() == in_days(list(came.values()))


@given(sent=st.lists(any_rows, max_size=30))
def test_what_accounts_spent_is_their_billed_calls_by_month_and_no_stages(sent):
    table = FakeTable()
    recorder(table).record(sent, [])
    expected: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for one in {one.id: one for one in reversed(sent)}.values():
        if one.billed_us and not one.stage:
            key = _day(one.at_us // DAY_US)[:7], one.account
            expected[key] = [before + more for before, more in zip(expected[key], (one.billed_us, one.mib_us, 1), strict=True)]
    assert table.spent() == {key: tuple(used) for key, used in expected.items()}


def test_a_lone_call_is_one_transaction_of_its_row_its_day_and_its_account():
    table = FakeTable()
    recorder(table).record([row()], [])
    assert table.sizes == [3]
    assert sorted(pk.partition("#")[0] for pk, _ in table.items) == ["call", "days", "spent"]


def test_a_batch_shares_its_sums_and_what_is_not_billed_spends_nothing():
    table = FakeTable()
    recorder(table).record([row() for _ in range(64)], [])
    recorder(table).record([row(code="invalid_input", billed_us=0)], [])
    assert table.sizes == [66, 2]


@pytest.mark.parametrize("count", [97, 98, 99, 1000])
def test_many_rows_are_as_few_transactions_as_they_can_be(count):
    table = FakeTable()
    recorder(table).record([row() for _ in range(count)], [])
    assert max(table.sizes) <= MOST_WRITES
    assert len(table.sizes) == -(-count // 98)
    assert sum(table.sizes) == count + 2 * len(table.sizes)


def test_rows_that_each_want_sums_of_their_own_stay_within_a_transaction():
    table = FakeTable()
    recorder(table).record([row(account=f"a{number}") for number in range(100)], [])
    assert table.sizes == [99, 99, 99, 3]


def test_others_in_the_way_are_evaded_lane_by_lane():
    table = FakeTable(["contended"] * (LANES + 1))
    recorder(table, lane=LANES - 1).record([row()], [])
    assert [item["lane"] for (pk, _), item in table.items.items() if pk.startswith("spent")] == ["00"]


def test_others_that_stay_in_the_way_are_told_in_the_end():
    table, waits = FakeTable(["contended"] * TRIES), []
    with pytest.raises(LedgerUnavailable, match="Too many write into the ledger at once"):
        Recorder(table.transact, 35, lambda _: 0, waits.append).record([row()], [])
    assert waits == list(range(1, TRIES))
    assert table.items == {}


def test_a_gateway_that_counts_for_itself_has_a_lane_of_its_own():
    table = FakeTable()
    recorder(table).record([row(gateway="g1"), row(gateway="g1"), row(gateway="g2"), row()], [])
    assert Counter({item["lane"]: item["calls"] for (pk, _), item in table.items.items() if pk.startswith("spent")}) == {
        "gateway-g1": 2,
        "gateway-g2": 1,
        "00": 1,
    }


def test_a_lane_is_chosen_when_there_is_something_to_write_and_kept():
    table, chosen = FakeTable(), []
    one = Recorder(table.transact, 35, lambda lanes: chosen.append(lanes) or 7, lambda tries: None)
    assert chosen == []
    for _ in range(3):
        one.record([row()], [])
    assert chosen == [LANES]
    assert {pk for pk, _ in table.items if pk.startswith("days")} == {"days#07"}


@pytest.mark.parametrize("at_us", [0, 2**60], ids=["long ago", "in the year 38,505"])
def test_what_a_broken_clock_says_is_counted(at_us):
    table = FakeTable()
    recorder(table).record([row(at_us=at_us)], [])
    ((key, found),) = table.days().items()
    assert (key[0], found[0]) == ("1970-01-01" if at_us == 0 else "9999-11-30", 1)


def test_each_thing_says_how_long_it_stays():
    table = FakeTable()
    answer = kept()
    Recorder(table.transact, 40, lambda _: 0, lambda tries: None).record([row(id=answer.call)], [answer])
    stays = {pk.partition("#")[0]: item.get(EXPIRES) for (pk, _), item in table.items.items()}
    assert stays == {
        "call": (NOON + 40 * DAY_US) // 1_000_000,
        "days": None,
        "spent": instant("2027-02-01T00:00:00") // 1_000_000,
        "answer": (NOON + KEEP_ANSWERS_US) // 1_000_000 + 1,
    }


def test_an_answer_goes_with_its_calls_row_and_both_or_neither_are_written():
    answers = [kept(body=b"x" * PIECE_BYTES * 4) for _ in range(5)]
    rows = [row(id=one.call) for one in answers]
    split = list(batches(rows, answers))
    assert [[one.id for one in batch.rows] for batch in split] == [[one.call for one in batch.kept] for batch in split]
    assert sum(len(batch.rows) for batch in split) == 5
    assert len(split) == 5  # a mebibyte each


def test_of_several_answers_to_one_key_the_first_is_kept():
    first, second = kept(repeat_key="a", body=b"1"), kept(repeat_key="a", body=b"2")
    table = FakeTable()
    recorder(table).record([row(), row()], [first, second])
    recorder(table).record([row()], [second])
    assert [item["body"] for (pk, _), item in table.items.items() if pk.startswith("answer")] == [b"1"]
    assert sum(pk.startswith("call") for pk, _ in table.items) == 3


def test_an_answer_whose_key_has_one_already_leaves_its_row_in():
    table = FakeTable()
    first, second = kept(repeat_key="a"), kept(repeat_key="a", at_us=NOON + 1)
    for one in (first, second):
        recorder(table).record([row(id=one.call)], [one])
    assert table.days()[("2026-11-20", "local", "", "f", "")][0] == 2


def test_an_answer_that_is_a_day_old_gives_way():
    table = FakeTable()
    for at_us, body in ((NOON, b"old"), (NOON + KEEP_ANSWERS_US, b"new")):
        recorder(table).record([], [kept(repeat_key="a", at_us=at_us, body=body)])
    assert [item["body"] for item in table.items.values()] == [b"new"]


names = st.text(max_size=600)


@given(rows=st.lists(st.builds(lambda account, key: row(account=account, key_id=key, billed_us=1), names, names), max_size=10))
def test_keys_fit_whatever_names_are_and_no_two_are_one(rows):
    table = FakeTable()
    recorder(table).record(rows, [])
    assert all(0 < len(pk.encode(errors="replace")) <= 2048 and 0 < len(sk.encode(errors="replace")) <= 1024 for pk, sk in table.items)
    assert table.days().keys() == {("2026-11-20", one.account, one.key_id, "f", "") for one in rows}


def test_answers_are_told_apart_by_account_and_key():
    table = FakeTable()
    pairs = [("a", "b#c"), ("a#b", "c"), ("a", "b%23c"), ("a%23b", "c")]
    recorder(table).record([], [kept(account=account, repeat_key=key) for account, key in pairs])
    assert len(table.items) == len(pairs)
    assert isinstance(next(iter(batches([], [kept()]))).kept[0], Kept)
