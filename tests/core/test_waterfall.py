"""Waterfalls: when calls began and ended by what their rows say, and how that is drawn."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.waterfall import spans, to_dict, to_text
from tests.stores.rows import NOON, row


def a_call(end_us, compute_us=0, **said):
    return row(at_us=NOON + end_us, **{"queue_us": 0, "compute_us": compute_us, "billed_us": compute_us, **said})


def drawn(rows, width=80):
    """Return the bars of the lines."""
    lines = to_text(rows, width).splitlines()
    start = lines[0].index("cold") + len("cold") + 2
    return [line[start:] for line in lines]


def test_a_lone_call_waited_and_ran():
    span = spans([a_call(0, 1_000, queue_us=200, init_us=300)])[0]
    assert (span.begins_us - NOON, span.runs_us - NOON, span.ends_us - NOON) == (-1_500, -1_000, 0)


def test_a_call_ran_as_long_as_its_whole_batch():
    assert spans([a_call(0, 1_000, batch=8)])[0].begins_us == NOON - 8_000


def test_a_pipeline_began_with_the_first_of_its_stages():
    whole = a_call(10_000, 9_000, queue_us=77_000)
    early, late = a_call(4_000, 3_000, parent=whole.id, stage="a"), a_call(9_000, 5_000, parent=whole.id, stage="b")
    found = spans([whole, late, early])
    assert [span.row for span in found] == [whole, early, late]
    assert [span.begins_us - NOON for span in found] == [1_000, 1_000, 4_000]
    assert [span.depth for span in found] == [0, 1, 1]


def test_a_handler_began_before_what_it_called():
    whole = a_call(10_000, 2_000)
    asked = a_call(9_000, 6_000, parent=whole.id)
    below = a_call(8_000, 1_000, parent=asked.id)
    found = spans([whole, below, asked])
    assert [(span.row.id, span.depth) for span in found] == [(whole.id, 0), (asked.id, 1), (below.id, 2)]
    assert found[0].begins_us == NOON + 3_000


def test_the_data_count_from_the_calls_beginning():
    whole = a_call(10_000, 9_000, version="2")
    stage = a_call(9_000, 8_000, parent=whole.id, stage="a.b", queue_us=1_000, cold=1, code="cancelled", status=499)
    said = to_dict([whole, stage])
    assert (said["request_id"], said["began_at"], said["duration_us"]) == (whole.id, "2026-11-20T12:00:00.000Z", 10_000)
    assert [(one["stage"], one["begins_us"], one["ends_us"], one["cold"]) for one in said["calls"]] == [
        ("", 0, 10_000, False),
        ("a.b", 0, 9_000, True),
    ]
    assert json.loads(json.dumps(said)) == said


def test_the_text_has_a_bar_for_each_call():
    whole = a_call(10_000, 10_000, function="both")
    first = a_call(5_000, 5_000, parent=whole.id, stage="first")
    second = a_call(10_000, 2_500, parent=whole.id, stage="second", queue_us=2_500, batch=1, code="timed_out", cold=1)
    text = to_text([whole, first, second], 100)
    names = [line.split("   0")[0].rstrip() for line in text.splitlines()]
    assert [name.split("   ")[0] for name in names[1:3]] == ["both", "  first"]
    assert "  second (timed_out)" in text
    axis, *bars = drawn([whole, first, second], 100)
    width = len(axis)
    assert axis.endswith("10.0 ms")
    assert bars[0] == "█" * width
    assert bars[1] == "█" * round(width / 2)
    assert bars[2].strip() == "·" * (round(width * 0.75) - round(width / 2)) + "█" * (width - round(width * 0.75))


@pytest.mark.parametrize("width", [1, 40, 200])
def test_a_call_that_took_no_time_is_seen(width):
    whole = a_call(0, 0)
    assert drawn([whole], width)[1] == "█"


TIMES = st.integers(0, 10**7)


@given(
    st.lists(st.tuples(TIMES, TIMES, TIMES, st.integers(0, 64), st.integers(0, 9), st.booleans()), min_size=1, max_size=12),
    st.integers(1, 160),
)
def test_whatever_rows_say_every_call_has_a_line_within_its_own(taken, width):
    rows = []
    for end_us, compute_us, queue_us, batch, above, is_stage in taken:
        parent = rows[above % len(rows)].id if rows else ""
        rows.append(a_call(end_us, compute_us, queue_us=queue_us, batch=batch, parent=parent, stage="s" if is_stage and rows else ""))
    found = spans(rows)
    assert sorted(span.row.id for span in found) == sorted(one.id for one in rows)
    assert all(span.begins_us <= span.runs_us <= span.ends_us for span in found)
    begins = {span.row.id: span.begins_us for span in found}
    assert all(begins[span.row.parent] <= span.begins_us for span in found if span.row.parent and span.begins_us <= rows[0].at_us)
    axis, *bars = drawn(rows, width)
    assert len(bars) == len(rows)
    assert all("█" in bar and len(bar) <= len(axis) for bar in bars)
