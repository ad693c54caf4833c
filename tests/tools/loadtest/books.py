"""Books and rows for tests of load tests."""

from typing import Any

from servelite.core.call import Receipt
from servelite.core.tariff import Tariff
from servelite.tools.loadtest.book import Book
from servelite.tools.loadtest.summary import Row, rows

MS = 1000


def a_book(*took_ms: float, failed: int = 0, function: str = "f", batch: int = 1, begun_s: float = 1000.0) -> Book:
    """Return the book of calls that began one after the other; each computed half of its time and waited a tenth of it."""
    book, now_s = Book(memory_mib={function: 512}), begun_s
    for ms in took_ms:
        now_s += ms / 1000
        us = round(ms * MS)
        book.count(function, now_s, us, receipt=Receipt(compute_us=us // 2, queue_us=us // 10, billed_us=us // 2, batch=batch))
    for _ in range(failed):
        book.count(function, now_s, MS, "overloaded", "It is busy.")
    return book


def a_row(book: Book, tariff: Tariff | None = None) -> Row:
    """Return the row of all calls."""
    return rows(book, tariff or Tariff())[-1]


def said(**fields: Any) -> Row:
    """Return a row of which some fields matter."""
    most = {"calls": 100, "failed": 0, "rps": 10.0, "p50_us": 5 * MS, "p95_us": 20 * MS, "p99_us": 40 * MS}
    rest = {"compute_us": 0, "million_micro": 0, "mean_batch": 1.0, "queue_share": 0.0}
    return Row("all", **{**most, **rest, **fields})
