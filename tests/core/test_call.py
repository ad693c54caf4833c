import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.call import BatchReply, Outcome, Receipt, call_id, proportionate, shares

MILLISECONDS = st.integers(0, 2**48 - 1)
ENTROPY = st.integers(0, 2**80 - 1)


@given(total=st.integers(0, 2**63), count=st.integers(1, 1000))
def test_shares_add_up_exactly_and_differ_by_at_most_1(total, count):
    parts = shares(total, count)
    assert (len(parts), sum(parts)) == (count, total)
    assert max(parts) - min(parts) <= 1
    assert all(type(part) is int for part in parts)


@given(total=st.integers(0, 2**63), count=st.integers(1, 1000))
def test_larger_shares_come_first(total, count):
    parts = shares(total, count)
    assert parts == sorted(parts, reverse=True)
    assert parts.count(total // count) >= count - total % count


@given(total=st.integers(0, 2**63), more=st.integers(0, 2**63), count=st.integers(1, 1000))
def test_no_share_of_a_longer_time_is_smaller(total, more, count):
    assert all(one <= other for one, other in zip(shares(total, count), shares(total + more, count), strict=True))


@given(total=st.integers(0, 2**63), count=st.integers(1, 999))
def test_company_makes_no_share_larger(total, count):
    assert all(one <= other for one, other in zip(shares(total, count + 1), shares(total, count), strict=False))


@given(total=st.integers(0, 2**63), count=st.integers(1, 1000))
def test_a_share_is_within_1_of_the_exact_part(total, count):
    assert all(abs(part - Fraction(total, count)) < 1 for part in shares(total, count))


@given(batches=st.lists(st.tuples(st.integers(0, 2**40), st.integers(1, 64)), max_size=50))
def test_the_shares_of_many_batches_add_up_to_their_times(batches):
    assert sum(sum(shares(total, count)) for total, count in batches) == sum(total for total, _ in batches)


@pytest.mark.parametrize(
    ("total", "count", "parts"),
    [
        pytest.param(10, 1, [10], id="one call has all"),
        pytest.param(10, 3, [4, 3, 3], id="a rest goes to the first"),
        pytest.param(2, 4, [1, 1, 0, 0], id="less than 1 each"),
        pytest.param(0, 2, [0, 0], id="nothing"),
    ],
)
def test_shares_of_some_numbers(total, count, parts):
    assert shares(total, count) == parts


WEIGHTS = st.lists(st.integers(0, 2**40), min_size=1, max_size=64)


@given(total=st.integers(0, 2**63), weights=WEIGHTS)
def test_parts_like_weights_add_up_exactly_and_are_within_1_of_exact(total, weights):
    parts = proportionate(total, weights)
    assert (len(parts), sum(parts)) == (len(weights), total)
    assert all(type(part) is int and part >= 0 for part in parts)
    if any(weights):
        assert all(abs(part - Fraction(total * weight, sum(weights))) < 1 for part, weight in zip(parts, weights, strict=True))


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        pytest.param(10, [7], [10], id="one has all"),
        pytest.param(10, [0], [10], id="one has all though it weighs nothing"),
        pytest.param(9, [1, 2, 0], [3, 6, 0], id="like the weights"),
        pytest.param(10, [1, 1, 1], [3, 3, 4], id="a rest goes where it falls"),
        pytest.param(5, [0, 0], [3, 2], id="equally where nothing weighs"),
    ],
)
def test_parts_of_some_numbers(total, weights, parts):
    assert proportionate(total, weights) == parts


def test_a_batch_took_what_its_calls_took_together():
    assert BatchReply([Outcome(compute_us=3), Outcome(compute_us=4)], cpu_us=0, peak_kib=0).compute_us == 7


@given(earlier=MILLISECONDS, later=MILLISECONDS, one=ENTROPY, other=ENTROPY)
def test_ids_sort_by_time(earlier, later, one, other):
    if earlier > later:
        earlier, later = later, earlier
    if earlier != later:
        assert call_id(earlier, one) < call_id(later, other)


@given(now_ms=MILLISECONDS, entropy=ENTROPY)
def test_an_id_is_32_hexadecimal_digits_that_hold_time_and_entropy(now_ms, entropy):
    made = call_id(now_ms, entropy)
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert (int(made[:12], 16), int(made[12:], 16)) == (now_ms, entropy)


def test_ids_of_the_same_millisecond_differ_by_their_entropy():
    assert call_id(1, 2) != call_id(1, 3)


@pytest.mark.parametrize(("cold", "written"), [(False, "cold=?0"), (True, "cold=?1")])
def test_a_receipt_is_written_as_an_rfc_9651_dictionary(cold, written):
    receipt = Receipt(compute_us=1430, cpu_us=1290, queue_us=210, init_us=7, batch=8, cold=cold, billed_us=1430)
    assert str(receipt) == f"compute-us=1430, cpu-us=1290, queue-us=210, batch=8, {written}, billed-us=1430"


def test_a_receipt_of_an_account_with_a_quota_says_what_is_left():
    assert str(Receipt(free_left_us=0)).endswith("billed-us=0, free-left-us=0")
