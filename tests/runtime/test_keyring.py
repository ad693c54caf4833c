"""Whose key a request shows, and that all that open nothing are told apart by nobody."""

import sys
from dataclasses import replace
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.accounts import ApiKey
from servelite.core.errors import Unauthorized
from servelite.runtime.keyring import MOST_KEY_BYTES, Keyring, hash_of
from tests.runtime.fakes import Clock

NOW_US = 1_000_000
SECRET = "x_-" * 14 + "y"


def shown_by(key_id: str) -> bytes:
    """Return a key as its holder has it."""
    return f"sl_{key_id}_{SECRET}".encode()


def a_key(key_id: str, **fields: Any) -> ApiKey:
    return ApiKey(key_id, "acme", "ci", hash_of(shown_by(key_id)), **fields)


VALID = a_key("valid", expires_us=NOW_US + 1)
EXPIRED = a_key("expired", expires_us=NOW_US)
REVOKED = a_key("revoked", revoked_us=5)

REFUSED = {
    "missing": b"",
    "a wrong secret": b"Bearer " + shown_by("valid")[:-1] + b"z",
    "a secret that is too short": b"Bearer " + shown_by("valid")[:-1],
    "a secret with more behind it": b"Bearer " + shown_by("valid") + b"y",
    "another key's secret": b"Bearer " + shown_by("valid").replace(b"valid", b"other"),
    "an unknown id": b"Bearer " + shown_by("unknown"),
    "expired": b"Bearer " + shown_by("expired"),
    "revoked": b"Bearer " + shown_by("revoked"),
    "the id alone": b"Bearer valid",
    "the id without a secret": b"Bearer sl_valid_",
    "another prefix": b"Bearer sk" + shown_by("valid")[2:],
    "another scheme": b"Basic " + shown_by("valid"),
    "no scheme": shown_by("valid"),
    "a scheme alone": b"Bearer",
    "a scheme and a blank": b"Bearer ",
    "a tab": b"Bearer\t" + shown_by("valid"),
    "two keys": b"Bearer " + shown_by("valid") + b" " + shown_by("valid"),
    "bytes that are no text": b"Bearer \xff\xfe",
    "a key without end": b"Bearer " + b"x" * 30_000,
    "a key with something beyond what is hashed": b"Bearer " + shown_by("valid").ljust(MOST_KEY_BYTES, b"z") + b"z",
}


@pytest.fixture
def keyring() -> Keyring:
    made = Keyring(Clock(NOW_US))
    made.replace([VALID, EXPIRED, REVOKED, ApiKey("other", "acme", "ci", hash_of(b"sl_other_of-its-own"))])
    return made


def refusal(keyring: Keyring, authorization: bytes) -> str:
    with pytest.raises(Unauthorized) as caught:
        keyring.holder(authorization)
    return caught.value.detail


@pytest.mark.parametrize("scheme", [b"Bearer ", b"bearer ", b"BEARER  "])
def test_a_valid_key_is_found_with_its_account(keyring: Keyring, scheme: bytes) -> None:
    assert keyring.holder(scheme + shown_by("valid")) is VALID
    assert keyring.holder(scheme + shown_by("valid") + b" ") is VALID


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_valid_key_is_refused_in_the_same_words(keyring: Keyring, name: str) -> None:
    assert refusal(keyring, REFUSED[name]) == refusal(keyring, b"")
    assert keyring.take_used() == {}


def calls_made(keyring: Keyring, authorization: bytes) -> list[str]:
    """Return the name of every function that a look at a header calls, Python's own ones too, in order."""
    made: list[str] = []

    def note(frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            made.append(frame.f_code.co_name)
        elif event == "c_call":
            made.append(argument.__name__)

    sys.setprofile(note)
    try:
        keyring.holder(authorization)
    except Unauthorized:
        pass
    finally:
        sys.setprofile(None)
    return made


@pytest.mark.parametrize("name", REFUSED)
def test_every_refusal_takes_the_same_way_as_a_missing_key(keyring: Keyring, name: str) -> None:
    """Time is too noisy a witness; that nothing more or less is done, and one hash is made and compared, is not."""
    made = calls_made(keyring, REFUSED[name])
    assert made == calls_made(keyring, b"")
    assert (made.count("openssl_sha256"), made.count("compare_digest")) == (1, 1)


def test_a_valid_key_takes_the_same_way_until_it_is_let_in(keyring: Keyring) -> None:
    let_in, refused = calls_made(keyring, b"Bearer " + shown_by("valid")), calls_made(keyring, b"Bearer " + shown_by("unknown"))
    same = refused.index("is_valid")
    assert let_in[: same + 1] == refused[: same + 1]


@given(st.binary(max_size=300))
def test_nothing_that_is_made_up_opens(authorization: bytes) -> None:
    keyring = Keyring(Clock(NOW_US))
    keyring.replace([VALID])
    assert refusal(keyring, authorization) == refusal(keyring, b"Bearer " + authorization)


def test_a_keyring_without_keys_opens_to_nobody() -> None:
    keyring = Keyring(Clock(NOW_US))
    for shown in (b"", b"Bearer sl__", b"Bearer " + shown_by("valid")):
        refusal(keyring, shown)


def test_a_key_is_worth_something_until_the_moment_it_expires() -> None:
    clock = Clock(NOW_US)
    keyring = Keyring(clock)
    keyring.replace([VALID])
    keyring.holder(b"Bearer " + shown_by("valid"))
    clock.us += 1
    refusal(keyring, b"Bearer " + shown_by("valid"))


def test_a_key_that_is_known_no_more_or_known_as_revoked_opens_no_more(keyring: Keyring) -> None:
    keyring.replace([replace(VALID, revoked_us=NOW_US)])
    refusal(keyring, b"Bearer " + shown_by("valid"))
    keyring.replace([VALID])
    keyring.holder(b"Bearer " + shown_by("valid"))
    keyring.replace([])
    refusal(keyring, b"Bearer " + shown_by("valid"))


@pytest.mark.parametrize(
    ("keys", "opens"),
    [([], False), ([EXPIRED, REVOKED], False), ([REVOKED, VALID], True)],
    ids=["no keys", "none that is valid", "one that is valid"],
)
def test_it_knows_whether_any_key_opens(keys: list[ApiKey], opens: bool) -> None:
    keyring = Keyring(Clock(NOW_US))
    keyring.replace(keys)
    assert keyring.opens == opens


def test_when_keys_were_last_used_is_told_once() -> None:
    clock = Clock(NOW_US - 2)
    keyring = Keyring(clock)
    keyring.replace([VALID, a_key("other")])
    for key_id in ("valid", "other", "valid"):
        keyring.holder(b"Bearer " + shown_by(key_id))
        clock.us += 1
    assert keyring.take_used() == {"valid": NOW_US, "other": NOW_US - 1}
    assert keyring.take_used() == {}


def test_what_could_not_be_written_down_is_told_again_unless_there_is_news(keyring: Keyring) -> None:
    keyring.holder(b"Bearer " + shown_by("valid"))
    keyring.note_used({"valid": 7, "other": 7})
    assert keyring.take_used() == {"valid": NOW_US, "other": 7}
