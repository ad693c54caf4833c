"""What every ledger's tables know of journals: how far each file has been moved, whoever moved it."""

from contextlib import closing

import pytest

from tests.stores.rows import EVER, row

NAME = "1-0123456789abcdef-000001.jsonl"


@pytest.fixture
def other(any_place):
    with closing(any_place.tables()) as other:
        yield other


def moved(tables, name: str, rows, end: int) -> int:
    """Move rows of a file up to an offset, and return from which on they were asked for."""
    asked = []

    def read_on(offset: int):
        asked.append(offset)
        return (rows, []), end

    assert tables.move(name, read_on) == end
    return asked[0]


def test_a_file_that_is_not_known_begins_at_its_beginning(tables):
    assert tables.moved([NAME]).get(NAME, 0) == 0
    assert moved(tables, NAME, [row()], 10) == 0


def test_what_comes_next_is_asked_for_from_where_the_last_ended(tables):
    assert [moved(tables, NAME, [row()], end) for end in (10, 20, 30)] == [0, 10, 20]
    assert tables.moved([NAME])[NAME] == 30
    assert moved(tables, NAME.replace("1.", "2."), [row()], 5) == 0
    assert sum(one.calls for one in tables.usage(["day"], *EVER)["day"]) == 4


def test_who_comes_later_goes_on_where_another_ended(tables, other):
    moved(tables, NAME, [row()], 10)
    assert other.moved([NAME])[NAME] == 10
    assert moved(other, NAME, [row()], 20) == 10


def test_where_nothing_comes_nothing_is_noted(tables, other):
    assert tables.move(NAME, lambda _: None) is None
    assert other.moved([NAME]).get(NAME, 0) == 0


def test_a_file_that_is_gone_is_forgotten(tables, other):
    moved(tables, NAME, [row()], 10)
    tables.forget(NAME)
    tables.forget(NAME)
    assert [each.moved([NAME]).get(NAME, 0) for each in (tables, other)] == [0, 0]


def test_what_can_not_stand_there_is_not_noted_as_moved(tables, other):
    with pytest.raises(ValueError, match=r"surrogates|encod"):
        moved(tables, NAME, [row(), row(account="\ud800")], 10)
    assert other.moved([NAME]).get(NAME, 0) == 0
