import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.runtime.forecast import Forecast

TIMES = st.lists(st.integers(1, 10**9), min_size=1, max_size=30)


def test_nothing_is_expected_of_what_was_never_seen():
    assert Forecast().wait_us(waiting=1000, max_batch=1, workers=1) == 0


def test_the_first_measurement_counts_whole():
    forecast = Forecast()
    forecast.saw_batch(700)
    forecast.saw_start(90_000)
    assert (forecast.batch_us, forecast.init_us) == (700, 90_000)


def test_a_later_batch_counts_a_tenth_and_a_later_start_half():
    forecast = Forecast(batch_us=1000, init_us=1000, batches=100)
    forecast.saw_batch(2000)
    forecast.saw_start(2000)
    assert (forecast.batch_us, forecast.init_us) == (1100, 1500)


def test_the_first_ten_count_alike_so_that_a_slow_first_is_no_rule():
    forecast = Forecast()
    for took_us in (8_000_000, *[20_000] * 9):
        forecast.saw_batch(took_us)
    assert forecast.batch_us == pytest.approx(818_000)


def test_one_very_slow_batch_counts_for_ten_times_the_average():
    forecast = Forecast(batch_us=10_000, batches=100)
    forecast.saw_batch(25_000_000)
    assert forecast.batch_us == pytest.approx(19_000)


@given(TIMES)
def test_an_average_stays_between_the_least_and_the_most_that_was_seen(times):
    forecast = Forecast()
    for took_us in times:
        forecast.saw_batch(took_us)
        forecast.saw_start(took_us)
    for average in (forecast.batch_us, forecast.init_us):
        assert min(times) * (1 - 1e-9) <= average <= max(times) * (1 + 1e-9)


@given(st.integers(1, 10**6), st.integers(10**3, 10**6))
def test_what_a_function_takes_now_is_learnt_in_some_dozens_of_batches(before_us, now_us):
    forecast = Forecast(batch_us=before_us, batches=100)
    for _ in range(100):
        forecast.saw_batch(now_us)
    assert forecast.batch_us == pytest.approx(now_us, rel=0.05)


@pytest.mark.parametrize(
    ("waiting", "max_batch", "workers", "batches"),
    [
        pytest.param(0, 1, 1, 1, id="the one that runs"),
        pytest.param(3, 1, 1, 4, id="the one that runs and three before"),
        pytest.param(3, 4, 1, 1, id="room in the next batch"),
        pytest.param(4, 4, 1, 2, id="no room in the next batch"),
        pytest.param(4, 1, 2, 2.5, id="two workers share"),
        pytest.param(4, 1, 0, 5, id="no worker counts as one"),
    ],
)
def test_a_wait_is_the_time_of_the_batches_before(waiting, max_batch, workers, batches):
    assert Forecast(batch_us=1000).wait_us(waiting, max_batch, workers) == 1000 * batches


@pytest.mark.parametrize(
    ("batch_us", "ran_us", "alone_us", "is_dearer"),
    [
        pytest.param(500, 0, 0, True, id="much to do yet"),
        pytest.param(500, 400, 0, False, id="nearly done"),
        pytest.param(500, 399, 0, True, id="just not nearly done"),
        pytest.param(50, 0, 0, False, id="short"),
        pytest.param(50, 100, 100, False, id="long alone, but not longer than a start"),
        pytest.param(50, 101, 101, True, id="longer alone than a start"),
        pytest.param(0, 0, 0, False, id="never seen before"),
    ],
)
def test_a_run_for_nobody_is_ended_when_a_new_worker_is_cheaper(batch_us, ran_us, alone_us, is_dearer):
    assert Forecast(batch_us, init_us=100).is_dearer_than_a_start(ran_us, alone_us) is is_dearer
