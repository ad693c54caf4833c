"""API keys in the ledger's database."""

from dataclasses import replace

import pytest

from servelite.core.accounts import ApiKey
from servelite.core.errors import LedgerUnavailable
from servelite.stores.keys import add_key, all_keys, note_used, revoke_key

KEY = ApiKey("k1", "acme", "ci", b"\x00\xff" * 16, ("sentiment", "ocr*"), is_admin=False, created_us=10, expires_us=99)


def test_a_key_is_kept_as_it_is(db):
    keys = [
        KEY,
        ApiKey("k2", "Zoë's", 'a"b\\', bytes(32), ("*",), is_admin=True, created_us=11),
        replace(KEY, id="k3", functions=(), created_us=12),
    ]
    for key in keys:
        add_key(db, key)
    assert all_keys(db) == keys


def test_keys_come_oldest_first(db):
    for number in (3, 1, 2):
        add_key(db, replace(KEY, id=f"k{number}", created_us=number))
    assert [key.id for key in all_keys(db)] == ["k1", "k2", "k3"]


def test_an_id_is_given_once(db):
    add_key(db, KEY)
    with pytest.raises(LedgerUnavailable):
        add_key(db, replace(KEY, account="another"))
    assert all_keys(db) == [KEY]


def test_a_revoked_key_says_since_when_and_stays_so(db):
    add_key(db, KEY)
    add_key(db, replace(KEY, id="k2"))
    for now_us in (50, 60):
        revoke_key(db, "k1", now_us)
    assert [key.revoked_us for key in all_keys(db)] == [50, None]
    assert not all_keys(db)[0].is_valid(51)


def test_revoking_a_key_that_does_not_exist_changes_nothing(db):
    add_key(db, KEY)
    revoke_key(db, "k9", 50)
    assert all_keys(db) == [KEY]


def test_the_last_use_is_the_latest_that_any_gateway_saw(db):
    add_key(db, KEY)
    add_key(db, replace(KEY, id="k2"))
    for used in ({"k1": 50, "gone": 9}, {"k1": 40}, {}, {"k1": 60}, {"k1": 60}):
        note_used(db, used)
    assert [key.last_used_us for key in all_keys(db)] == [60, None]
