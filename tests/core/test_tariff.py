from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.tariff import Tariff, money, rounded_micro

MICROSECONDS = st.integers(0, 10**15)
TARIFFS = st.builds(Tariff, price_micro=st.integers(0, 10**9), per_s=st.integers(1, 10**4), free_s=st.integers(0, 10**6))


@given(TARIFFS, MICROSECONDS, MICROSECONDS)
def test_more_time_never_costs_less(tariff, one, other):
    less, more = sorted((one, other))
    assert tariff.cost_pico(less, 0) <= tariff.cost_pico(more, 0)
    assert tariff.payable_pico(less, 0) <= tariff.payable_pico(more, 0)


@given(TARIFFS, MICROSECONDS)
def test_a_cost_is_rounded_half_up_once(tariff, billed_us):
    exact = Fraction(billed_us * tariff.price_micro, tariff.per_s)
    assert -Fraction(1, 2) < tariff.cost_pico(billed_us, 0) - exact <= Fraction(1, 2)


@given(TARIFFS, MICROSECONDS, MICROSECONDS)
def test_two_costs_add_up_to_their_sums_cost_within_a_pico(tariff, one, other):
    assert abs(tariff.cost_pico(one, 0) + tariff.cost_pico(other, 0) - tariff.cost_pico(one + other, 0)) <= 1


@given(TARIFFS, MICROSECONDS)
def test_time_is_either_left_over_or_paid_for(tariff, billed_us):
    assert tariff.free_left_us(billed_us) == 0 or tariff.payable_pico(billed_us, 0) == 0
    assert 0 <= tariff.payable_pico(billed_us, 0) <= tariff.cost_pico(billed_us, 0)


@pytest.mark.parametrize(
    ("billed_us", "micro"),
    [
        pytest.param(0, 0, id="nothing"),
        pytest.param(4_999, 0, id="just under half a micro-unit"),
        pytest.param(5_000, 1, id="half a micro-unit"),
        pytest.param(1_000_000, 100, id="a second"),
        pytest.param(100_000_000, 10_000, id="100 seconds are a cent"),
    ],
)
def test_the_default_prices_are_algorithmias(billed_us, micro):
    assert rounded_micro(Tariff().cost_pico(billed_us, 1)) == micro


@pytest.mark.parametrize(
    ("billed_s", "left_s", "payable_micro"),
    [
        pytest.param(0, 5_000, 0, id="unused"),
        pytest.param(4_999, 1, 0, id="nearly used up"),
        pytest.param(5_000, 0, 0, id="just used up"),
        pytest.param(5_100, 0, 10_000, id="100 seconds over"),
    ],
)
def test_five_thousand_seconds_a_month_are_free(billed_s, left_s, payable_micro):
    assert Tariff().free_left_us(billed_s * 10**6) == left_s * 10**6
    assert Tariff().payable_pico(billed_s * 10**6, 1) == payable_micro * 10**6


@pytest.mark.parametrize(
    ("micro", "written"),
    [
        (0, "0.00 USD"),
        (1, "0.000001 USD"),
        (14_300, "0.0143 USD"),
        (500_000, "0.50 USD"),
        (1_000_000, "1.00 USD"),
        (1_234_567_890, "1234.56789 USD"),
    ],
)
def test_money_is_written_for_people(micro, written):
    assert money(micro) == written


@given(st.integers(0, 10**15))
def test_written_money_loses_nothing(micro):
    assert Fraction(money(micro, "EUR").removesuffix(" EUR")) * 10**6 == micro
