"""The plan as a whole: which sizes are compared, and which option is the cheapest."""

import pytest

from servelite.core.errors import DefinitionError
from servelite.tools.planning.demand import Demand
from servelite.tools.planning.options import Lambda, Server
from servelite.tools.planning.plan import SIZES_MB, make_plan
from tests.tools.planning.profiles import MS, a_profile

FEW = Demand(0.05, "day")


@pytest.mark.parametrize(
    ("memory_mib", "sizes"),
    [(512, SIZES_MB), (700, (128, 256, 512, 700, 1024, 1769, 3008)), (64, SIZES_MB), (8192, (*SIZES_MB, 8192)), (20_000, SIZES_MB)],
)
def test_the_function_s_own_limit_is_a_size_too_where_lambda_has_it(memory_mib, sizes):
    plan = make_plan(a_profile(memory_mib=memory_mib), FEW, Lambda())
    assert tuple(option.size for option in plan.lambdas) == sizes


def test_sizes_that_do_not_hold_the_function_are_left_out_and_told():
    plan = make_plan(a_profile(peak_kib=300 * 1024), FEW, Lambda())
    assert list(plan.too_small_mb) == [128, 256]
    assert [option.size for option in plan.options] == [512, 1024, 1769, 3008]


def test_a_function_that_fits_nowhere_wants_a_server_to_compare():
    large = a_profile(peak_kib=4000 * 1024)
    with pytest.raises(DefinitionError, match=r"f held 4,000 MiB, too much .* up to 3,008 MB.* --server-per-hour PRICE"):
        make_plan(large, FEW, Lambda())
    plan = make_plan(large, FEW, Lambda(), Server(20_000))
    assert (plan.cheapest, plan.break_even) == (plan.fleet, None)


@pytest.mark.parametrize(("rps", "place"), [(0.01, "lambda"), (0.3, "server")])
def test_the_cheapest_is_found_on_both_sides_of_the_break_even(rps, place):
    plan = make_plan(a_profile(peak_kib=1500 * 1024), Demand(rps, "day"), Lambda(), Server(100))
    assert plan.cheapest is not None
    assert plan.cheapest.place == place
    assert plan.cheapest.month_micro == min(option.month_micro for option in plan.options)
    assert plan.break_even is not None
    assert (rps < plan.break_even.rps) == (place == "lambda")


def test_of_options_that_cost_the_same_the_fastest_is_taken():
    plan = make_plan(a_profile(), FEW, Lambda(with_free_tier=True))
    assert plan.cheapest is not None
    assert {option.month_micro for option in plan.options} == {0}
    assert plan.cheapest.p95_us == min(option.p95_us for option in plan.options)


def test_what_is_too_slow_is_not_the_cheapest():
    plan = make_plan(a_profile(), FEW, Lambda(), p95_us=15 * MS)
    assert plan.cheapest is not None
    assert plan.cheapest.size in (1769, 3008)
    assert not plan.lambdas[0].will_do(15 * MS)


def test_where_nothing_will_do_there_is_no_cheapest_and_no_break_even():
    plan = make_plan(a_profile(), FEW, Lambda(), Server(20_000), p95_us=1)
    assert (plan.cheapest, plan.fleet, plan.break_even) == (None, None, None)
