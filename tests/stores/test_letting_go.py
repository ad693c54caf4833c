"""Retention: single rows go when they have become old, their sums stay; kept answers go by age and size, oldest first."""

import pytest

from servelite.core.ports import BY, Kept, Row
from servelite.stores.moving import ANSWER_BYTES, KEEP_ANSWERS_BYTES, KEEP_ANSWERS_US, SLICE, let_go
from servelite.stores.sums import spent_elsewhere, usage
from tests.stores.rows import DAY_US, EVER, NOON, kept, row


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
    before = [usage(db, by, *EVER) for by in BY], spent_elsewhere(db, "g", 0)
    let_go(db, NOON, 35)
    assert db.query("SELECT count(*) FROM calls") == [(36,)]
    assert ([usage(db, by, *EVER) for by in BY], spent_elsewhere(db, "g", 0)) == before


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


def test_answers_count_though_they_are_empty(db):
    insert(db, answers=[kept(repeat_key=f"{age}", at_us=NOON - age, body=b"") for age in range(9)])
    let_go(db, NOON, 35, 3 * ANSWER_BYTES)
    assert repeat_keys(db) == ["2", "1", "0"]


def test_a_database_without_rows_has_nothing_to_let_go(db):
    assert not let_go(db, NOON, 35)
    assert not let_go(db, 0, 35)
