"""The companies in which inputs are tried; what comes of trying them is in tests/test_testing.py."""

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from servelite.runtime.batch_mates import PAIRED, companies

COUNTS = st.integers(1, 40)
SIZES = st.integers(2, 70)


@given(COUNTS, SIZES)
def test_no_company_is_more_than_a_batch(count, most):
    assert all(1 <= len(company) <= most for company in companies(range(count), most))


@given(COUNTS, SIZES)
def test_each_of_the_first_is_beside_each_other_on_both_sides(count, most):
    assert set(companies(range(count), most)) >= set(permutations(range(min(count, PAIRED)), 2))


@given(COUNTS, SIZES)
def test_every_input_is_alone_once_more_and_in_a_full_batch(count, most):
    tried = list(companies(range(count), most))
    for number in range(count):
        assert (number,) in tried
        assert any(number in company for company in tried if len(company) == most)


@given(COUNTS, SIZES)
def test_one_of_the_first_stands_at_every_place_of_a_batch(count, most):
    assert {(number,) * most for number in range(min(count, PAIRED))} <= set(companies(range(count), most))


def test_pairs_come_before_larger_companies_and_all_is_the_same_each_time():
    tried = list(companies(range(5), 8))
    assert [len(company) for company in tried[:25]] == [1] * 5 + [2] * 20
    assert {len(company) for company in tried} == {1, 2, 3, 5, 8}
    assert tried == list(companies(range(5), 8))
