"""The patterns of a day, and calls at random along them."""

from itertools import pairwise
from random import Random

import pytest

from servelite.tools.planning.arrivals import BURST_MINUTES, BURSTS, BUSIEST, MINUTES, PATTERNS, arrivals_us, curve


@pytest.mark.parametrize("pattern", PATTERNS)
def test_the_mean_of_a_day_is_one_and_no_minute_is_below_nothing(pattern):
    heights = curve(pattern, Random(1))
    assert len(heights) == MINUTES
    assert sum(heights) / MINUTES == pytest.approx(1)
    assert min(heights) > 0


def test_a_day_is_smooth_busy_in_the_afternoon_and_quiet_at_night():
    heights = curve("day", Random(1))
    assert heights.index(max(heights)) == BUSIEST
    assert heights[3 * 60] < 0.03 * heights[BUSIEST]
    assert max(abs(after - before) for before, after in pairwise(heights)) < 0.01 * heights[BUSIEST]


def test_a_spiky_day_is_quiet_but_for_its_bursts_which_the_seed_places():
    heights = curve("spiky", Random(1))
    assert sum(height > 10 for height in heights) == BURSTS * BURST_MINUTES
    assert sum(height < 0.1 for height in heights) == MINUTES - BURSTS * BURST_MINUTES
    assert heights == curve("spiky", Random(1)) != curve("spiky", Random(2))


@pytest.mark.parametrize("pattern", PATTERNS)
def test_as_many_calls_come_as_are_asked_for_in_order_and_when_the_day_is_busy(pattern):
    heights = curve(pattern, Random(1))
    moments = arrivals_us(heights, 60.0, Random(3))
    assert len(moments) == pytest.approx(MINUTES * 60, rel=0.02)
    assert moments == sorted(moments)
    busiest = heights.index(max(heights))
    hour = sum(heights[busiest // 60 * 60 :][:60]) * 60
    assert sum(moment // 3_600_000_000 == busiest // 60 for moment in moments) == pytest.approx(hour, rel=0.1)


def test_the_same_seed_makes_the_same_calls_and_another_one_others():
    first, again, other = (arrivals_us([1.0] * 60, 60.0, Random(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_a_shorter_minute_has_fewer_calls_of_the_same_rate():
    moments = arrivals_us([100.0, 0.0, 100.0], 2.0, Random(1))
    assert len(moments) == pytest.approx(400, rel=0.2)
    assert not [moment for moment in moments if 2_000_000 <= moment < 4_000_000]
