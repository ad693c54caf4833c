"""Rows of a load test: sums, rates and prices, a function each and all together."""

import pytest

from servelite.core.tariff import PRESETS, Tariff
from servelite.tools.loadtest.book import Book
from servelite.tools.loadtest.summary import errors, rows
from servelite.tools.loadtest.texts import COLUMNS, amount, cells
from tests.tools.loadtest.books import a_book, a_row


def test_a_row_for_each_function_and_one_for_all() -> None:
    book = a_book(10, 30, function="b", batch=2)
    book.add(a_book(20, function="a", failed=1, begun_s=999.99))
    a, b, everything = rows(book, Tariff())
    assert [(one.name, one.calls, one.failed) for one in (a, b, everything)] == [("a", 2, 1), ("b", 2, 0), ("all", 4, 1)]
    assert everything.rps == pytest.approx(3 / 0.05)
    assert (everything.p50_us, everything.p99_us) == (pytest.approx(20_000, rel=0.01), pytest.approx(30_000, rel=0.01))
    assert (a.compute_us, b.compute_us, everything.compute_us) == (10_000, 20_000, 30_000)
    assert (a.mean_batch, b.mean_batch, everything.mean_batch) == (1.0, 2.0, 1.5)
    assert everything.queue_share == pytest.approx(0.1)


def test_a_million_calls_cost_what_the_tariff_says() -> None:
    book = a_book(*[20] * 100)  # 10 ms billed each: a million are 10,000 seconds, at a cent per 100
    assert a_row(book).million_micro == 1_000_000
    on_lambda = a_row(book, PRESETS["lambda-x86"]).million_micro  # half a GB: 5,000 GB-seconds, and the calls themselves
    assert on_lambda == pytest.approx(5_000 * 16.6667 + 200_000, rel=1e-4)


def test_of_nothing_there_is_a_row_of_nothing() -> None:
    (row,) = rows(Book(), Tariff())
    assert cells(row, Tariff()) == ["all", "0", "-", "-", "-", "0", "0.000", "-", "-", "0%"]
    assert len(cells(row, Tariff())) == len(COLUMNS)


def test_errors_are_told_most_first() -> None:
    book = a_book(1, failed=2)
    book.count("g", 1001.0, 5, "timed_out", "It took too long.")
    assert errors(book) == [("f", "overloaded", 2, "It is busy."), ("g", "timed_out", 1, "It took too long.")]


@pytest.mark.parametrize(
    ("micro", "said"), [(12_345_678, "12.35 USD"), (123_456, "0.1235 USD"), (1_234, "0.001234 USD"), (0, "0.000000 USD")]
)
def test_small_amounts_are_exact(micro: int, said: str) -> None:
    assert amount(micro, Tariff()) == said
