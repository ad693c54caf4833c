import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.runtime.lane import FULL_SHARE, LOOK_BATCHES, Lane
from servelite.runtime.metering import Wait
from servelite.runtime.waiting import FOREVER
from tests.runtime.fakes import FakeWorker, Workshop, described, settle

pytestmark = pytest.mark.anyio

LIMIT_KIB = 100_000


def a_lane(started_us: int = 0, **known: object) -> Lane:
    return Lane(FakeWorker(Workshop(described())), 1, started_us, LIMIT_KIB, **known)


@pytest.mark.parametrize(
    ("known", "state"),
    [
        ({}, "starting"),
        ({"ready_us": 5}, "idle"),
        ({"ready_us": 5, "has_core": True}, "busy"),
        ({"ready_us": 5, "has_core": True, "leaves_for": "reloaded"}, "leaving"),
        ({"ready_us": 5, "leaves_for": "idle"}, "leaving"),
        ({"ready_us": 5, "questions": {1: None}}, "waiting"),
    ],
    ids=["not ready", "ready", "with a core", "with a core for the last time", "without a core for ever", "with a question"],
)
def test_a_lane_says_in_a_word_what_it_does(known, state):
    assert a_lane(**known).state == state


@pytest.mark.parametrize(
    ("known", "may_take"),
    [
        pytest.param({}, True, id="is started"),
        pytest.param({"ready_us": 5, "has_core": True}, True, id="is busy"),
        pytest.param({"ready_us": 5, "questions": {1: None}}, False, id="waits for others"),
        pytest.param({"ready_us": 5, "leaves_for": "idle"}, False, id="leaves"),
        pytest.param({"is_trial": True}, False, id="is tried"),
        pytest.param({"is_trial": True, "ready_us": 5}, True, id="was tried"),
    ],
)
def test_a_lane_takes_another_batch_unless_it_waits_or_leaves(known, may_take):
    assert a_lane(**known).may_take is may_take


@pytest.mark.parametrize(
    ("known", "computed_us"),
    [
        pytest.param({}, 90, id="no question"),
        pytest.param({"waited_us": 30}, 60, id="questions that were answered"),
        pytest.param({"waited_us": 30, "paused_us": 80, "questions": {1: None}}, 40, id="one that is open"),
    ],
)
def test_what_a_lane_waits_for_others_is_no_compute(known, computed_us):
    assert a_lane(ready_us=5, taken_us=10, **known).computed_us(100) == computed_us


def test_a_lane_whose_worker_ended_takes_no_batch():
    lane = a_lane(ready_us=5)
    assert lane.is_fit
    lane.worker.crash()
    assert not lane.is_fit
    assert lane.state == "leaving"


@pytest.mark.parametrize(
    ("arrived_us", "wait"),
    [
        pytest.param(300, Wait(100, 0), id="arrived when it was ready"),
        pytest.param(200, Wait(200, 0), id="arrived as it became ready"),
        pytest.param(150, Wait(200, 50), id="arrived while it was started"),
        pytest.param(70, Wait(230, 100), id="arrived before it was started"),
    ],
)
def test_a_wait_is_split_into_the_start_and_the_rest(arrived_us, wait):
    lane = a_lane(started_us=100, ready_us=200, taken_us=400)
    assert lane.wait(arrived_us) == wait


@given(st.lists(st.integers(0, 10**9), min_size=3, max_size=3).map(sorted), st.integers(0, 10**9))
def test_the_parts_of_a_wait_add_up_to_it(times, arrived_us):
    started_us, ready_us, taken_us = times
    wait = a_lane(started_us, ready_us=ready_us, taken_us=taken_us).wait(min(arrived_us, taken_us))
    assert wait.queue_us + wait.init_us == taken_us - min(arrived_us, taken_us)
    assert wait.queue_us >= 0
    assert 0 <= wait.init_us <= ready_us - started_us


@given(st.integers(0, LIMIT_KIB - 1))
def test_a_worker_is_replaced_between_its_size_and_its_limit(memory_kib):
    lane = a_lane(memory_kib=memory_kib)
    lane.settle()
    assert memory_kib <= lane.recycle_kib < LIMIT_KIB


@pytest.mark.parametrize("memory_kib", [LIMIT_KIB, LIMIT_KIB + 1])
def test_a_worker_without_any_room_is_not_replaced_by_one_like_it(memory_kib):
    lane = a_lane(memory_kib=memory_kib)
    lane.settle()
    assert lane.recycle_kib == FOREVER


@pytest.mark.parametrize(
    ("recycle_kib", "memory_kib", "is_full"),
    [
        pytest.param(50_000, 90_000, False, id="nine tenths"),
        pytest.param(50_000, 90_001, True, id="more than nine tenths"),
        pytest.param(95_000, 95_000, False, id="settled there"),
        pytest.param(95_000, 95_001, True, id="grown from there"),
        pytest.param(FOREVER, 99_000, False, id="never settled"),
    ],
)
def test_a_worker_is_full_when_it_grew_to_nine_tenths_of_its_limit(recycle_kib, memory_kib, is_full):
    assert FULL_SHARE == 0.9
    assert a_lane(recycle_kib=recycle_kib, memory_kib=memory_kib).is_full is is_full


@pytest.mark.parametrize(
    ("batches", "before_kib", "peak_kib", "is_worth_it"),
    [
        pytest.param(4, 60_000, 60_000, True, id="while it settles"),
        pytest.param(5, 40_000, 50_000, False, id="small"),
        pytest.param(5, 40_000, 50_001, True, id="large for the first time"),
        pytest.param(5, 60_000, 60_001, True, id="larger than ever"),
        pytest.param(5, 60_000, 60_000, False, id="once was large"),
        pytest.param(LOOK_BATCHES - 1, 60_000, 60_000, True, id="once was large, now and then"),
        pytest.param(LOOK_BATCHES - 1, 50_000, 50_000, False, id="small, now and then"),
    ],
)
def test_a_worker_is_measured_while_it_settles_and_when_it_may_be_large(batches, before_kib, peak_kib, is_worth_it):
    lane = a_lane(batches=batches, peak_kib=before_kib, recycle_kib=50_000)
    assert lane.is_worth_a_look(peak_kib) is is_worth_it
    assert (lane.batches, lane.peak_kib) == (batches + 1, peak_kib)


def test_a_worker_that_was_large_when_it_was_measured_is_measured_again():
    assert a_lane(batches=5, peak_kib=60_000, recycle_kib=50_000, memory_kib=50_001).is_worth_a_look(60_000)


def test_the_first_reason_to_leave_is_the_one_that_is_told():
    lane = a_lane(ready_us=5)
    lane.leave("recycled")
    lane.leave("idle")
    assert (lane.leaves_for, lane.end, lane.is_fit) == ("recycled", "recycled", False)


@pytest.mark.parametrize("how", [Lane.rouse, lambda lane: lane.leave("idle")], ids=["a call", "its leaving"])
async def test_a_lane_rests_until_it_is_roused(how):
    lane = a_lane(ready_us=5)
    for _ in range(2):
        rest = asyncio.create_task(lane.rest(asyncio.get_running_loop()))
        await settle()
        assert not rest.done()
        how(lane)
        lane.rouse()  # twice does no harm
        await settle()
        assert rest.done()
        lane.leaves_for = ""


def test_a_lane_that_does_not_rest_may_be_roused():
    lane = a_lane(ready_us=5)
    lane.rouse()
    assert lane.state == "idle"
