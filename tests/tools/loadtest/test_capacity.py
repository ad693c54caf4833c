"""The search for the capacity, on servers that are a line of arithmetic."""

import asyncio
from collections.abc import Callable

import pytest

from servelite.tools.loadtest.capacity import LEAST_RPS, MOST_RPS, Capacity, Step, came_through, find_capacity
from tests.tools.loadtest.books import said


def searched(keeps: Callable[[float], bool], busiest: Callable[[float], float] = lambda _: 0.1) -> Capacity:
    async def try_rate(rps: float) -> Step:
        return Step(rps, said(rps=rps), keeps(rps), busiest(rps))

    return asyncio.run(find_capacity(try_rate))


@pytest.mark.parametrize("capacity", [1, 1.5, 3, 15, 16, 17, 100, 1023, 50_000])
def test_it_is_found_to_one_part_in_sixteen(capacity: float) -> None:
    found = searched(lambda rps: rps <= capacity)
    assert found.kept_rps is not None
    assert found.missed_rps is not None
    assert found.kept_rps <= capacity < found.missed_rps <= found.kept_rps * (1 + 1 / 16) + 1e-9
    assert not found.is_limited
    assert len(found.steps) <= 25


def test_what_keeps_nothing_is_told_after_few_steps() -> None:
    found = searched(lambda _: False)
    assert (found.kept_rps, found.missed_rps, len(found.steps)) == (None, LEAST_RPS, 10)


def test_a_step_that_missed_once_is_not_believed() -> None:
    tried: list[float] = []

    def keeps(rps: float) -> bool:
        tried.append(rps)
        return rps <= 100 and tried.count(rps) > 1

    found = searched(keeps)
    assert found.kept_rps == 100
    assert found.missed_rps == 104


def test_what_keeps_all_ends_at_the_highest_rate() -> None:
    found = searched(lambda _: True)
    assert (found.kept_rps, found.missed_rps) == (MOST_RPS, None)


@pytest.mark.parametrize("capacity", [10_000, 300], ids=["which holds", "which does not"])
def test_it_stops_at_the_step_in_which_the_load_is_in_its_own_way(capacity: float) -> None:
    found = searched(lambda rps: rps <= capacity, lambda rps: 0.95 if rps > 500 else 0.4)
    assert found.is_limited
    assert found.steps[-1].rps == 512
    assert found.kept_rps == (512 if capacity > 512 else 256)


@pytest.mark.parametrize(("calls", "came"), [(1000, True), (880, True), (700, False)])
def test_calls_that_never_came_are_noticed(calls: int, came: bool) -> None:
    assert came_through(200, 5, said(calls=calls)) is came
