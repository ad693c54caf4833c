"""A call's row with those of all below it, in every ledger; the call itself first."""

from contextlib import closing

import pytest

from servelite.stores.direct import DirectLedger, NoLedger
from servelite.stores.ledger import JournaledLedger
from tests.stores.rows import NOON, row


def a_family(at_us=NOON):
    """Return a pipeline's row with three below it, one of them two steps."""
    whole = row(function="whole", at_us=at_us)
    first = row(function="first", parent=whole.id, stage="first", at_us=at_us - 20)
    second = row(function="second", parent=whole.id, stage="second", account="", queue_us=0, at_us=at_us - 10)
    below = row(function="asked", parent=first.id, at_us=at_us - 30)
    return whole, [below, first, second]


def test_a_call_is_found_with_all_below_it_and_nothing_else(tables):
    whole, parts = a_family()
    other, others = a_family()
    tables.record([*parts, whole, *others, other, row()])
    found = tables.family(whole.id)
    assert found[0] == whole
    assert sorted(found[1:]) == sorted(parts)
    assert sorted(tables.family(other.id)) == sorted([other, *others])


def test_a_call_that_was_made_of_no_other_is_alone(tables):
    alone = row(code="timed_out", status=504, peak_kib=0, cold=1)
    tables.record([alone, row()])
    assert tables.family(alone.id) == [alone]


@pytest.mark.parametrize("call", ["0" * 32, "", "x' OR '1'='1", "%", "ä"])
def test_a_call_that_has_no_row_has_no_family(tables, call):
    whole, parts = a_family()
    tables.record([*parts, whole])
    assert tables.family(call) == []


def test_rows_whose_call_is_not_there_are_nobodys_family(tables):
    whole, parts = a_family()
    tables.record(parts)
    assert tables.family(whole.id) == []


def test_a_call_is_found_as_soon_as_it_is_recorded(any_place):
    whole, parts = a_family()
    with closing(JournaledLedger(any_place)) as ledger:
        ledger.record(parts)
        ledger.record([whole])
        found = ledger.family(whole.id)
        assert ledger.family(whole.id) == found  # from the tables, now that it was moved
    assert (found[0], sorted(found[1:])) == (whole, sorted(parts))


def test_a_ledger_that_writes_at_once_finds_it_too(any_place):
    whole, parts = a_family()
    with closing(DirectLedger(any_place)) as ledger:
        ledger.record(parts)
        ledger.record([whole])
        found = ledger.family(whole.id)
    assert (found[0], sorted(found[1:])) == (whole, sorted(parts))


def test_a_ledger_that_keeps_nothing_finds_nothing():
    whole, parts = a_family()
    ledger = NoLedger()
    ledger.record([*parts, whole])
    assert ledger.family(whole.id) == []


def test_what_is_below_a_call_is_found_by_an_index(db):
    plan = "EXPLAIN QUERY PLAN" if "Sqlite" in type(db).__name__ else "EXPLAIN"
    with db.transaction("plan"):
        if plan == "EXPLAIN":
            db.query("SET LOCAL enable_seqscan = off")  # which it prefers for a table of a page
        steps = db.query(f"{plan} SELECT id FROM calls WHERE parent = 'x' AND parent <> ''")
    assert "calls_by_parent" in str(steps)
