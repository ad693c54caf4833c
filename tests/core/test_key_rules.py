"""What may be said of a new key, table after table; each refusal says what to write instead."""

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.accounts import ApiKey
from servelite.core.errors import DefinitionError
from servelite.core.key_rules import MOST_PATTERNS, checked_account, checked_key_name, read_expiry, read_scope

S = 1_000_000
NOW_US = int(datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()) * S


@pytest.mark.parametrize("name", ["acme", "a", "Acme-2", "ada@example.org", "_", "x" * 64, "1.0", "Local"])
def test_an_account_has_a_plain_name(name: str) -> None:
    assert checked_account(name) == name


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("local", "'local' is the account of calls that are made without a key"),
        ("*", "'*' stands for all others"),
        ("", "letters, digits and signs of '._@-'"),
        ("x" * 65, "1 to 64"),
        ("a b", "'a b' can't name an account"),
        ("a/b", "can't name"),
        ("a*", "can't name"),
        ("acme\n", "can't name"),
        ("Zoë", "can't name"),
        ("a'; DROP TABLE keys", "can't name"),
    ],
)
def test_what_can_not_name_an_account_is_refused(name: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        checked_account(name)
    assert said in caught.value.detail


@pytest.mark.parametrize("name", ["", "ci", "Zoë's laptop (old)", "x" * 64])
def test_a_key_is_called_what_people_like(name: str) -> None:
    assert checked_key_name(name) == name


@pytest.mark.parametrize("name", ["x" * 65, "a\nb", "\x1b[31mred", "a\u202eb"], ids=ascii)
def test_a_name_that_would_spoil_a_table_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match="up to 64 characters"):
        checked_key_name(name)


@pytest.mark.parametrize(
    ("said", "patterns"),
    [
        ("*", ("*",)),
        ("sentiment", ("sentiment",)),
        ("sentiment,ocr*", ("sentiment", "ocr*")),
        (" sentiment , ocr-? ", ("sentiment", "ocr-?")),
        ("a,b,a", ("a", "b")),
    ],
)
def test_a_scope_is_names_and_patterns_with_commas(said: str, patterns: tuple[str, ...]) -> None:
    assert read_scope(said) == patterns


@pytest.mark.parametrize("said", ["", ",", "a,", "a b", "[a-z]*", "a/b", "a;b", "Zoë", "x" * 65])
def test_a_scope_that_names_nothing_is_refused(said: str) -> None:
    with pytest.raises(DefinitionError, match=r"names no function.*--functions 'sentiment,ocr\*'"):
        read_scope(said)


def test_a_scope_has_an_end() -> None:
    names = [f"f{number}" for number in range(MOST_PATTERNS + 1)]
    assert len(read_scope(",".join(names[:-1]))) == MOST_PATTERNS
    with pytest.raises(DefinitionError, match=f"up to {MOST_PATTERNS} patterns of functions, not {MOST_PATTERNS + 1}"):
        read_scope(",".join(names))


@pytest.mark.parametrize(
    ("said", "ends"),
    [
        ("90d", datetime(2027, 2, 24, 12, tzinfo=UTC)),
        ("1d", datetime(2026, 11, 27, 12, tzinfo=UTC)),
        ("12h", datetime(2026, 11, 27, 0, tzinfo=UTC)),
        ("99999d", datetime(2300, 9, 10, 12, tzinfo=UTC)),
        ("2027-01-31", datetime(2027, 1, 31, tzinfo=UTC)),
        ("2026-11-27", datetime(2026, 11, 27, tzinfo=UTC)),
        ("9999-12-31", datetime(9999, 12, 31, tzinfo=UTC)),
    ],
)
def test_an_expiry_is_a_span_or_a_day(said: str, ends: datetime) -> None:
    assert read_expiry(said, NOW_US) == int(ends.timestamp()) * S


def test_never_is_no_expiry() -> None:
    assert read_expiry("never", NOW_US) is None


@pytest.mark.parametrize("said", ["0d", "0h", "2026-11-26", "1999-12-31", "0001-01-01"])
def test_an_expiry_that_is_over_is_refused(said: str) -> None:
    with pytest.raises(DefinitionError, match=rf"expires {said} would be worth nothing\. Name a time to come"):
        read_expiry(said, NOW_US)


@pytest.mark.parametrize(
    "said", ["", "soon", "90", "90 d", "-1d", "1.5d", "3w", "6m", "1y", "100000d", "2027-02-30", "20270131", "2027-1-31", "31.1.2027", "٣d"]
)
def test_an_expiry_that_can_not_be_read_is_refused(said: str) -> None:
    with pytest.raises(DefinitionError, match=r"is no time to expire\. Write days or hours \(90d, 12h\), a date \(2027-01-31\), or never"):
        read_expiry(said, NOW_US)


@given(st.text())
def test_whatever_is_said_is_read_or_refused(said: str) -> None:
    for read in (checked_account, checked_key_name, read_scope, lambda text: read_expiry(text, NOW_US)):
        with suppress(DefinitionError):
            read(said)


@pytest.mark.parametrize(
    ("times", "state"),
    [
        ({}, "valid"),
        ({"expires_us": NOW_US + 1}, "valid"),
        ({"expires_us": NOW_US}, "expired"),
        ({"revoked_us": 1}, "revoked"),
        ({"revoked_us": 1, "expires_us": 2}, "revoked"),
    ],
    ids=str,
)
def test_a_key_s_state_is_a_word(times: dict[str, int], state: str) -> None:
    assert ApiKey("id", "acme", "ci", bytes(32), **times).state(NOW_US) == state  # type: ignore[arg-type]
