"""How much of a demand is simulated, at whatever rate."""

import pytest

from servelite.tools.planning.demand import MOST_DAYS, MOST_LAMBDA_CALLS, MOST_RUSH_CALLS, MOST_SERVER_CALLS, Demand

HOUR_US, DAY_US = 3_600_000_000, 86_400_000_000


def test_a_month_has_730_hours():
    assert Demand(5, "day").month_calls == 5 * 730 * 3600 == 13_140_000


def test_a_day_on_lambda_is_whole_and_led_into_by_the_hour_before():
    load = Demand(0.5, "steady").for_lambda(examples=3)
    assert load.counted_us == HOUR_US
    assert load.counted == pytest.approx(43_200, rel=0.05)
    assert len(load.arrivals_us) - load.counted == pytest.approx(1800, rel=0.2)
    assert HOUR_US + 0.99 * DAY_US < load.arrivals_us[-1] < HOUR_US + DAY_US
    assert set(load.examples) == {0, 1, 2}


def test_few_calls_are_seen_on_many_days():
    load = Demand(0.01, "steady").for_lambda(examples=1)
    assert load.counted == pytest.approx(5000, rel=0.1)
    assert Demand(0.0001, "steady").for_lambda(examples=1).arrivals_us[-1] < HOUR_US + MOST_DAYS * DAY_US


def test_beyond_what_is_simulated_a_model_stands_for_the_demand():
    large = Demand(100, "day", seed=4)
    assert large.copies == pytest.approx(100 * 86_400 / MOST_LAMBDA_CALLS)
    assert large.model() == Demand(MOST_LAMBDA_CALLS / 86_400, "day", seed=4)
    assert (Demand(1, "day").copies, Demand(1, "day").model()) == (1, Demand(1, "day"))


@pytest.mark.parametrize("rps", [0.1, 10, 10_000])
def test_a_rush_has_the_true_rate_of_the_busiest_minute_as_long_as_is_simulated(rps):
    demand = Demand(rps, "spiky")
    load = demand.rush(examples=1)
    long_s = load.counted_us / 1e6
    assert long_s == pytest.approx(min(60, MOST_RUSH_CALLS / demand.busiest_rps), abs=1e-6)
    assert load.counted == pytest.approx(long_s * demand.busiest_rps, rel=0.2)
    assert load.arrivals_us[-1] <= 2 * load.counted_us


@pytest.mark.parametrize(("rps", "servers"), [(0.1, 1), (20, 1), (20, 4), (20_000, 10)])
def test_one_of_many_servers_gets_its_part_at_its_true_rate(rps, servers):
    load = Demand(rps, "steady").for_server(servers, examples=1)
    assert len(load.arrivals_us) <= 1.1 * MOST_SERVER_CALLS
    assert len(load.arrivals_us) / (load.arrivals_us[-1] / 1e6) == pytest.approx(rps / servers, rel=0.05)


def test_a_day_that_runs_by_faster_has_all_of_its_curve():
    demand = Demand(50, "day")
    load = demand.for_server(1, examples=1)
    span_us = load.arrivals_us[-1]
    counts = [sum(number * span_us <= 24 * at < (number + 1) * span_us for at in load.arrivals_us) for number in range(24)]
    assert counts.index(max(counts)) in (14, 15)
    assert min(counts) < 0.05 * max(counts)


def test_the_same_seed_is_the_same_demand():
    assert Demand(1, "spiky", 3).for_lambda(2) == Demand(1, "spiky", 3).for_lambda(2) != Demand(1, "spiky", 4).for_lambda(2)
