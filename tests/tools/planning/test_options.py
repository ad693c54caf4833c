"""Options, simulated and priced: what they cost at least, when they will not do, and how many servers it takes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from servelite.tools.planning.costs import TARIFFS, lambda_month_micro
from servelite.tools.planning.demand import Demand
from servelite.tools.planning.options import ROAD_US, Lambda, Server, on_lambda, on_servers, quantiles
from tests.tools.planning.profiles import MS, S, a_profile

SERVER = Server(20_000, 2)


@given(st.integers(1, 50 * MS), st.integers(0, 2 * S), st.sampled_from([128, 512, 1769]), st.sampled_from(["steady", "day", "spiky"]))
@settings(max_examples=25)
def test_lambda_never_costs_less_than_the_work(alone_us, init_us, memory_mb, pattern):
    profile = a_profile(alone_us=(alone_us,), init_us=init_us)
    demand = Demand(0.02, pattern)
    option = on_lambda(profile, demand, Lambda(), memory_mb)
    work_us = profile.on_lambda_us(alone_us, memory_mb)
    assert option.month_micro >= lambda_month_micro(TARIFFS["x86_64"], work_us, memory_mb, demand.month_calls, with_free_tier=False)
    assert 0 < option.cold_share <= 1
    assert option.p50_us <= option.p95_us <= profile.lambda_init_us(memory_mb) + profile.lambda_calls_us(memory_mb)[0]


def test_lambda_s_starts_are_billed():
    """One call in three hours finds nobody: each is billed its start, 400 ms, and its own 11 ms in whole milliseconds."""
    option = on_lambda(a_profile(), Demand(0.0001, "steady"), Lambda(keep_alive_s=0), 1769)
    assert option.cold_share == 1
    expected = lambda_month_micro(TARIFFS["x86_64"], 411 * MS, 1769, option.month_calls, with_free_tier=False)
    assert option.month_micro == expected
    assert (option.p50_us, option.p95_us) == (400 * MS + 10 * MS + 140, 400 * MS + 10 * MS + 140)


def test_the_longer_lambda_keeps_environments_the_fewer_calls_are_cold():
    shares = [on_lambda(a_profile(), Demand(0.01, "day"), Lambda(keep_alive_s=s), 512).cold_share for s in (0, 60, 600, 6000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == 1 > shares[-1] > 0


@pytest.mark.slow
def test_at_twice_a_rate_that_is_too_much_to_simulate_it_costs_twice_as_much():
    one, two = (on_lambda(a_profile(), Demand(rps, "day"), Lambda(), 512) for rps in (500, 1000))
    assert two.month_micro == pytest.approx(2 * one.month_micro, abs=1)
    assert two.cold_share == one.cold_share
    assert one.at_once < two.at_once < 2 * one.at_once  # a large pool is used better


def test_arm_is_cheaper_and_what_is_free_is_taken_off():
    costs = [on_lambda(a_profile(), Demand(1, "day"), terms, 1024).month_micro for terms in (Lambda(), Lambda("arm64"))]
    assert costs[0] > costs[1]
    assert on_lambda(a_profile(), Demand(0.1, "day"), Lambda(with_free_tier=True), 1024).month_micro == 0


@pytest.mark.parametrize("rps", [1, pytest.param(50, marks=pytest.mark.slow)], ids=["as it is", "in a model"])
def test_lambda_refuses_calls_beyond_its_limit_and_will_not_do(rps):
    slow = a_profile(alone_us=(2 * S,), batches_us=((1, 2 * S),), max_batch=1)
    limited = on_lambda(slow, Demand(rps, "day"), Lambda(concurrency=3), 1769)
    assert limited.at_once == 3
    assert 0 < limited.throttled_share < 1
    assert not limited.will_do(None)
    free = on_lambda(slow, Demand(rps, "day"), Lambda(), 1769)
    assert (free.throttled_share, free.will_do(None)) == (0, True)


def test_one_server_is_enough_for_little_and_costs_its_hours():
    option = on_servers(a_profile(), Demand(1, "day"), SERVER)
    assert (option.size, option.month_micro, option.cold_share) == (1, 14_600_000, 0)
    assert option.p50_us == 10 * MS + ROAD_US


@pytest.mark.parametrize("rps", [300, 1500])
def test_as_many_servers_as_keep_up_in_the_busiest_minute(rps):
    """A worker does 8 calls in 17 ms at best, 470 a second; a server has two."""
    demand = Demand(rps, "day")
    option = on_servers(a_profile(), demand, SERVER)
    most_rps = SERVER.most_rps(a_profile())
    assert most_rps == pytest.approx(2 / (17 * MS / 8 + 100) * 1e6)  # by its cores, which the gateway shares
    assert option.size == int(demand.busiest_rps / most_rps) + 1
    assert option.size == {300: 1, 1500: 5}[rps]


SLOW = {"alone_us": (2 * S,), "batches_us": ((1, 2 * S),), "max_batch": 1}


def test_a_time_limit_takes_more_servers_the_fewest_that_will_do():
    one_core, demand = Server(20_000, 1), Demand(0.2, "steady")
    slow, fast = (on_servers(a_profile(**SLOW), demand, one_core, limit) for limit in (None, 3 * S))
    assert slow.size == 1 < fast.size
    assert fast.p95_us <= 3 * S < slow.p95_us
    assert on_servers(a_profile(**SLOW), demand, one_core, fast.p95_us - 1).size > fast.size


def test_no_number_of_servers_is_faster_than_the_function():
    assert on_servers(a_profile(), Demand(1, "day"), SERVER, 10 * MS) is None


def test_more_servers_come_before_a_call_waits_past_its_time_limit():
    patient, hasty = (a_profile(**SLOW, timeout_s=s) for s in (60.0, 3.0))
    demand = Demand(0.4, "steady")
    assert on_servers(patient, demand, SERVER).size == 1 < on_servers(hasty, demand, SERVER).size


@pytest.mark.parametrize(
    ("times", "half", "most"),
    [([], 0, 0), ([7], 7, 7), ([3, 1, 2], 2, 3), (list(range(1, 101)), 50, 95), (list(range(1, 21)), 10, 19)],
    ids=["none", "one", "three", "a hundred", "twenty"],
)
def test_half_and_95_of_100_are_within(times, half, most):
    assert quantiles(times) == (half, most)
