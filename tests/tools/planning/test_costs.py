"""Months that are reckoned by hand from AWS' price list and a server's hours."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.tariff import PRESETS
from servelite.tools.planning.costs import TARIFFS, lambda_month_micro, servers_month_micro


@pytest.mark.parametrize(
    ("arch", "memory_mb", "free", "micro"),
    [
        ("x86_64", 128, False, 208_334 + 200_000),  # a million times 0.1 s of 1/8 GB: 12,500 GB-s
        ("x86_64", 1024, False, 1_666_670 + 200_000),  # 100,000 GB-s
        ("arm64", 1024, False, 1_333_340 + 200_000),
        ("x86_64", 1024, True, 0),  # 400,000 GB-s and a million calls are free
        ("x86_64", 8192, True, 6_666_680),  # 800,000 GB-s, half of them free
    ],
)
def test_a_million_calls_of_a_tenth_of_a_second(arch, memory_mb, free, micro):
    assert lambda_month_micro(TARIFFS[arch], 100_000.0, memory_mb, 1_000_000, with_free_tier=free) == micro


def test_servers_cost_their_hours():
    assert servers_month_micro(20_000, 1) == 14_600_000
    assert servers_month_micro(20_000, 3) == 3 * 14_600_000


def test_the_prices_are_those_of_the_tariffs():
    assert TARIFFS["x86_64"] is PRESETS["lambda-x86"]
    assert TARIFFS["arm64"] is PRESETS["lambda-arm"]


@given(st.floats(1000, 10**6), st.sampled_from([128, 512, 3008]), st.integers(1, 10**9))
def test_what_is_free_never_makes_it_dearer_and_more_calls_never_make_it_cheaper(mean_us, memory_mb, calls):
    def month(calls: int, *, free: bool) -> int:
        return lambda_month_micro(TARIFFS["x86_64"], mean_us, memory_mb, calls, with_free_tier=free)

    assert 0 <= month(calls, free=True) <= month(calls, free=False) <= month(calls + 1, free=False)
