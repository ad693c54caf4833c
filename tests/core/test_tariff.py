"""Prices are whole numbers, and exact: every sum is what fractions say it is, rounded half up once."""

import dataclasses
import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.tariff import MICRO, PRESETS, Tariff, money, rounded_micro

MICROSECONDS = st.integers(0, 10**15)
UNITS = st.integers(0, 10**18)
CALLS = st.integers(0, 10**9)
TARIFFS = st.builds(
    Tariff,
    price_micro=st.integers(0, 10**9),
    per_s=st.integers(1, 10**6),
    free_s=st.integers(0, 10**6),
    call_price_micro=st.integers(0, 10**9),
    per_calls=st.integers(1, 10**7),
    free_calls=st.integers(0, 10**7),
    round_up_us=st.integers(1, 10**7),
    weighs_memory=st.booleans(),
    least_mib=st.integers(0, 20_000),
)

GB_S = 1024 * MICRO
"""Units of a GB-second."""


def half_up(exact: Fraction) -> int:
    return math.floor(exact + Fraction(1, 2))


def list_price(tariff: Tariff, units: int, calls: int) -> int:
    """Price units and calls by the definition of a tariff, in exact fractions; millionths of millionths."""
    seconds = Fraction(units, MICRO * (1024 if tariff.weighs_memory else 1))
    for_time = seconds * tariff.price_micro / tariff.per_s
    for_calls = Fraction(calls) * tariff.call_price_micro / tariff.per_calls
    return half_up(for_time * MICRO) + half_up(for_calls * MICRO)


@given(TARIFFS, UNITS, CALLS)
def test_a_cost_is_exactly_its_time_and_its_calls_each_rounded_half_up_once(tariff, units, calls):
    assert tariff.cost_pico(units, calls) == list_price(tariff, units, calls)


@given(TARIFFS, UNITS, UNITS, CALLS, CALLS)
def test_more_time_or_more_calls_never_cost_less(tariff, units, more_units, calls, more_calls):
    assert tariff.cost_pico(units, calls) <= tariff.cost_pico(units + more_units, calls + more_calls)
    assert tariff.payable_pico(units, calls) <= tariff.payable_pico(units + more_units, calls + more_calls)


@given(TARIFFS, UNITS, UNITS, CALLS, CALLS)
def test_costs_add_up_but_for_the_rounding_of_each(tariff, one, other, calls, more_calls):
    apart = tariff.cost_pico(one, calls) + tariff.cost_pico(other, more_calls)
    assert abs(apart - tariff.cost_pico(one + other, calls + more_calls)) <= 2


@given(TARIFFS, st.lists(UNITS, min_size=2, max_size=30))
def test_many_costs_are_off_by_half_a_millionth_of_a_millionth_each_at_most(tariff, many):
    apart = sum(tariff.cost_pico(units, 0) for units in many)
    assert 2 * abs(apart - tariff.cost_pico(sum(many), 0)) <= len(many) + 1


@given(TARIFFS, UNITS, CALLS)
def test_nobody_pays_more_than_the_list_price(tariff, units, calls):
    assert 0 <= tariff.payable_pico(units, calls) <= tariff.cost_pico(units, calls)


@given(TARIFFS, UNITS, CALLS)
def test_only_what_is_beyond_the_free_part_is_to_pay(tariff, units, calls):
    beyond_units = max(0, units - tariff.free_s * MICRO * (1024 if tariff.weighs_memory else 1))
    beyond_calls = max(0, calls - tariff.free_calls)
    assert tariff.payable_pico(units, calls) == list_price(tariff, beyond_units, beyond_calls)


@given(TARIFFS, UNITS)
def test_what_is_left_and_what_is_used_make_the_free_time(tariff, units):
    exact = Fraction(units, 1024 if tariff.weighs_memory else 1)
    assert tariff.free_left_us(units) == max(0, math.floor(tariff.free_s * MICRO - exact))


@given(TARIFFS, UNITS)
def test_time_is_either_left_over_or_paid_for(tariff, units):
    assert tariff.free_left_us(units) == 0 or tariff.payable_pico(units, 0) == 0


@given(TARIFFS, UNITS, CALLS)
def test_the_next_call_is_free_exactly_as_long_as_it_would_cost_nothing(tariff, units, calls):
    """A unit more and a call more, at a tariff where both have a price that does not vanish in rounding."""
    dear = dataclasses.replace(tariff, price_micro=10**9, per_s=1, call_price_micro=tariff.call_price_micro and 10**9, per_calls=1)
    assert dear.is_free_used_up(units, calls) == (dear.payable_pico(units + 1, calls + 1) > 0)


@given(TARIFFS, MICROSECONDS)
def test_time_is_rounded_up_to_the_next_whole_step(tariff, compute_us):
    billed_us = tariff.billed_us(compute_us)
    assert billed_us % tariff.round_up_us == 0
    assert 0 <= billed_us - compute_us < tariff.round_up_us


@given(TARIFFS, MICROSECONDS, MICROSECONDS)
def test_units_are_time_or_time_weighed_with_memory(tariff, billed_us, mib_us):
    assert tariff.units(billed_us, mib_us) == (mib_us if tariff.weighs_memory else billed_us)


@given(TARIFFS, MICROSECONDS, st.integers(0, 20_000))
def test_time_is_weighed_with_the_memory_of_its_function_and_the_least_at_least(tariff, billed_us, memory_mib):
    assert tariff.mib_us(billed_us, memory_mib) == billed_us * max(tariff.least_mib, memory_mib)


@given(MICROSECONDS, st.integers(1, 20_000))
def test_a_function_of_a_gib_costs_the_same_weighed_or_not_and_others_in_proportion(billed_us, memory_mib):
    plain, weighed = Tariff(), Tariff(weighs_memory=True)
    assert weighed.cost_pico(weighed.units(billed_us, billed_us * 1024), 1) == plain.cost_pico(plain.units(billed_us, 0), 1)
    exact = Fraction(memory_mib, 1024) * billed_us * 100  # a cent per 100 s is 100 pico a µs
    assert weighed.cost_pico(weighed.units(billed_us, billed_us * memory_mib), 1) == half_up(exact)


@pytest.mark.parametrize(
    ("round_up_us", "compute_us", "billed_us"),
    [
        pytest.param(1, 143, 143, id="by the microsecond"),
        pytest.param(1000, 0, 0, id="nothing stays nothing"),
        pytest.param(1000, 1, 1000, id="a step begun"),
        pytest.param(1000, 1000, 1000, id="a whole step"),
        pytest.param(1000, 1001, 2000, id="a step and a bit"),
        pytest.param(1_000_000, 143, 1_000_000, id="Algorithmia's whole second"),
        pytest.param(100_000, 250_000, 300_000, id="tenths of a second"),
    ],
)
def test_rounding_up_of_some_times(round_up_us, compute_us, billed_us):
    assert Tariff(round_up_us=round_up_us).billed_us(compute_us) == billed_us


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


def test_the_default_tariff_is_the_preset_algorithmia_and_bills_microseconds():
    assert PRESETS["algorithmia"] == Tariff()
    assert dataclasses.asdict(Tariff()) == {
        "price_micro": 10_000,  # a cent
        "per_s": 100,
        "free_s": 5_000,
        "call_price_micro": 0,
        "per_calls": 1_000_000,
        "free_calls": 0,
        "round_up_us": 1,
        "weighs_memory": False,
        "least_mib": 0,
        "currency": "USD",
    }


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
    ("units", "calls", "is_used_up"),
    [
        pytest.param(10 * MICRO - 1, 0, False, id="a microsecond is left"),
        pytest.param(10 * MICRO, 0, True, id="the time is used up"),
        pytest.param(0, 2, False, id="a call is left"),
        pytest.param(0, 3, True, id="the calls are used up"),
    ],
)
def test_the_free_part_is_used_up_by_time_or_by_calls(units, calls, is_used_up):
    assert Tariff(free_s=10, call_price_micro=1, free_calls=3).is_free_used_up(units, calls) is is_used_up


def test_calls_that_cost_nothing_use_nothing_up():
    assert not Tariff(free_s=1, call_price_micro=0, free_calls=0).is_free_used_up(0, 10**9)


# AWS's own way of reckoning, done by hand: seconds x GB x price, and requests x price.
LAMBDA_MONTHS = [
    # 3,000,000 calls of 120 ms with 1536 MiB: 540,000 GB-s, of which 140,000 are beyond the free ones: 2.333338 USD on x86
    # and 1.866676 on arm; and 2,000,000 requests beyond the free ones: 0.40 USD.
    pytest.param(3_000_000, 120, 1536, 2_733_338, 2_266_676, id="three million calls"),
    # 100,000 calls of 1 s with 512 MiB: 50,000 GB-s, all free.
    pytest.param(100_000, 1000, 512, 0, 0, id="within the free part"),
    # 10,000,000 calls of 1 ms with 128 MiB: 1,250 GB-s, free; 9,000,000 requests beyond: 1.80 USD.
    pytest.param(10_000_000, 1, 128, 1_800_000, 1_800_000, id="only requests cost"),
    # 500,000 calls of 2 s with 1024 MiB: 1,000,000 GB-s, 600,000 beyond: 10.00002 and 8.00004 USD; the requests are free.
    pytest.param(500_000, 2000, 1024, 10_000_020, 8_000_040, id="only time costs"),
]


@pytest.mark.parametrize(("calls", "ms", "memory_mib", "x86_micro", "arm_micro"), LAMBDA_MONTHS)
def test_a_month_on_lambda_costs_what_aws_charges(calls, ms, memory_mib, x86_micro, arm_micro):
    for name, micro in (("lambda-x86", x86_micro), ("lambda-arm", arm_micro)):
        tariff = PRESETS[name]
        billed_us = calls * tariff.billed_us(ms * 1000)
        units = tariff.units(billed_us, tariff.mib_us(billed_us, memory_mib))
        assert tariff.payable_pico(units, calls) == micro * MICRO


@pytest.mark.parametrize(
    ("name", "gb_s_pico", "call_pico"),
    [
        pytest.param("lambda-x86", 16_666_700, 200_000, id="0.0000166667 USD a GB-second on x86"),
        pytest.param("lambda-arm", 13_333_400, 200_000, id="0.0000133334 USD a GB-second on arm"),
    ],
)
def test_the_list_prices_of_lambda_are_those_of_aws(name, gb_s_pico, call_pico):
    tariff = PRESETS[name]
    assert tariff.cost_pico(GB_S, 0) == gb_s_pico
    assert tariff.cost_pico(0, 1) == call_pico
    assert (tariff.billed_us(1), tariff.billed_us(1001)) == (1000, 2000)
    assert (tariff.mib_us(7, 64), tariff.mib_us(7, 129)) == (7 * 128, 7 * 129)
    assert (tariff.free_left_us(0), tariff.free_calls) == (400_000 * MICRO, 1_000_000)


def test_a_free_second_of_a_tariff_that_weighs_memory_is_a_gb_second():
    tariff = Tariff(free_s=2, weighs_memory=True)
    assert tariff.free_left_us(GB_S // 2) == 1_500_000
    assert tariff.free_left_us(1) == 1_999_999  # not more than is left
    assert tariff.payable_pico(2 * GB_S, 0) == 0
    assert tariff.payable_pico(3 * GB_S, 0) == 100 * MICRO


def test_presets_have_the_names_that_settings_offer():
    assert list(PRESETS) == ["algorithmia", "lambda-x86", "lambda-arm"]
    assert {preset.currency for preset in PRESETS.values()} == {"USD"}


@given(st.integers(0, 10**30))
def test_millionths_of_millionths_are_rounded_half_up(pico):
    assert rounded_micro(pico) == half_up(Fraction(pico, MICRO))


@pytest.mark.parametrize(("pico", "micro"), [(499_999, 0), (500_000, 1), (1_499_999, 1), (1_500_000, 2)])
def test_rounding_of_some_amounts(pico, micro):
    assert rounded_micro(pico) == micro


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


@pytest.mark.parametrize(("decimals", "written"), [(0, "0.5 EUR"), (2, "0.50 EUR"), (6, "0.500000 EUR")])
def test_money_is_written_with_so_many_decimals_at_least(decimals, written):
    assert money(500_000, "EUR", decimals) == written


@given(st.integers(0, 10**15), st.integers(2, 6))
def test_written_money_loses_nothing(micro, decimals):
    written = money(micro, "EUR", decimals).removesuffix(" EUR")
    assert Fraction(written) * 10**6 == micro
    assert len(written.partition(".")[2]) >= decimals


@given(TARIFFS)
def test_a_tariff_of_whole_numbers_makes_whole_numbers(tariff):
    made = [tariff.billed_us(7), tariff.cost_pico(7, 7), tariff.payable_pico(7, 7), tariff.free_left_us(7), tariff.free_units]
    assert all(type(number) is int for number in made)
