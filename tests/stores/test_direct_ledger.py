"""A ledger without a journal: rows stand in the tables when `record` returns, those of stages together with their pipeline's."""

from contextlib import closing

import pytest

from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import Usage
from servelite.stores.address import Address
from servelite.stores.direct import DirectLedger
from tests.stores.rows import EVER, kept, row


def calls(place: Address, by: str) -> int:
    """Count the calls that stand in the tables, as somebody else sees them."""
    with closing(place.tables()) as tables:
        return sum(one.calls for one in tables.usage([by], *EVER)[by])


@pytest.fixture
def ledger(any_place):
    ledger = DirectLedger(any_place)
    yield ledger
    ledger.close()


def test_a_row_stands_in_the_tables_at_once(ledger, any_place):
    for count in range(1, 4):
        ledger.record([row()])
        assert calls(any_place, "function") == count


def test_rows_of_stages_come_with_the_row_that_they_are_a_part_of(ledger, any_place):
    ledger.record([row(stage="read"), row(stage="read")])
    ledger.record([row(stage="write")])
    assert calls(any_place, "stage") == 0
    ledger.record([row()])
    assert (calls(any_place, "stage"), calls(any_place, "function")) == (3, 1)


def test_who_sums_sees_what_is_held_and_so_does_who_comes_after_the_end(any_place):
    ledger = DirectLedger(any_place)
    ledger.record([row(stage="read")])
    assert [one.calls for one in ledger.usage(["stage"], *EVER)["stage"]] == [1]
    ledger.record([row(stage="read")])
    ledger.close()
    assert calls(any_place, "stage") == 2


def test_an_answer_stands_there_with_its_row(ledger, any_place):
    one = kept(repeat_key="a")
    ledger.record([row(id=one.call)], [one])
    with closing(any_place.book("g")) as book:
        assert book.claim("local", "a", "f", one.at_us) == one


class FakeTables:
    """Tables that refuse as long as a test says so, and count what they are asked."""

    def __init__(self) -> None:
        self.is_broken = False
        self.recorded: list[list[str]] = []

    def record(self, rows, kept=()):
        if self.is_broken:
            raise LedgerUnavailable("/srv/ledger is away.")
        self.recorded.append([one.stage for one in rows])

    def usage(self, by, since_us, until_us, account=None) -> dict[str, list[Usage]]:
        return {}

    def close(self) -> None:
        pass


@pytest.fixture
def fake():
    return FakeTables()


@pytest.fixture
def on_fake(fake, tmp_path):
    return DirectLedger(Address("", "", tmp_path, lambda: True, lambda: fake, lambda _: None))


def test_a_pipeline_of_any_number_of_stages_waits_once(on_fake, fake):
    for name in "abc":
        on_fake.record([row(stage=name)])
    on_fake.record([row(), row(stage="late")])
    assert fake.recorded == [["a", "b", "c", "late", ""]]


def test_nothing_is_written_where_nothing_is_to_be_written(on_fake, fake):
    on_fake.record([])
    on_fake.usage(["day"], *EVER)
    on_fake.close()
    assert fake.recorded == []


def test_stages_of_a_pipeline_that_could_not_be_recorded_are_not_billed_to_another(on_fake, fake):
    fake.is_broken = True
    on_fake.record([row(stage="a")])
    with pytest.raises(LedgerUnavailable, match=r"^The call could not be metered, so it is not answered\. Try again later\.$"):
        on_fake.record([row()])
    fake.is_broken = False
    on_fake.record([row()])
    assert fake.recorded == [[""]]
