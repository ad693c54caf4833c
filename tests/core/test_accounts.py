import pytest

from servelite.core.accounts import Allowance, ApiKey

KEY = ApiKey("id", "acme", "ci", bytes(32))


@pytest.mark.parametrize(
    ("times", "is_valid"),
    [
        pytest.param({}, True, id="for ever"),
        pytest.param({"expires_us": 101}, True, id="the last µs"),
        pytest.param({"expires_us": 100}, False, id="expired"),
        pytest.param({"revoked_us": 50}, False, id="revoked"),
        pytest.param({"revoked_us": 50, "expires_us": 101}, False, id="revoked before it expires"),
    ],
)
def test_a_key_is_valid_until_it_expires_or_is_revoked(times, is_valid):
    key = ApiKey("id", "acme", "ci", bytes(32), **times)
    assert key.is_valid(100) == is_valid


@pytest.mark.parametrize(
    ("patterns", "function", "may"),
    [
        (("*",), "sentiment", True),
        (("sentiment",), "sentiment", True),
        (("sentiment",), "sentiment2", False),
        (("ocr*", "topic"), "ocr_detect", True),
        (("ocr*", "topic"), "topic", True),
        (("ocr*", "topic"), "detect_ocr", False),
        (("OCR",), "ocr", False),
        ((), "sentiment", False),
    ],
)
def test_a_key_may_call_what_a_pattern_of_it_fits(patterns, function, may):
    assert ApiKey("id", "acme", "ci", bytes(32), patterns).may_call(function) == may


@pytest.mark.parametrize(
    ("allowance", "is_unlimited"),
    [(Allowance(), True), (Allowance(credit_micro=0), False), (Allowance(calls_per_s=1), False), (Allowance(concurrent_calls=1), False)],
)
def test_an_allowance_without_a_limit_is_nothing_to_watch(allowance, is_unlimited):
    assert allowance.is_unlimited == is_unlimited
