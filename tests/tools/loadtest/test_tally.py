"""Tallies and books: what several counted is what one would have counted, and percentiles are what they were."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.call import Receipt
from servelite.tools.loadtest.book import Book
from servelite.tools.loadtest.tally import Tally, bucket, percentile_us, times_of, total

Calls = list[tuple[str, int, int, str, Receipt | None]]

calls = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.integers(1_000, 2_000),
        st.integers(1, 10**8),
        st.sampled_from(["", "", "overloaded", "timed_out"]),
        st.none() | st.builds(Receipt, compute_us=st.integers(0, 10**6), billed_us=st.integers(0, 10**6), batch=st.sampled_from([1, 2, 4])),
    ),
    max_size=10,
)


def counted(these: Calls) -> Book:
    book = Book()
    for function, now_s, took_us, error, receipt in these:
        book.count(function, now_s, took_us, error, error, receipt)
    return book


@given(calls, calls)
def test_two_books_together_are_the_book_of_all(first: Calls, second: Calls) -> None:
    together = counted(first)
    together.add(counted(second))
    assert together == counted([*first, *second])


@given(calls)
def test_a_book_survives_json(these: Calls) -> None:
    book = counted(these)
    assert Book.from_dict(json.loads(json.dumps(book.to_dict()))) == book


@given(st.lists(st.integers(1, 10**9), min_size=1), st.sampled_from([0.5, 0.95, 0.99]))
def test_a_percentile_is_within_one_percent_of_what_it_was(times: list[int], share: float) -> None:
    found = percentile_us(times_of((bucket(us), sum(bucket(one) == bucket(us) for one in times)) for us in times), share)
    assert found == pytest.approx(sorted(times)[math.ceil(share * len(times)) - 1], rel=0.0101)


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile_us({}, 0.5) is None


def test_a_call_in_a_batch_is_a_part_of_a_run() -> None:
    tally = Tally()
    for batch in (4, 4, 4, 4, 1):
        tally.count(100, receipt=Receipt(batch=batch, queue_us=10))
    assert (tally.mean_batch, tally.queue_share) == (2.5, 0.1)


def test_without_receipts_nothing_is_said_of_batches() -> None:
    tally = Tally()
    tally.count(100, "no_answer")
    assert (tally.calls, tally.good, tally.failed, tally.mean_batch, tally.queue_share) == (1, 0, 1, 0.0, 0.0)


def test_times_are_those_of_right_answers_and_the_first_word_of_an_error_is_kept() -> None:
    tally = Tally()
    tally.count(100)
    tally.count(10**7, "wrong_answer", "label is 'b', not 'a'")
    tally.count(10**7, "wrong_answer", "something else")
    assert (tally.times.total(), tally.errors["wrong_answer"], tally.words) == (1, 2, {"wrong_answer": "label is 'b', not 'a'"})
    assert percentile_us(tally.times, 1.0) == pytest.approx(100, rel=0.01)


def test_no_tallies_make_an_empty_one() -> None:
    assert total([]) == Tally()
