"""Restarts: how long nothing is tried, and what is known meanwhile; `test_workers.py` has them at work."""

import logging

import pytest

from servelite.core.errors import DefinitionError, WorkerDied, WorkerKilled
from servelite.runtime.restarts import BARREN_STARTS, PAUSES_S, Restarts
from tests.runtime.fakes import advance_timers, settle

pytestmark = pytest.mark.anyio

BROKEN = DefinitionError("handler.py:3: no.")


@pytest.fixture
def restarts():
    """Return restarts, and how often the next start was due."""
    due: list[bool] = []
    made = Restarts("f", lambda: due.append(True))
    yield made, due
    made.stop()


async def test_a_start_that_failed_is_due_again_after_a_pause(restarts):
    made, due = restarts
    made.failed(BROKEN)
    assert (made.is_pausing, made.is_hopeless, made.error) == (True, True, BROKEN)
    advance_timers(PAUSES_S[0])
    await settle()
    assert (made.is_pausing, made.is_hopeless, made.error, due) == (False, False, BROKEN, [True])


async def test_failures_at_the_same_time_are_one(restarts):
    made, due = restarts
    made.failed(BROKEN)
    made.failed(BROKEN)
    advance_timers(PAUSES_S[0])
    await settle()
    assert due == [True]


async def test_a_start_that_succeeds_ends_the_pause(restarts):
    made, due = restarts
    made.failed(BROKEN)
    made.succeeded()
    advance_timers(PAUSES_S[-1])
    await settle()
    assert (made.is_pausing, made.error, due) == (False, None, [])


async def test_a_first_one_that_was_killed_from_outside_leaves_hope(restarts):
    made, _ = restarts
    made.failed(WorkerKilled("It was killed."))
    assert (made.is_pausing, made.is_hopeless) == (True, False)


async def test_what_fails_again_and_again_is_told_once(restarts, caplog):
    caplog.set_level(logging.ERROR)
    made, _ = restarts
    for error in (BROKEN, BROKEN, WorkerDied("It died."), BROKEN):
        made.told(error)
    assert [record.getMessage() for record in caplog.records] == [
        "f can't be started: handler.py:3: no.",
        "f can't be started: It died.",
        "f can't be started: handler.py:3: no.",
    ]


async def test_workers_that_end_before_their_first_call_are_an_error_at_last(restarts):
    made, _ = restarts
    ends = [made.ended(by_itself=True, was_given_calls=False) for _ in range(BARREN_STARTS + 1)]
    assert ends[:-1] == [None] * BARREN_STARTS
    assert isinstance(ends[-1], WorkerDied)
    assert made.ended(by_itself=True, was_given_calls=True) is None
    assert made.ended(by_itself=False, was_given_calls=False) is None


async def test_once_stopped_nothing_is_tried_again(restarts):
    made, due = restarts
    made.stop()
    made.failed(BROKEN)
    advance_timers(PAUSES_S[-1])
    await settle()
    assert (made.is_pausing, due) == (False, [])
