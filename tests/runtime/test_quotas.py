"""Quotas: what is let in, what is held back, what is left, and what callers are told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.accounts import Allowance, Spent
from servelite.core.call import Call
from servelite.core.errors import QuotaExhausted, RateLimited
from servelite.core.function import Limits
from servelite.core.tariff import PRESETS, Tariff
from servelite.runtime.quotas import Quotas
from tests.runtime.fakes import Clock

S = 1_000_000
NOVEMBER_26 = 1_795_651_200 * S
DECEMBER = 1_796_083_200 * S
FREE_ONLY = Allowance(credit_micro=0)
TEN_SECONDS_FREE = Tariff(free_s=10)
LIMITS = Limits(timeout_s=2, memory_mib=512)


@pytest.fixture
def clock():
    return Clock(NOVEMBER_26)


@pytest.fixture
def quotas(clock):
    return a_book(clock, free=FREE_ONLY)


def a_book(clock: Clock, tariff: Tariff = TEN_SECONDS_FREE, **allowances: Allowance) -> Quotas:
    return Quotas(tariff, allowances, Allowance(), clock)


def a_call(account: str = "free") -> Call:
    return Call("1", "f", account=account)


def enter(quotas: Quotas, call: Call) -> None:
    """Let a call in, with all that is asked of it."""
    quotas.enter(call)
    try:
        quotas.hold(call, LIMITS)
    except QuotaExhausted:
        quotas.leave(call)
        raise


def run(quotas: Quotas, billed_us: int, account: str = "free", memory_mib: int = 512) -> int | None:
    """Let a call in and end it."""
    call = a_call(account)
    enter(quotas, call)
    left_us = quotas.settle(call, billed_us, quotas.tariff.mib_us(billed_us, memory_mib))
    quotas.leave(call)
    return left_us


def test_an_account_without_limits_is_never_refused_and_told_nothing(quotas):
    assert [run(quotas, 10**12, "somebody") for _ in range(3)] == [None, None, None]


def test_what_is_left_goes_down_by_what_was_billed(quotas):
    assert [run(quotas, billed_us) for billed_us in (1, 2 * S, 0, 7 * S)] == [10 * S - 1, 8 * S - 1, 8 * S - 1, S - 1]


def test_a_lone_caller_uses_up_the_last_microsecond_and_is_then_refused(quotas):
    assert run(quotas, 10 * S - 1) == 1
    assert run(quotas, 5) == 0
    with pytest.raises(QuotaExhausted) as caught:
        run(quotas, 1)
    assert caught.value.detail == (
        "Account free has used 10.000 seconds this month; its quota is 10 seconds free. It renews on 2026-12-01 (UTC)."
    )
    assert caught.value.retry_after_s is None


def test_running_calls_hold_their_time_limit_back(quotas):
    calls = [a_call() for _ in range(5)]
    for call in calls:
        enter(quotas, call)
    with pytest.raises(
        QuotaExhausted, match=r"has used 0\.000 seconds .* held back for its 5 running calls, by their time limits \(10 seconds\)"
    ) as caught:
        enter(quotas, a_call())
    assert caught.value.retry_after_s == 1
    quotas.settle(calls[0], 1000, 512)
    enter(quotas, a_call())


@pytest.mark.parametrize("is_settled", [True, False], ids=["answered", "refused on the way"])
def test_a_call_that_has_ended_holds_nothing(quotas, is_settled):
    for _ in range(20):
        call = a_call()
        enter(quotas, call)
        if is_settled:
            quotas.settle(call, 0, 512)
        quotas.leave(call)
    assert run(quotas, 0) == 10 * S


def test_a_call_that_was_not_let_in_holds_nothing(quotas):
    run(quotas, 10 * S)
    for _ in range(3):
        with pytest.raises(QuotaExhausted):
            enter(quotas, a_call())
    assert quotas._accounts["free"].running == 0


@given(st.lists(st.tuples(st.integers(0, 2 * S), st.integers(0, 7)), max_size=60), st.sampled_from([1, 1000, S, 3 * S]))
def test_an_account_goes_beyond_its_quota_by_one_call_at_most(steps, round_up_us):
    tariff = Tariff(free_s=10, round_up_us=round_up_us)
    quotas = a_book(Clock(NOVEMBER_26), tariff, free=FREE_ONLY)
    most_us = tariff.billed_us(2 * S)
    running: list[Call] = []
    used_us = 0
    for billed_us, which in steps:
        if which < len(running):
            call = running.pop(which)
            taken_us = tariff.billed_us(billed_us)
            quotas.settle(call, taken_us, 512)
            quotas.leave(call)
            used_us += taken_us
            continue
        try:
            enter(quotas, call := a_call())
            running.append(call)
        except QuotaExhausted:
            assert used_us + len(running) * most_us >= 10 * S
    assert used_us < 10 * S + most_us


def test_credit_is_what_may_be_owed_beyond_the_free_time(clock):
    quotas = a_book(clock, rich=Allowance(credit_micro=200))  # two seconds
    assert run(quotas, 10 * S, "rich") == 0
    assert run(quotas, 2 * S - 1, "rich") == 0
    run(quotas, 1, "rich")
    with pytest.raises(
        QuotaExhausted,
        match=r"has used 12\.000 seconds, 0\.0002 USD owed this month; its quota is 10 seconds free and 0\.0002 USD of credit",
    ):
        run(quotas, 1, "rich")


def test_calls_that_cost_count_too(clock):
    tariff = Tariff(free_s=10, free_calls=2, call_price_micro=3, per_calls=1)
    quotas = a_book(clock, tariff, free=FREE_ONLY, rich=Allowance(credit_micro=3))
    for account, calls in (("free", 2), ("rich", 3)):
        for _ in range(calls):
            run(quotas, 1, account)
        with pytest.raises(QuotaExhausted, match=rf"{calls} calls.* this month; its quota is 10 seconds free, 2 calls free"):
            run(quotas, 1, account)


def test_a_tariff_that_weighs_memory_has_its_free_time_in_gb_seconds(clock):
    quotas = a_book(clock, PRESETS["lambda-x86"], free=FREE_ONLY)
    assert run(quotas, 1000 * S, memory_mib=512) == 400_000 * S - 500 * S
    assert run(quotas, 1000 * S, memory_mib=2048) == 400_000 * S - 2500 * S


def test_what_was_used_elsewhere_counts(quotas):
    quotas.spent_elsewhere([Spent("free", billed_us=4 * S, mib_us=0, calls=1), Spent("somebody", 1, 1, 1)])
    assert run(quotas, S) == 5 * S
    quotas.spent_elsewhere([Spent("free", billed_us=9 * S, mib_us=0, calls=2)])
    with pytest.raises(QuotaExhausted, match=r"has used 10\.000 seconds"):
        run(quotas, 1)


def test_a_new_month_begins_with_nothing_used(quotas, clock):
    quotas.spent_elsewhere([Spent("free", 3 * S, 0, 1)])
    run(quotas, 7 * S)
    clock.us = DECEMBER
    assert run(quotas, S) == 9 * S
    assert quotas.month_began_us == DECEMBER


def test_a_call_over_the_months_end_belongs_to_the_month_of_its_answer(quotas, clock):
    run(quotas, 7 * S)
    enter(quotas, call := a_call())
    clock.us = DECEMBER
    assert quotas.settle(call, S, 512) == 9 * S
    quotas.leave(call)
    assert run(quotas, S) == 8 * S


@pytest.mark.parametrize(
    ("now", "began", "renews"),
    [
        pytest.param(1_798_761_599, 1_796_083_200, "2027-01-01", id="the last second of a year"),
        pytest.param(1_798_761_600, 1_798_761_600, "2027-02-01", id="the first second of a year"),
        pytest.param(1_835_395_200, 1_832_976_000, "2028-03-01", id="a leap day"),
    ],
)
def test_a_month_is_a_calendar_month_utc(now, began, renews):
    quotas = a_book(Clock(now * S), free=FREE_ONLY)
    assert quotas.month_began_us == began * S
    run(quotas, 10 * S)
    with pytest.raises(QuotaExhausted, match=f"renews on {renews}"):
        run(quotas, 1)


def test_a_rate_lets_a_seconds_calls_come_at_once_and_then_one_by_one(clock):
    quotas = a_book(clock, quick=Allowance(calls_per_s=4))
    for _ in range(4):
        run(quotas, 0, "quick")
    with pytest.raises(RateLimited, match="Account quick may make 4 calls a second") as caught:
        run(quotas, 0, "quick")
    assert caught.value.retry_after_s == 1
    clock.us += S // 4
    run(quotas, 0, "quick")
    with pytest.raises(RateLimited):
        run(quotas, 0, "quick")


@given(st.lists(st.integers(0, S), max_size=100), st.sampled_from([0.5, 1, 3, 50]))
def test_no_second_has_more_calls_than_twice_the_rate(gaps, rate):
    clock = Clock(NOVEMBER_26)
    quotas = a_book(clock, quick=Allowance(calls_per_s=rate))
    passed = []
    for gap in gaps:
        clock.us += gap
        try:
            run(quotas, 0, "quick")
            passed.append(clock.us)
        except RateLimited:
            pass
    for begun in passed:
        assert sum(begun <= at < begun + S for at in passed) <= max(1, 2 * rate)


def test_a_rate_below_one_lets_a_call_through_each_so_many_seconds(clock):
    quotas = a_book(clock, slow=Allowance(calls_per_s=0.5))
    run(quotas, 0, "slow")
    with pytest.raises(RateLimited) as caught:
        run(quotas, 0, "slow")
    assert caught.value.retry_after_s == 2
    clock.us += 2 * S
    run(quotas, 0, "slow")


def test_calls_at_once_are_counted_until_they_end(clock):
    quotas = a_book(clock, narrow=Allowance(concurrent_calls=2))
    first, second = a_call("narrow"), a_call("narrow")
    enter(quotas, first)
    enter(quotas, second)
    with pytest.raises(RateLimited, match="Account narrow may make 2 calls at once, and has as many running"):
        enter(quotas, a_call("narrow"))
    quotas.leave(first)
    enter(quotas, a_call("narrow"))


def test_all_accounts_that_are_not_named_may_have_a_limit_each(clock):
    quotas = Quotas(TEN_SECONDS_FREE, {"rich": Allowance()}, FREE_ONLY, clock)
    for account in ("ada", "bob"):
        run(quotas, 10 * S, account)
        with pytest.raises(QuotaExhausted, match=f"Account {account} "):
            run(quotas, 1, account)
    assert run(quotas, 10**12, "rich") is None


@pytest.mark.parametrize(
    ("others", "named", "has"),
    [
        (Allowance(), {}, False),
        (Allowance(calls_per_s=1), {}, False),
        (FREE_ONLY, {}, True),
        (Allowance(), {"a": Allowance(credit_micro=7)}, True),
    ],
)
def test_others_use_is_asked_for_where_it_counts(clock, others, named, has):
    assert Quotas(Tariff(), named, others, clock).has_quotas == has


def test_a_tariff_that_weighs_memory_is_told_in_its_measure(clock):
    quotas = a_book(clock, Tariff(free_s=1, weighs_memory=True), free=FREE_ONLY)
    run(quotas, 2 * S, memory_mib=1024)
    with pytest.raises(QuotaExhausted, match=r"has used 2\.000 GB-seconds this month; its quota is 1 GB-seconds free"):
        run(quotas, 1)


def test_what_is_left_is_this_months(quotas, clock):
    run(quotas, 7 * S)
    clock.us = DECEMBER
    assert quotas.free_left_us("free") == 10 * S
    assert quotas.free_left_us("somebody") is None


def test_a_clock_that_is_set_back_keeps_nobody_out_for_longer(clock):
    quotas = a_book(clock, quick=Allowance(calls_per_s=4))
    for _ in range(4):
        run(quotas, 0, "quick")
    clock.us -= 3600 * S
    with pytest.raises(RateLimited) as caught:
        run(quotas, 0, "quick")
    assert caught.value.retry_after_s == 1
    clock.us += S
    run(quotas, 0, "quick")
