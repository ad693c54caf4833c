"""Single rows go when they have become old, their sums stay, of past months without gateways; kept answers go by age and size."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from servelite.core.ports import ANSWER_BYTES, BY, KEEP_ANSWERS_US, Kept, Row
from servelite.stores.answers import KEEP_ANSWERS_BYTES
from servelite.stores.retention import FOLD_AFTER_US, SLICE, let_go
from servelite.stores.sums import spent_elsewhere, usage
from tests.stores.rows import DAY_US, EVER, NOON, instant, kept, row


def insert(db, rows=(), answers=()):
    with db.transaction("a"):
        db.insert("calls", Row._fields, "id", list(rows))
        db.insert("answers", Kept._fields, "account, repeat_key", list(answers))


def repeat_keys(db) -> list[str]:
    return [key for (key,) in db.query("SELECT repeat_key FROM answers ORDER BY at_us")]


@pytest.mark.parametrize("keep_days", [1, 35, 400])
def test_rows_go_after_so_many_days(db, keep_days):
    edge_us = NOON - keep_days * DAY_US
    old, young = row(at_us=edge_us - 1000), row(at_us=edge_us)
    insert(db, [old, young, row(at_us=edge_us - 900 * DAY_US)])
    assert not let_go(db, NOON, keep_days)
    assert db.query("SELECT id FROM calls") == [(young.id,)]


def test_more_days_than_there_were_keep_all(db):
    insert(db, [row(at_us=DAY_US)])
    assert not let_go(db, NOON, 10**9)
    assert db.query("SELECT count(*) FROM calls") == [(1,)]


def test_sums_stay_when_rows_go(db):
    insert(db, (row(at_us=NOON - day * DAY_US, account=f"a{day % 2}", key_id=f"k{day % 3}", stage="s" * (day % 2)) for day in range(80)))
    before = usage(db, BY, *EVER), spent_elsewhere(db, "g", 0)
    let_go(db, NOON, 35)
    assert db.query("SELECT count(*) FROM calls") == [(36,)]
    assert (usage(db, BY, *EVER), spent_elsewhere(db, "g", 0)) == before


def test_many_rows_go_a_slice_at_a_time_oldest_first(db):
    rows = [row(at_us=NOON - 2 * DAY_US + number * 1000) for number in range(2 * SLICE + 1)]
    insert(db, [*rows, row()])
    left = []
    while let_go(db, NOON, 1):
        left.append(db.query("SELECT count(*), min(id) FROM calls")[0])
    assert left == [(SLICE + 2, rows[SLICE].id), (2, rows[2 * SLICE].id)]
    assert db.query("SELECT count(*) FROM calls") == [(1,)]


def test_answers_go_after_a_day(db):
    young = kept(at_us=NOON - KEEP_ANSWERS_US + 1)
    insert(db, answers=[kept(at_us=NOON - KEEP_ANSWERS_US), kept(at_us=NOON - 99 * DAY_US), young])
    let_go(db, NOON, 35)
    assert repeat_keys(db) == [young.repeat_key]


@pytest.mark.parametrize(
    ("room", "left"),
    [
        pytest.param(KEEP_ANSWERS_BYTES, 9, id="room for all by default"),
        pytest.param(9 * (1000 + ANSWER_BYTES), 9, id="room for all"),
        pytest.param(9 * (1000 + ANSWER_BYTES) - 1, 8, id="a byte less"),
        pytest.param(1000 + ANSWER_BYTES, 1, id="room for one"),
        pytest.param(1000, 0, id="room for none"),
    ],
)
def test_answers_beyond_what_is_kept_go_oldest_first(db, room, left):
    insert(db, answers=[kept(repeat_key=f"{age}", at_us=NOON - age, body=b"x" * 1000) for age in range(9)])
    let_go(db, NOON, 35, room)
    assert repeat_keys(db) == [f"{age}" for age in reversed(range(left))]


@pytest.mark.parametrize(
    ("room", "left"),
    [
        pytest.param(14, {"much": 8, "some": 4, "little": 2}, id="room for all"),
        pytest.param(13, {"much": 7, "some": 4, "little": 2}, id="who has most gives first"),
        pytest.param(10, {"much": 4, "some": 4, "little": 2}, id="until two have as much"),
        pytest.param(8, {"much": 3, "some": 3, "little": 2}, id="then both give"),
        pytest.param(3, {"much": 1, "some": 1, "little": 1}, id="and then all"),
    ],
)
def test_an_account_loses_no_answers_for_those_who_keep_more(db, room, left):
    sizes = {"much": 8, "some": 4, "little": 2}
    answers = [kept(account=name, at_us=NOON - age, body=b"x" * 1000) for name, size in sizes.items() for age in range(size)]
    insert(db, answers=answers)
    let_go(db, NOON, 35, room * (1000 + ANSWER_BYTES))
    assert dict(db.query("SELECT account, count(*) FROM answers GROUP BY account")) == left
    assert db.query("SELECT max(at_us) FROM answers GROUP BY account") == [(NOON,)] * 3


def test_sums_of_past_months_have_no_gateways(db):
    november = instant("2026-11-01T00:00:00")
    insert(db, (row(at_us=november - 1 - day * DAY_US, gateway=f"g{n}", account=f"a{n % 2}") for day in range(3) for n in range(6)))
    insert(db, (row(at_us=november, gateway=f"g{n}") for n in range(6)))
    before = usage(db, BY, *EVER)
    while let_go(db, november + FOLD_AFTER_US, 35):
        pass
    assert db.query("SELECT count(*), count(DISTINCT gateway) FROM days WHERE day < ?", [november // DAY_US]) == [(6, 1)]
    assert db.query("SELECT count(*) FROM days WHERE day >= ?", [november // DAY_US]) == [(6,)]
    assert usage(db, BY, *EVER) == before


def test_sums_of_a_month_that_has_just_ended_keep_their_gateways(db):
    november = instant("2026-11-01T00:00:00")
    insert(db, [row(at_us=november - 1, gateway="g1"), row(at_us=november - 1, gateway="g2")])
    assert not let_go(db, november + FOLD_AFTER_US - 1, 35)
    assert db.query("SELECT count(*) FROM days") == [(2,)]


def test_a_row_that_comes_late_is_put_to_the_sums_of_its_day(db):
    for count in (1, 2, 3):
        insert(db, [row(at_us=NOON - 40 * DAY_US, gateway="g")])
        assert let_go(db, NOON, 400)
        assert not let_go(db, NOON, 400)
        assert db.query("SELECT gateway, calls FROM days") == [("", count)]


def test_those_who_fold_and_those_who_insert_lose_nothing(db, place):
    is_enough = threading.Event()
    late = NOON - 40 * DAY_US

    def fold_on_and_on():
        with closing(place.open()) as other:
            while not is_enough.is_set():
                let_go(other, NOON, 400)

    with ThreadPoolExecutor(2) as pool:
        folding = [pool.submit(fold_on_and_on) for _ in range(2)]
        for n in range(60):
            insert(db, [row(at_us=late, gateway=f"g{n % 3}")])
        is_enough.set()
        for one in folding:
            one.result()
    assert sum(one.calls for one in usage(db, ["day"], *EVER)["day"]) == 60


def test_answers_count_though_they_are_empty(db):
    insert(db, answers=[kept(repeat_key=f"{age}", at_us=NOON - age, body=b"") for age in range(9)])
    let_go(db, NOON, 35, 3 * ANSWER_BYTES)
    assert repeat_keys(db) == ["2", "1", "0"]


def test_a_database_without_rows_has_nothing_to_let_go(db):
    assert not let_go(db, NOON, 35)
    assert not let_go(db, 0, 35)
