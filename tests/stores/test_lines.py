"""Lines of a journal: what was written is read, of an older servelite too."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.ports import Kept, Row
from servelite.stores.lines import FIRST_FIELDS, is_sound, read_lines, write_line
from tests.stores.rows import kept, row

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
NUMBERS = st.integers(0, 2**29)
ROWS = st.lists(st.builds(Row, *(TEXTS if kind is str else NUMBERS for kind in Row.__annotations__.values())), max_size=5)
KEPT = st.lists(
    st.builds(Kept, *({str: TEXTS, int: NUMBERS, bytes: st.binary()}[kind] for kind in Kept.__annotations__.values())), max_size=3
)


@given(batches=st.lists(st.tuples(ROWS, KEPT), max_size=4))
def test_what_was_written_is_read(batches):
    lines = [write_line(rows, kept_ones) for rows, kept_ones in batches]
    assert all(line.count(b"\n") == 1 and line.endswith(b"\n") for line in lines)
    rows, kept_ones = read_lines(lines)
    assert [Row(*one) for one in rows] == [one for rows, _ in batches for one in rows]
    assert kept_ones == [one for _, kept_ones in batches for one in kept_ones]
    assert all(map(is_sound, lines))


@pytest.mark.parametrize("fields", range(FIRST_FIELDS, len(Row._fields) + 1))
def test_a_row_that_is_shorter_by_later_columns_has_their_defaults(fields):
    whole = row(key_id="k", version="v", parent="p", stage="s", memory_mib=5, cost_pico=7, gateway="g", mib_us=8)
    ((read,), _) = read_lines([json.dumps([whole[:fields]]).encode()])
    price = {"cost_pico": whole.billed_us * 100} if fields == FIRST_FIELDS else {}
    assert Row(*read) == Row(*whole[:fields])._replace(**price)


def test_rows_of_lines_come_in_their_order_and_so_do_answers():
    rows, answers = [row() for _ in range(4)], [kept() for _ in range(2)]
    lines = [write_line(rows[:1]), write_line(rows[1:3], answers[:1]), write_line(rows[3:], answers[1:])]
    assert read_lines(lines) == (rows, answers)
