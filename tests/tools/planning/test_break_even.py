"""The break-even rate: on its two sides the two options change places."""

import pytest

from servelite.tools.planning.break_even import Rates, break_even, drawn_rates
from servelite.tools.planning.demand import LEAST_RPS, Demand
from servelite.tools.planning.options import Lambda, Server
from tests.tools.planning.profiles import S, a_profile

SERVER = Server(100, 2)


def rates(pattern: str = "day", server: Server = SERVER, **profile: object) -> Rates:
    return Rates(a_profile(**profile), Demand(1, pattern), Lambda(), server, (512,))


@pytest.mark.parametrize("pattern", ["day", "spiky"])
def test_below_it_lambda_is_cheaper_and_above_it_servers_are(pattern):
    asked = rates(pattern)
    found = break_even(asked, SERVER)
    assert found.rps is not None
    assert found.servers == 1
    for rps, is_lambda_cheaper in ((found.rps * 0.95, True), (found.rps * 1.05, False)):
        lambda_micro, fleet = asked.lambda_micro(rps), asked.fleet(rps)
        assert lambda_micro is not None
        assert fleet is not None
        assert (lambda_micro < fleet[1]) == is_lambda_cheaper


def test_calls_that_need_much_of_a_server_may_never_be_cheaper_there():
    """Six cents an hour for one call at a time, all of a core: even full it costs more than Lambda by the millisecond."""
    found = break_even(rates(alone_us=(S,), batches_us=((1, S),), max_batch=1), Server(600_000, 1))
    assert (found.rps, found.servers) == (None, 0)
    assert found.full_rps == pytest.approx(1e6 / (S + 100) / max(Demand(1, "day").curve))


def test_a_cheap_server_may_be_cheaper_at_any_rate():
    """It costs less than the few cold starts of the least rate: 730 millionths a month."""
    found = break_even(rates(init_us=9 * S), Server(1, 1))
    assert found.rps == LEAST_RPS


def test_without_a_server_or_a_memory_size_there_is_nothing_to_price():
    assert Rates(a_profile(), Demand(1, "day"), Lambda(), None, (512,)).fleet(1) is None
    assert Rates(a_profile(), Demand(1, "day"), Lambda(), SERVER, ()).lambda_micro(1) is None


def test_rates_are_drawn_around_the_one_that_is_asked_about():
    drawn = drawn_rates(5)
    assert (drawn[0], drawn[-1]) == pytest.approx((5 / 10**1.5, 5 * 10**1.5))
    assert drawn == sorted(drawn)
    assert min(drawn_rates(LEAST_RPS)) >= LEAST_RPS
