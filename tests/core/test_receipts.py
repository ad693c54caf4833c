"""Receipts are read as they are written, and what is none is refused."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.call import Receipt
from servelite.core.receipts import read_receipt

times = st.integers(0, 10**15 - 1)
receipts = st.builds(
    Receipt,
    compute_us=times,
    cpu_us=times,
    queue_us=times,
    batch=st.integers(1, 10**6),
    cold=st.booleans(),
    billed_us=times,
    free_left_us=st.none() | times,
)


@given(receipts)
def test_what_was_written_is_read(receipt: Receipt) -> None:
    assert read_receipt(str(receipt)) == receipt


@pytest.mark.parametrize(
    ("header", "read"),
    [
        ("", Receipt()),
        ("compute-us=7,batch=2", Receipt(compute_us=7, batch=2)),
        ("compute-us=7 ,\tcold", Receipt(compute_us=7, cold=True)),
        ("colour=?0, later=5, billed-us=3", Receipt(billed_us=3)),
    ],
    ids=["no member", "no blanks", "a key alone is true", "members of a later version"],
)
def test_all_of_its_forms_are_read(header: str, read: Receipt) -> None:
    assert read_receipt(header) == read


@pytest.mark.parametrize(
    "header",
    ["compute-us=fast", "compute-us=1;", "=1", "compute-us=?1", "cold=1", "compute-us=1234567890123456", "a=1,,b=2", "Compute-Us=1"],
)
def test_what_is_no_receipt_is_refused(header: str) -> None:
    with pytest.raises(ValueError, match="receipt"):
        read_receipt(header)


@given(st.text())
def test_any_text_is_read_or_refused(header: str) -> None:
    with suppress(ValueError):
        assert isinstance(read_receipt(header), Receipt)
