"""What calls would have cost elsewhere: checked by hand, and by adding up calls one by one."""

import math
from dataclasses import fields
from fractions import Fraction
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.comparison import Rent, compare
from servelite.core.ports import Usage
from servelite.core.tariff import MICRO, PRESETS, Tariff


class Made(NamedTuple):
    """A call that was made."""

    compute_us: int
    memory_mib: int
    is_billed: bool


CALLS = st.lists(st.builds(Made, st.integers(0, 10**8), st.integers(1, 10_240), st.booleans()), max_size=20)
ACCOUNTS = st.lists(CALLS, max_size=4)
TARIFFS = st.sampled_from([*PRESETS.values(), Tariff(price_micro=7, per_s=3, free_s=0, call_price_micro=5, per_calls=2, currency="EUR")])


def used(calls: list[Made], name: str = "acme") -> Usage:
    """Sum calls as the ledger does."""
    billed = [call for call in calls if call.is_billed and call.compute_us]
    time_us = sum(call.compute_us for call in billed)
    return Usage(
        name,
        calls=len(calls),
        failed=0,
        compute_us=sum(call.compute_us for call in calls),
        cpu_us=0,
        billed_us=time_us,
        billed_calls=len(billed),
        mib_us=sum(call.compute_us * call.memory_mib for call in billed),
        whole_s=sum(math.ceil(call.compute_us / MICRO) for call in billed),
        lambda_mib_ms=sum(math.ceil(call.compute_us / 1000) * max(128, call.memory_mib) for call in calls),
    )


def usage(**changes: int) -> Usage:
    numbers = {one.name: 0 for one in fields(Usage) if one.name != "group"}
    return Usage("acme", **{**numbers, **changes})


def micro(usd: float) -> int:
    return round(usd * MICRO)


@given(ACCOUNTS, TARIFFS)
def test_list_price_is_what_is_free_and_what_is_to_pay(accounts, tariff):
    for price in compare([used(calls) for calls in accounts], tariff, Rent(50_000, 700)):
        assert price.list_micro == price.free_micro + price.payable_micro
        assert min(price.free_micro, price.payable_micro) >= 0


@given(CALLS)
def test_algorithmia_counts_each_billed_call_in_whole_seconds(calls):
    (price,) = [price for price in compare([used(calls)], Tariff()) if price.place == "algorithmia"]
    whole_s = sum(-(-call.compute_us // MICRO) for call in calls if call.is_billed)
    assert price.counted_us == whole_s * MICRO
    assert price.list_micro == whole_s * 100
    assert price.payable_micro == max(0, whole_s - 5_000) * 100


@given(CALLS)
def test_algorithmia_never_costs_less_than_the_same_by_the_microsecond(calls):
    ours, algorithmia = compare([used(calls)], Tariff())[:2]
    assert algorithmia.list_micro >= ours.list_micro
    assert algorithmia.payable_micro >= ours.payable_micro


@given(CALLS)
def test_lambda_counts_each_call_in_gb_milliseconds_and_as_a_request(calls):
    for price in compare([used(calls)], Tariff())[2:]:
        gb_s = sum(Fraction(max(128, call.memory_mib) * -(-call.compute_us // 1000), 1024 * 1000) for call in calls)
        rate = Fraction(166_667 if price.place == "lambda-x86" else 133_334, 10_000)
        assert abs(price.list_micro - (gb_s * rate + Fraction(len(calls), 5))) <= 1
        assert price.counted_us == math.floor(gb_s * MICRO)
        assert price.calls == len(calls)


@given(ACCOUNTS, TARIFFS)
def test_each_account_has_its_own_free_part_and_on_lambda_they_share_one(accounts, tariff):
    together = compare([used(calls) for calls in accounts], tariff)
    alone = [compare([used(calls)], tariff) for calls in accounts]
    merged = compare([used([call for calls in accounts for call in calls])], tariff)
    for number, price in enumerate(together):
        if price.place.startswith("lambda"):
            assert price == merged[number]
        else:
            apart = sum(prices[number].payable_micro for prices in alone)
            assert abs(price.payable_micro - apart) <= len(accounts)
            assert price.payable_micro <= merged[number].payable_micro + 1


@given(st.integers(0, 10**9), st.integers(0, 744), CALLS)
def test_a_machine_costs_its_hours_whatever_it_does(hour_micro, hours, calls):
    price = compare([used(calls)], Tariff(currency="EUR"), Rent(hour_micro, hours))[-1]
    assert (price.place, price.list_micro, price.free_micro, price.currency) == ("machine", hour_micro * hours, 0, "EUR")
    assert (price.counted_us, price.measure) == (hours * 3_600_000_000, "h")


def test_a_month_reckoned_by_hand():
    """Twelve million calls of 2.5 ms with 256 MiB: 30,000 s, 9,000 GB-s by the whole millisecond (3 ms)."""
    month = usage(
        calls=12_000_000,
        compute_us=30_000 * MICRO,
        billed_us=30_000 * MICRO,
        billed_calls=12_000_000,
        mib_us=30_000 * MICRO * 256,
        whole_s=12_000_000,
        lambda_mib_ms=12_000_000 * 3 * 256,
    )
    found = {price.place: price for price in compare([month], Tariff(), Rent(50_000, 720))}
    assert list(found) == ["tariff", "algorithmia", "lambda-x86", "lambda-arm", "machine"]
    # a cent per 100 s, 5,000 s free
    assert (found["tariff"].list_micro, found["tariff"].payable_micro) == (micro(3), micro(2.5))
    assert (found["algorithmia"].list_micro, found["algorithmia"].payable_micro) == (micro(1200), micro(1199.5))
    # the time is within the free 400,000 GB-s; 2.40 USD of requests, 11 of the 12 million to pay
    assert (found["lambda-x86"].counted_us, found["lambda-x86"].measure) == (9_000 * MICRO, "GB-s")
    assert (found["lambda-x86"].list_micro, found["lambda-x86"].payable_micro) == (micro(2.55), micro(2.2))
    assert (found["lambda-arm"].list_micro, found["lambda-arm"].payable_micro) == (micro(2.520001), micro(2.2))
    assert found["machine"].payable_micro == micro(36)


@pytest.mark.parametrize(("weighs_memory", "measure", "counted_us"), [(False, "s", 4 * MICRO), (True, "GB-s", 2 * MICRO)])
def test_this_tariff_counts_in_its_own_measure(weighs_memory, measure, counted_us):
    tariff = Tariff(weighs_memory=weighs_memory, currency="EUR")
    price = compare([usage(billed_us=4 * MICRO, mib_us=4 * MICRO * 512, calls=3, billed_calls=2)], tariff)[0]
    assert (price.place, price.measure, price.counted_us, price.calls, price.currency) == ("tariff", measure, counted_us, 2, "EUR")


@pytest.mark.parametrize("rent", [None, Rent(50_000, 0)], ids=["no machine", "a machine"])
def test_without_calls_nothing_costs_anything(rent):
    prices = compare([], Tariff(), rent)
    assert len(prices) == (5 if rent else 4)
    assert {(price.list_micro, price.payable_micro, price.counted_us, price.calls) for price in prices} == {(0, 0, 0, 0)}


def test_a_zero_price_machine_is_compared_too():
    assert compare([], Tariff(), Rent(0, 720))[-1].place == "machine"
