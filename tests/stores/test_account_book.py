"""What every account book does: the contract of the `AccountBook` port, run over its databases."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace

import pytest

from servelite.core.accounts import ApiKey, Spent
from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import CLAIM_US, KEEP_ANSWERS_US
from servelite.stores.address import address
from servelite.stores.claims import let_claims_go
from servelite.stores.keys import add_key, all_keys
from servelite.stores.ledger import JournaledLedger
from servelite.stores.moving import move_journals
from servelite.stores.sql_tables import SqlTables
from tests.stores.rows import NOON, instant, kept, row

KEY = ApiKey("k1", "acme", "ci", bytes(32), ("sentiment",), created_us=1)
MONTH = instant("2026-11-01T00:00:00")


@pytest.fixture
def book(any_place):
    with closing(any_place.book("own")) as book:
        yield book


def insert(tables, *answers):
    tables.record([], answers)


def test_a_new_ledger_has_nothing_to_see(book):
    keys, spent, arrived_us = book.look(MONTH)
    assert (list(keys), list(spent), arrived_us) == ([], [], 0)
    assert book.claim("acme", "a", "f", NOON) is None


def test_keys_are_seen_at_first_and_then_only_when_they_changed(book, tables):
    assert book.look(None).keys == []
    tables.add_key(KEY)
    assert book.look(None).keys == [KEY]
    assert book.look(None).keys is None
    second = replace(KEY, id="k2", created_us=2)
    tables.add_key(second)
    assert book.look(None).keys == [KEY, second]
    assert book.look(None).keys is None


def test_a_revoked_key_is_seen_at_the_next_look(book, tables):
    tables.add_key(KEY)
    book.look(None)
    tables.revoke_key("k1", 50)
    assert book.look(None).keys == [replace(KEY, revoked_us=50)]
    tables.revoke_key("k1", 60)
    assert book.look(None).keys is None


def test_the_last_use_is_noted_and_is_no_change_of_keys(book, tables):
    tables.add_key(KEY)
    book.look(None)
    book.note_used({"k1": 70})
    book.note_used({"k1": 60, "gone": 1})
    assert book.look(None).keys is None
    assert tables.all_keys() == [replace(KEY, last_used_us=70)]


def test_spent_time_is_read_when_it_is_asked_for_and_not_this_gateways_own(book, tables):
    tables.record(
        [row(gateway="own", billed_us=1), row(gateway="other", billed_us=20), row(gateway="third", billed_us=4), row(billed_us=0)]
    )
    assert book.look(None).spent == []
    assert book.look(MONTH).spent == [Spent("local", 24, 0, 2)]


def test_spent_time_leaves_out_stages_and_other_months(book, tables):
    tables.record(
        [
            row(gateway="other", billed_us=20),
            row(gateway="other", billed_us=9, stage="s"),
            row(gateway="other", at_us=MONTH - 1, billed_us=500),
        ],
    )
    assert book.look(MONTH).spent == [Spent("local", 20, 0, 1)]


def test_what_an_account_spent_everywhere_is_read_with_this_gateways_own(book, tables):
    rows = [row(account="acme", gateway=name, billed_us=us, memory_mib=2) for name, us in (("own", 1), ("other", 20), ("", 300), ("", 0))]
    tables.record([*rows, row(account="acme", stage="s"), row(account="acme", at_us=MONTH - 1), row(account="acm"), row(account="acme-2")])
    assert book.spent_by("acme", MONTH) == Spent("acme", 321, 642, 3)
    assert book.spent_by("nobody", MONTH) == Spent("nobody", 0, 0, 0)


def test_answers_of_this_gateway_have_arrived_up_to_the_latest(book, tables):
    for number, (gateway, at_us) in enumerate((("own", NOON), ("own", NOON + 5), ("other", NOON + 99))):
        lines = [row(gateway=gateway)], [kept(gateway=gateway, at_us=at_us)]
        assert tables.move(f"1-{gateway}-{number:06}.jsonl", lambda offset, lines=lines: (lines, 10)) == 10
    assert book.look(None).arrived_us == NOON + 5


def test_a_long_answer_is_kept_whole(book, tables):
    one = kept(body=bytes(range(256)) * 4096)
    insert(tables, one, kept())
    assert book.claim(one.account, one.repeat_key, "f", NOON) == one


def test_an_answer_is_kept_in_place_of_its_claim_and_not_in_place_of_another_answer(book, tables):
    first, second = (kept(repeat_key="a", body=body) for body in (b"1", b"2"))
    assert book.claim("local", "a", "f", NOON) is None
    for one in (first, second):
        insert(tables, one)
        assert book.claim("local", "a", "f", NOON) == first


def test_a_kept_answer_is_found_by_account_and_key(book, tables):
    ones = [
        kept(account="acme", repeat_key="a", body=bytes(range(256)), problem='{"code": "x"}'),
        kept(account="acme", repeat_key="b"),
        kept(account="else", repeat_key="a"),
    ]
    insert(tables, *ones)
    found = [book.claim(one.account, one.repeat_key, "f", one.at_us) for one in ones]
    assert found == ones
    assert isinstance(found[0].body, bytes)
    assert book.claim("else", "b", "f", NOON) is None
    assert book.claim("acme", "A", "f", NOON) is None


def test_an_answer_is_kept_for_a_day(book, tables):
    insert(tables, one := kept(account="acme", repeat_key="a"))
    assert book.claim("acme", "a", "f", one.at_us + KEEP_ANSWERS_US - 1) == one
    assert book.claim("acme", "a", "f", one.at_us + KEEP_ANSWERS_US) is None


@pytest.fixture
def other(any_place):
    with closing(any_place.book("other")) as book:
        yield book


def test_a_key_is_one_gateways_at_a_time(book, other):
    assert book.claim("acme", "a", "f", NOON) is None
    assert other.claim("acme", "a", "g", NOON + CLAIM_US - 1) == "f"
    assert other.claim("acme", "b", "g", NOON) is None
    assert other.claim("else", "a", "g", NOON) is None


def test_who_has_a_key_may_take_it_again(book):
    assert [book.claim("acme", "a", "f", NOON + at_us) for at_us in range(3)] == [None] * 3


def test_a_key_that_is_not_held_on_to_may_be_taken(book, other):
    book.claim("acme", "a", "f", NOON)
    assert other.claim("acme", "a", "g", NOON + CLAIM_US) is None
    assert book.claim("acme", "a", "f", NOON + CLAIM_US) == "g"


def test_a_key_that_is_held_on_to_may_not(book, other):
    book.claim("acme", "a", "f", NOON)
    book.renew([("acme", "a"), ("acme", "never taken")], NOON + CLAIM_US // 2)
    assert other.claim("acme", "a", "g", NOON + CLAIM_US) == "f"
    other.renew([("acme", "a")], NOON + 10 * CLAIM_US)
    assert other.claim("acme", "a", "g", NOON + 2 * CLAIM_US) is None


def test_a_key_that_is_given_back_is_free_at_once_and_only_its_holder_gives_it_back(book, other):
    book.claim("acme", "a", "f", NOON)
    other.give_back("acme", "a")
    assert other.claim("acme", "a", "g", NOON) == "f"
    book.give_back("acme", "a")
    assert other.claim("acme", "a", "g", NOON) is None


def test_a_key_may_be_taken_for_longer(book, other):
    assert book.claim("acme", "a", "f", NOON, NOON + 900 * CLAIM_US) is None
    assert other.claim("acme", "a", "g", NOON + 900 * CLAIM_US - 1) == "f"
    assert other.claim("acme", "a", "g", NOON + 900 * CLAIM_US) is None


def test_two_who_take_a_key_at_once_do_not_both_get_it(any_place):
    def take(name):
        with closing(any_place.book(name)) as book:
            return [book.claim("acme", str(number), name, NOON) for number in range(20)]

    with ThreadPoolExecutor(2) as pool:
        one, two = pool.map(take, ("one", "two"))
    assert [(mine is None) + (theirs is None) for mine, theirs in zip(one, two, strict=True)] == [1] * 20


def test_claims_that_hold_no_more_are_let_go(place, db):
    book = place.book("own")
    book.claim("acme", "a", "f", NOON)
    book.claim("acme", "b", "f", NOON + 1)
    let_claims_go(db, NOON + CLAIM_US)
    assert db.query("SELECT repeat_key FROM claims") == [("b",)]
    book.close()


def test_a_gateway_that_died_on_this_machine_has_no_key_any_more(place, db):
    ledger = JournaledLedger(place, gateway="0123456789abcdef")
    other = place.book("other")
    with closing(place.book("0123456789abcdef")) as book:
        book.claim("acme", "a", "f", NOON)
    move_journals(SqlTables(db), place.journals)
    assert other.claim("acme", "a", "g", NOON) == "f"
    ledger._journal.close()  # as the kernel does for a killed process
    move_journals(SqlTables(db), place.journals)
    assert other.claim("acme", "a", "g", NOON) is None
    other.close()


def test_what_another_connection_wrote_is_seen(book, any_place):
    with closing(any_place.tables()) as other:
        other.add_key(KEY)
        insert(other, kept(account="acme", repeat_key="a"))
    assert book.look(None).keys == [KEY]
    assert book.claim("acme", "a", "f", NOON) is not None


def test_a_file_that_was_deleted_or_replaced_is_noticed(tmp_path):
    place = address(f"{tmp_path}/ledger.db")
    with closing(place.book("own")) as book:
        book.look(None)
        place.file.unlink()
        with pytest.raises(LedgerUnavailable, match="not where it was"):
            book.look(None)
        place.open().close()
        with pytest.raises(LedgerUnavailable, match="not where it was"):
            book.look(None)


def test_a_server_that_went_away_is_noticed(own_postgres):
    with closing(address(own_postgres.url("postgres")).book("own")) as book:
        book.look(None)
        own_postgres.stop()
        for look in (lambda: book.claim("a", "b", "f", NOON), lambda: book.look(None)):
            with pytest.raises(LedgerUnavailable):
                look()


def test_whoever_writes_hides_nothing_from_looks_nor_from_a_new_connection(place, db):
    add_key(db, KEY)
    with db.transaction("keys"), closing(place.book("own")) as book:
        began_s = time.monotonic()
        assert book.look(MONTH).keys == [KEY]
        with pytest.raises(LedgerUnavailable):
            book.note_used({"k1": 70})
        assert book.look(MONTH).keys is None
        assert time.monotonic() - began_s < 5  # a writer of rows is waited for five seconds
    book = place.book("own")
    book.note_used({"k1": 80})
    book.close()
    assert [key.last_used_us for key in all_keys(db)] == [80]
