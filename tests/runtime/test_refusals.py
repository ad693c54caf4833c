import asyncio

import pytest

from servelite.core.call import Answer, Call, Receipt
from servelite.core.errors import Overloaded
from servelite.runtime.refusals import no_worker, refuse, would_wait
from servelite.runtime.statistics import Statistics
from servelite.runtime.waiting import Waiting

pytestmark = pytest.mark.anyio


def waiting(count: int) -> list[Waiting]:
    return [Waiting(Call(str(number), "f"), asyncio.get_running_loop().create_future(), 0) for number in range(count)]


async def test_each_caller_is_told_with_an_exception_of_its_own():
    calls, statistics = waiting(2), Statistics()
    refuse(calls, would_wait("f", 9_000_000, 1_000_000), statistics)
    told = [one.answer.exception() for one in calls]
    assert told[0] is not told[1]
    assert [(error.code, error.retry_after_s) for error in told] == [("overloaded", 8)] * 2
    assert statistics.calls == {"overloaded": 2}


async def test_callers_that_have_an_answer_or_are_gone_are_not_told_and_not_counted():
    calls, statistics = waiting(3), Statistics()
    calls[0].answer.set_result(Answer(b"yes", "", Receipt()))
    calls[1].answer.cancel()
    refuse(calls, no_worker("f"), statistics)
    assert calls[0].answer.result().body == b"yes"
    assert calls[1].answer.cancelled()
    assert calls[2].answer.exception().code == "no_worker"
    assert statistics.calls == {"no_worker": 1}


@pytest.mark.parametrize(
    ("wait_us", "patience_us", "retry_after_s", "said"),
    [
        pytest.param(2_500_000, 500_000, 2, "waiting for 2.5 s, beyond its deadline of 0.5 s", id="seconds"),
        pytest.param(130_000, 100_000, 1, "waiting for 0.13 s, beyond its deadline of 0.1 s", id="never less than a second"),
        pytest.param(90_000_000, 30_000_000, 60, "waiting for 90 s, beyond its deadline of 30 s", id="a minute"),
    ],
)
def test_a_call_that_would_wait_too_long_is_told_how_long_and_when_to_come_back(wait_us, patience_us, retry_after_s, said):
    error = would_wait("f", wait_us, patience_us)
    assert type(error) is Overloaded
    assert said in error.detail
    assert error.retry_after_s == retry_after_s
