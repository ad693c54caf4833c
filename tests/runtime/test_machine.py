from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.function import Limits
from servelite.runtime.machine import Cores, Memory

MIB = 1024


@dataclass(eq=False)
class FakeClaimant:
    """A function with workers that rest; `wanted` of them want a core."""

    cores: Cores
    most: int = 2
    wanted: int = 0
    busy: int = 0
    asked: int = 0

    def want(self, count: int) -> "FakeClaimant":
        self.wanted += count
        self.wake()
        return self

    def wake(self) -> None:
        self.asked += 1
        while self.wanted and self.cores.take(self, self.busy, self.most):
            self.wanted -= 1
            self.busy += 1

    def rest(self) -> None:
        self.busy -= 1
        self.cores.give_back()


@pytest.mark.parametrize(
    ("cores", "max_workers", "workers", "threads"),
    [
        pytest.param(4, None, 4, 1, id="one thread on each core"),
        pytest.param(4, 1, 1, 4, id="one worker with all cores"),
        pytest.param(4, 2, 2, 2, id="half of them each"),
        pytest.param(4, 3, 3, 1, id="never more threads than cores"),
        pytest.param(2, 8, 8, 1, id="more workers than cores"),
    ],
)
def test_workers_and_threads_of_a_function_follow_from_the_cores(cores, max_workers, workers, threads):
    limits = Limits(max_workers=max_workers)
    assert (Cores(cores).workers(limits), Cores(cores).threads(limits)) == (workers, threads)


def test_where_all_run_in_one_process_a_function_has_as_many_workers_as_that_allows():
    assert Cores(4, most_workers=1).workers(Limits(max_workers=3)) == 1


def test_one_that_goes_on_has_its_core_again_and_others_give_way_when_they_can():
    cores = Cores(2)
    FakeClaimant(cores).want(1).rest()  # it waits for another function
    other = FakeClaimant(cores).want(2)
    cores.take_again()
    assert (cores.busy, cores.may_stay(other.busy, other.most)) == (3, False)


def test_every_function_may_have_one_busy_whatever_the_others_do():
    cores = Cores(2)
    functions = [FakeClaimant(cores).want(1) for _ in range(5)]
    assert [one.busy for one in functions] == [1] * 5
    assert cores.busy == 5


def test_further_ones_are_busy_only_while_there_are_cores():
    cores = Cores(3)
    alone = FakeClaimant(cores, most=3).want(3)
    assert (alone.busy, alone.wanted) == (3, 0)
    other = FakeClaimant(cores, most=3).want(3)
    assert (other.busy, other.wanted) == (1, 2)


def test_a_function_that_asks_for_more_workers_than_cores_may_have_them_busy():
    assert FakeClaimant(Cores(2), most=5).want(9).busy == 5


def test_a_core_that_is_given_back_goes_to_who_waited_longest():
    cores = Cores(2)
    first = FakeClaimant(cores).want(2)
    second, third = (FakeClaimant(cores).want(2) for _ in range(2))
    assert cores.busy == 4
    first.rest()
    first.rest()
    assert (second.busy, third.busy) == (1, 1)
    third.rest()
    assert (second.busy, third.busy) == (2, 1)  # a function's first needs no free core


def test_a_function_that_may_have_more_workers_than_cores_is_told_of_a_core_that_is_free_for_it():
    cores = Cores(1)
    other = FakeClaimant(cores).want(1)
    waits = FakeClaimant(cores, most=3).want(3)
    assert waits.busy == 2
    other.rest()
    assert waits.busy == 3


def test_a_function_that_wants_a_core_for_many_calls_stands_in_line_once():
    cores = Cores(2)
    other = FakeClaimant(cores).want(2)
    waits = FakeClaimant(cores)
    for _ in range(5):
        waits.want(1)
    waits.asked = 0
    other.rest()
    assert waits.asked == 1


@pytest.mark.parametrize(
    ("own", "is_wanted", "may_stay"),
    [
        pytest.param(2, False, True, id="nobody else wants it"),
        pytest.param(2, True, False, id="another function wants it"),
        pytest.param(1, True, True, id="its only one"),
    ],
)
def test_a_second_worker_goes_on_only_where_no_other_function_wants_its_core(own, is_wanted, may_stay):
    cores = Cores(2)
    goes_on = FakeClaimant(cores).want(own)
    if is_wanted:
        FakeClaimant(cores).want(2)
    assert cores.may_stay(goes_on.busy, goes_on.most) is may_stay


def test_a_second_worker_ends_its_turn_where_more_are_busy_than_there_are_cores():
    cores = Cores(2)
    goes_on = FakeClaimant(cores).want(2)
    FakeClaimant(cores).want(1)
    assert cores.busy == 3
    assert not cores.may_stay(goes_on.busy, goes_on.most)


@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=60))
def test_no_core_is_lost_and_none_lies_idle_while_somebody_wants_it(count, steps):
    cores = Cores(count)
    functions = [FakeClaimant(cores, most=count) for _ in range(3)]
    for number, takes in steps:
        one = functions[number]
        if takes:
            one.want(1)
        elif one.busy:
            one.rest()
        assert cores.busy == sum(each.busy for each in functions)
        assert cores.busy <= count + 2  # one for each of the others beyond the cores
        assert all(each.busy or not each.wanted for each in functions)
        if cores.busy < count:
            assert not any(each.wanted for each in functions)


@dataclass
class FakeTenant:
    """A function with so much memory, `shared_kib` of it counted too often until it is measured exactly."""

    memory_kib: int
    idle_since_us: int | None = None
    shared_kib: int = 0
    sleeps_for: str = ""
    killed_for: str = ""

    def measure(self) -> None:
        self.memory_kib, self.shared_kib = self.memory_kib - self.shared_kib, 0

    def sleep(self, reason: str) -> None:
        self.sleeps_for, self.memory_kib, self.idle_since_us = reason, 0, None

    def end_largest(self, why: str) -> None:
        self.killed_for, self.memory_kib = why, 0


def slept(tenants: list[FakeTenant]) -> list[int]:
    return [number for number, tenant in enumerate(tenants) if tenant.sleeps_for]


def idle_ones(*kib: int) -> list[FakeTenant]:
    """Return idle tenants, the first used least recently."""
    return [FakeTenant(each, idle_since_us=number) for number, each in enumerate(kib)]


@pytest.mark.parametrize(
    ("needed", "sleep", "fits"),
    [
        pytest.param(10, [], True, id="room enough"),
        pytest.param(11, [0], True, id="a little too much"),
        pytest.param(40, [0], True, id="what the first had"),
        pytest.param(41, [0, 1], True, id="more than the first had"),
        pytest.param(100, [0, 1, 2], True, id="all there is"),
        pytest.param(101, [], False, id="more than all there is"),
    ],
)
def test_idle_functions_make_room_the_least_recently_used_first(needed, sleep, fits):
    memory = Memory(100, tenants := idle_ones(30, 30, 30))
    assert memory.make_room(needed) is fits
    assert slept(tenants) == sleep


def test_busy_functions_and_the_one_that_asks_keep_their_memory():
    tenants = [FakeTenant(30), *idle_ones(30, 30)]
    assert not Memory(100, tenants).make_room(50, keep=tenants[1])
    assert slept(tenants) == []
    assert Memory(100, tenants).make_room(40, keep=tenants[1])
    assert slept(tenants) == [2]


def test_a_budget_that_is_kept_ends_nobody():
    memory = Memory(90, tenants := idle_ones(30, 30, 30))
    memory.look()
    assert (memory.used_kib, slept(tenants)) == (90, [])


def test_a_budget_that_is_only_passed_by_pages_that_count_twice_ends_nobody():
    memory = Memory(90, tenants := [*idle_ones(30, 30), FakeTenant(50, shared_kib=20)])
    memory.look()
    assert (memory.used_kib, slept(tenants), tenants[2].killed_for) == (90, [], "")


def test_a_budget_that_is_passed_ends_idle_functions_before_busy_ones():
    memory = Memory(70, tenants := [FakeTenant(50), *idle_ones(10, 20)])
    memory.look()
    assert slept(tenants) == [1]
    assert not any(tenant.killed_for for tenant in tenants)


def test_where_all_are_busy_the_largest_is_killed_with_the_reason():
    memory = Memory(100 * MIB, tenants := [FakeTenant(40 * MIB), FakeTenant(50 * MIB), FakeTenant(20 * MIB)])
    memory.look()
    assert [tenant.killed_for for tenant in tenants] == ["", "and all functions together more than the 100 MiB of --memory", ""]


@given(
    st.integers(0, 300),
    st.integers(0, 300),
    st.lists(st.builds(FakeTenant, st.integers(0, 100), st.none() | st.integers(0, 9)), max_size=6),
)
def test_room_is_made_exactly_where_it_can_be_and_nobody_sleeps_in_vain(budget, needed, tenants):
    before = [(tenant.memory_kib, tenant.idle_since_us) for tenant in tenants]
    busy = sum(kib for kib, since in before if since is None)
    memory = Memory(budget, tenants)
    fits = memory.make_room(needed)
    assert fits is (busy + needed <= budget)
    evicted = sorted((before[number] for number in slept(tenants)), key=lambda one: one[1] or 0)
    assert all(since is not None for _, since in evicted)
    stayed = [since for number, (_, since) in enumerate(before) if number not in slept(tenants) and since is not None]
    assert not stayed or not evicted or max(since for _, since in evicted) <= min(stayed)
    assert fits or not evicted
    if evicted:
        assert memory.used_kib + evicted[-1][0] + needed > budget  # without the last one it did not fit
