"""A calendar month (UTC): its edges, its days, and what of it has passed."""

import calendar
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.month import DAY_US, HOUR_US, CalendarMonth, day_of

MONTHS = st.builds(CalendarMonth, st.integers(1971, 9998), st.integers(1, 12))
MOMENTS = st.integers(0, 253_370_764_800_000_000)
"""Until the end of the year 9998."""

NOVEMBER = CalendarMonth(2026, 11)


@given(MOMENTS)
def test_a_moment_belongs_to_the_month_and_day_that_the_calendar_says(now_us):
    moment = datetime.fromtimestamp(now_us // 1_000_000, UTC)
    assert CalendarMonth.of(now_us) == CalendarMonth(moment.year, moment.month)
    assert day_of(now_us) == moment.date()


@given(MOMENTS)
def test_a_moment_lies_within_its_month(now_us):
    month = CalendarMonth.of(now_us)
    assert month.begins_us <= now_us < month.ends_us
    assert not month.is_over(now_us)


@given(MONTHS)
def test_months_follow_each_other_without_a_gap(month):
    assert month.ends_us == month.following.begins_us
    assert CalendarMonth.of(month.ends_us) == month.following
    assert CalendarMonth.of(month.ends_us - 1) == month
    assert month < month.following


@given(MONTHS)
def test_a_month_has_the_days_that_the_calendar_says(month):
    days = month.days()
    assert days == [date(month.year, month.number, number + 1) for number in range(calendar.monthrange(month.year, month.number)[1])]
    assert month.ends_us - month.begins_us == len(days) * DAY_US


@pytest.mark.parametrize(
    ("passed_us", "hours"),
    [
        pytest.param(-HOUR_US, 0, id="before it"),
        pytest.param(0, 0, id="at its first moment"),
        pytest.param(1, 1, id="in its first hour"),
        pytest.param(HOUR_US, 1, id="a whole hour"),
        pytest.param(HOUR_US + 1, 2, id="an hour and a bit"),
        pytest.param(30 * DAY_US - 1, 720, id="in its last hour"),
        pytest.param(30 * DAY_US, 720, id="at its end"),
        pytest.param(300 * DAY_US, 720, id="long after it"),
    ],
)
def test_hours_are_counted_as_they_begin(passed_us, hours):
    assert NOVEMBER.hours_begun(NOVEMBER.begins_us + passed_us) == hours


@pytest.mark.parametrize(("passed_us", "is_over"), [(0, False), (30 * DAY_US - 1, False), (30 * DAY_US, True)])
def test_it_is_over_with_its_last_moment(passed_us, is_over):
    assert NOVEMBER.is_over(NOVEMBER.begins_us + passed_us) is is_over


def test_it_is_written_for_programs_and_for_people():
    assert (f"{NOVEMBER}", NOVEMBER.title) == ("2026-11", "November 2026")
    assert f"{CalendarMonth(2027, 1)}" == "2027-01"
