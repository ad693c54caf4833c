"""What every database does for the ledger: the contract of the `Database` port, run over its implementations."""

import threading
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import Kept, Row
from tests.stores.conftest import TABLES
from tests.stores.rows import kept, row

ANSWERS = ("answers", Kept._fields, "account, repeat_key")
CALLS = ("calls", Row._fields, "id")

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
whole_numbers = st.integers(-(2**63), 2**63 - 1)


def all_of(db, table, columns, _key):
    return sorted(db.query(f"SELECT {', '.join(columns)} FROM {table}"))


def do(db, *deeds):
    """Do all of some deeds in a transaction."""
    with db.transaction("a"):
        for deed in deeds:
            deed()


def test_a_new_database_has_the_tables_empty(new_place):
    with closing(new_place.open()) as db:
        assert [db.query(f"SELECT count(*) FROM {table}") for table in TABLES] == [[(0,)]] * len(TABLES)


@pytest.mark.parametrize("count", [0, 1, 2, 15, 16, 17, 255, 256, 257, 3999, 4000, 4001])
def test_rows_of_any_number_are_inserted_as_they_are(db, count):
    rows = [row(account=f"a{number % 3}", compute_us=number) for number in range(count)]
    db.insert(*CALLS, rows)
    assert all_of(db, *CALLS) == sorted(map(tuple, rows))


@pytest.mark.parametrize("count", [1, 16, 17, 40])
def test_rows_with_bytes_are_inserted_as_they_are(db, count):
    answers = [kept(repeat_key=f"{number}", body=bytes(range(256)) * number) for number in range(count)]
    db.insert(*ANSWERS, answers)
    assert all_of(db, *ANSWERS) == sorted(map(tuple, answers))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=50)
@given(values=st.lists(st.tuples(texts, whole_numbers, st.binary()), min_size=1, max_size=20))
def test_values_are_kept_as_they_are(db, values):
    db.query("DELETE FROM answers")
    answers = [kept(account=text, repeat_key=f"{number}", at_us=at_us, body=body) for number, (text, at_us, body) in enumerate(values)]
    db.insert(*ANSWERS, answers)
    assert all_of(db, *ANSWERS) == sorted(map(tuple, answers))


def test_a_row_whose_key_is_there_already_is_not_inserted_again(db):
    first, second = row(compute_us=1), row(compute_us=2)
    db.insert(*CALLS, [first])
    db.insert(*CALLS, [first._replace(compute_us=9), second, second])
    assert all_of(db, *CALLS) == sorted([tuple(first), tuple(second)])
    assert db.query("SELECT calls, compute_us FROM days") == [(2, 3)]


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"account": "a\ud800"}, id="half a character"),
        pytest.param({"compute_us": 2**63}, id="more than 64 bits"),
    ],
)
def test_a_value_that_can_not_stand_in_its_column_is_refused_and_leaves_nothing(db, changes):
    with pytest.raises(ValueError, match=r"."):
        do(db, lambda: db.insert(*CALLS, [row()]), lambda: db.insert(*CALLS, [row(), row(**changes)]))
    assert all_of(db, *CALLS) == []
    db.insert(*CALLS, [row()])
    assert len(all_of(db, *CALLS)) == 1


def test_a_transaction_is_done_whole(db, place):
    with db.transaction("a"):
        db.insert(*CALLS, [row()])
        db.insert(*CALLS, [row()])
    with closing(place.open()) as other:
        assert len(all_of(other, *CALLS)) == 2


@pytest.mark.parametrize("statement", ["SELECT nonsense", "INSERT INTO calls (id) VALUES ('x')", "SELECT 1 +"])
def test_a_statement_that_fails_undoes_its_transaction_and_no_more(db, statement):
    db.insert(*CALLS, [row()])
    with pytest.raises(LedgerUnavailable, match=r"^The ledger .* can't be used: .*\. Mend it, or name another with --ledger\.$"):
        do(db, lambda: db.insert(*CALLS, [row()]), lambda: db.query(statement))
    assert len(all_of(db, *CALLS)) == 1
    with db.transaction("a"):
        db.insert(*CALLS, [row()])
    assert len(all_of(db, *CALLS)) == 2


def test_an_exception_in_a_transaction_undoes_it(db):
    with pytest.raises(KeyError):
        do(db, lambda: db.insert(*CALLS, [row()]), lambda: {}["nothing"])
    assert all_of(db, *CALLS) == []


def test_transactions_of_one_subject_wait_for_each_other(db, place):
    db.query("INSERT INTO journals (name, moved_bytes) VALUES ('a', 0)")

    def count_up() -> None:
        with closing(place.open()) as own:
            for _ in range(50):
                with own.transaction("a"):
                    ((count,),) = own.query("SELECT moved_bytes FROM journals WHERE name = ?", ["a"])
                    own.query("UPDATE journals SET moved_bytes = ?", [count + 1])

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert db.query("SELECT moved_bytes FROM journals") == [(200,)]


def test_many_may_make_the_tables_at_once(new_place):
    failed = []

    def make() -> None:
        try:
            new_place.open().close()
        except LedgerUnavailable as error:
            failed.append(error)

    threads = [threading.Thread(target=make) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    new_place.open().close()
