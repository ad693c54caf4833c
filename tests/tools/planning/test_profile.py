"""What a profile says of batches, and of other machines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.tools.planning.profile import EVENT_US
from tests.tools.planning.profiles import MS, a_profile


@pytest.mark.parametrize(
    ("size", "takes_ms"),
    [(1, 10), (2, 11), (4, 13), (8, 17), (9, 21), (16, 40)],
    ids=["measured", "between", "in the middle", "the largest", "between others", "beyond: in proportion"],
)
def test_a_batch_takes_what_was_measured_or_what_lies_between(size, takes_ms):
    profile = a_profile(batches_us=((1, 10 * MS), (8, 17 * MS), (10, 25 * MS)), max_batch=16)
    assert profile.batch_us(size) == takes_ms * MS


def test_the_least_of_a_call_is_in_the_best_batch():
    assert a_profile().least_us == 17 * MS / 8
    assert a_profile(batches_us=((1, 10 * MS), (2, 30 * MS))).least_us == 10 * MS


@pytest.mark.parametrize(
    ("cores_used", "memory_mb", "times"),
    [
        (1.0, 1769, 1),
        (1.0, 3538, 1),
        (1.0, 8845, 1),
        (1.0, 885, 1769 / 885),
        (1.0, 128, 1769 / 128),
        (0.9, 128, 1769 / 128),
        (2.0, 3538, 1),
        (2.0, 1769, 2),
        (2.0, 128, 2 * 1769 / 128),
        (0.5, 1769, 1),
        (0.5, 884.5, 1.5),
        (0.0, 128, 1),
    ],
)
def test_work_takes_longer_where_there_is_less_of_a_core(cores_used, memory_mb, times):
    assert a_profile(cores_used=cores_used).on_lambda_us(1_000_000, memory_mb) == pytest.approx(1_000_000 * times, abs=1)


def test_a_cold_start_and_a_warm_call_take_as_much_longer():
    profile = a_profile(init_us=100 * MS, alone_us=(1 * MS, 3 * MS))
    assert (profile.lambda_init_us(1769), profile.lambda_init_us(3008)) == (100 * MS, 100 * MS)
    assert profile.lambda_init_us(128) == round(100 * MS * 1769 / 128)
    assert a_profile(init_us=100 * MS, cold_us=70 * MS).lambda_init_us(1769) == 70 * MS
    assert profile.lambda_calls_us(1769) == [1 * MS + EVENT_US, 3 * MS + EVENT_US]


@given(st.floats(0, 8), st.integers(1, 10**7), st.integers(128, 10_240), st.integers(128, 10_240))
def test_more_memory_never_makes_it_slower_nor_faster_than_it_was_here(cores_used, us, one, other):
    profile = a_profile(cores_used=cores_used)
    less, more = sorted((one, other))
    assert us <= profile.on_lambda_us(us, more) <= profile.on_lambda_us(us, less)


def test_a_size_must_hold_its_peak_with_a_tenth_to_spare():
    assert a_profile(peak_kib=115 * 1024).fits(128)
    assert not a_profile(peak_kib=116 * 1024).fits(128)
