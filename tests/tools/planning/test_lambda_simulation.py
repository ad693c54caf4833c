"""Lambda's environments: cases that are reckoned by hand, a plain second reckoning for any calls, and what probability says."""

import math
import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.tools.planning.arrivals import arrivals_us
from servelite.tools.planning.lambda_simulation import LambdaRun, Rules, simulate_lambda

CALLS = st.lists(st.tuples(st.integers(0, 2000), st.integers(1, 300)), max_size=60).map(sorted)
INIT = st.integers(0, 500)
KEEP_ALIVE = st.integers(0, 1000)


def ran(calls: list[tuple[int, int]], init: int = 0, keep_alive: int = 10**9, most: int = sys.maxsize, counted: int = 0) -> LambdaRun:
    """Run calls of (arrival, duration)."""
    return simulate_lambda([at for at, _ in calls], [took for _, took in calls], Rules(init, keep_alive, most), counted)


@pytest.mark.parametrize(
    ("calls", "took", "cold", "at_once"),
    [
        ([], [], 0, 0),
        ([(0, 10)], [110], 1, 1),
        ([(0, 10), (110, 10), (200, 10)], [110, 10, 10], 1, 1),
        ([(0, 10), (109, 10)], [110, 110], 2, 2),
        ([(0, 10), (0, 10), (0, 10)], [110, 110, 110], 3, 3),
        ([(0, 10), (50, 10), (110, 10), (160, 10)], [110, 110, 10, 10], 2, 2),
        ([(0, 10), (1110, 10)], [110, 10], 1, 1),
        ([(0, 10), (1111, 10)], [110, 110], 2, 1),
    ],
    ids=["none", "one", "one after the other", "while it starts", "at once", "two by turns", "kept as long as it may", "kept no longer"],
)
def test_calls_that_are_reckoned_by_hand(calls, took, cold, at_once):
    run = ran(calls, init=100, keep_alive=1000)
    assert (run.took_us, run.cold, run.throttled, run.at_once) == (took, cold, 0, at_once)


def test_the_most_recently_used_environment_is_taken_so_that_the_others_go():
    """Two start together; one call each 600 keeps one of them, and the next pair needs a start again."""
    calls = [(0, 10), (0, 20), (600, 10), (1200, 10), (1800, 10), (1800, 10)]
    assert ran(calls, init=100, keep_alive=1000).cold == 3


def test_calls_beyond_the_limit_are_refused():
    run = ran([(0, 10), (1, 10), (2, 10), (10, 10)], most=2)
    assert (run.took_us, run.throttled, run.throttled_share) == ([10, 10, 10], 1, 0.25)


def test_what_leads_in_starts_environments_and_is_not_counted_nor_limited():
    calls = [(0, 10), (0, 10), (0, 10), (500, 10), (500, 10)]
    run = ran(calls, init=100, most=2, counted=500)
    assert (run.took_us, run.cold, run.throttled, run.at_once) == ([10, 10], 0, 0, 2)


def reckoned(calls: list[tuple[int, int]], init: int, keep_alive: int) -> tuple[int, int]:
    """Reckon cold starts and the most that are busy, with a plain list of all environments: free since when."""
    free_since: list[int] = []
    cold = at_once = 0
    for at, took in calls:
        able = [one for one in free_since if one <= at <= one + keep_alive]
        if able:
            free_since.remove(max(able))
        else:
            cold += 1
        free_since.append(at + took + (0 if able else init))
        at_once = max(at_once, sum(one > at for one in free_since))
    return cold, at_once


@given(CALLS, INIT, KEEP_ALIVE)
def test_a_plain_second_reckoning_comes_to_the_same(calls, init, keep_alive):
    run = ran(calls, init, keep_alive)
    assert (run.cold, run.at_once) == reckoned(calls, init, keep_alive)


@given(CALLS, INIT, KEEP_ALIVE)
def test_what_is_billed_is_the_work_and_the_starts(calls, init, keep_alive):
    run = ran(calls, init, keep_alive)
    assert sum(run.took_us) == sum(took for _, took in calls) + run.cold * init
    assert 0 <= run.cold_share <= 1
    assert (run.cold > 0) == bool(calls)


@given(CALLS, KEEP_ALIVE, KEEP_ALIVE)
def test_the_longer_environments_are_kept_the_fewer_starts(calls, one, other):
    """Without a start's time, which would shift when environments are free."""
    shorter, longer = sorted((one, other))
    assert ran(calls, 0, longer).cold <= ran(calls, 0, shorter).cold


@given(CALLS)
def test_kept_for_ever_there_are_as_many_as_calls_overlap(calls):
    overlaps = [sum(at <= now < at + took for at, took in calls[: number + 1]) for number, (now, _) in enumerate(calls)]
    run = ran(calls)
    assert run.cold == run.at_once == max(overlaps, default=0)


@given(CALLS, INIT, KEEP_ALIVE, st.integers(1, 5))
def test_a_limit_is_kept_and_every_call_is_answered_or_refused(calls, init, keep_alive, most):
    run = ran(calls, init, keep_alive, most)
    assert run.at_once <= most
    assert len(run.took_us) + run.throttled == len(calls)
    assert 0 <= run.throttled_share <= 1


@pytest.mark.parametrize("mean_gaps", [0.5, 1.0, 3.0])
def test_calls_at_random_are_cold_as_often_as_probability_says(mean_gaps):
    """Short calls come at random: one is cold where none came for as long as an environment is kept, exp(-that in mean gaps)."""
    calls = arrivals_us([1.0] * 400, 60.0, Random(7))
    run = simulate_lambda(calls, [1] * len(calls), Rules(0, round(mean_gaps * 1e6)))
    assert run.cold_share == pytest.approx(math.exp(-mean_gaps), rel=0.08)
