"""API keys in a ledger, whatever it is kept in."""

from dataclasses import replace

import pytest

from servelite.core.accounts import ApiKey
from servelite.core.errors import LedgerUnavailable

KEY = ApiKey("k1", "acme", "ci", b"\x00\xff" * 16, ("sentiment", "ocr*"), is_admin=False, created_us=10, expires_us=99)


def test_a_key_is_kept_as_it_is(tables):
    keys = [
        KEY,
        ApiKey("k2", "Zoë's", 'a"b\\', bytes(32), ("*",), is_admin=True, created_us=11),
        replace(KEY, id="k3", functions=(), created_us=12),
    ]
    for key in keys:
        tables.add_key(key)
    assert tables.all_keys() == keys


def test_keys_come_oldest_first(tables):
    for number in (3, 1, 2):
        tables.add_key(replace(KEY, id=f"k{number}", created_us=number))
    assert [key.id for key in tables.all_keys()] == ["k1", "k2", "k3"]


def test_an_id_is_given_once(tables):
    tables.add_key(KEY)
    with pytest.raises(LedgerUnavailable):
        tables.add_key(replace(KEY, account="another"))
    assert tables.all_keys() == [KEY]


def test_a_revoked_key_says_since_when_and_stays_so(tables):
    tables.add_key(KEY)
    tables.add_key(replace(KEY, id="k2"))
    for now_us in (50, 60):
        tables.revoke_key("k1", now_us)
    assert [key.revoked_us for key in tables.all_keys()] == [50, None]
    assert not tables.all_keys()[0].is_valid(51)


def test_revoking_a_key_that_does_not_exist_changes_nothing(tables):
    tables.add_key(KEY)
    tables.revoke_key("k9", 50)
    assert tables.all_keys() == [KEY]


def test_the_last_use_is_the_latest_that_any_gateway_saw(tables, any_place):
    tables.add_key(KEY)
    tables.add_key(replace(KEY, id="k2"))
    book = any_place.book("g")
    for used in ({"k1": 50, "gone": 9}, {"k1": 40}, {}, {"k1": 60}, {"k1": 60}):
        book.note_used(used)
    assert [key.last_used_us for key in tables.all_keys()] == [60, None]
    book.close()
