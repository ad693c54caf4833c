"""The keeper, as a real process beside the one that records."""

import shutil
import time
from contextlib import closing
from functools import partial

from servelite.stores.address import address
from servelite.stores.keeper import start_keeper
from servelite.stores.ledger import JournaledLedger
from servelite.stores.sqlite import SqliteDatabase
from servelite.stores.sums import usage
from tests.stores.rows import EVER, row


def moved(path) -> int:
    """Return how many rows stand in the tables, those in journals not among them."""
    with closing(SqliteDatabase(path)) as db:
        return sum(one.calls for one in usage(db, "function", *EVER))


def kept_ledger(path) -> JournaledLedger:
    return JournaledLedger(address(str(path)), partial(start_keeper, str(path), 35))


def until(condition, within_s: float = 10) -> None:
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come true"


def test_a_keeper_moves_rows_while_others_are_recorded(tmp_path):
    path = tmp_path / "ledger.db"
    ledger = kept_ledger(path)
    ledger.record([row(), row()])
    until(lambda: moved(path) == 2)
    ledger.record([row()])
    until(lambda: moved(path) == 3)
    ledger.close()


def test_closing_waits_for_the_last_move(tmp_path):
    path = tmp_path / "ledger.db"
    ledger = kept_ledger(path)
    ledger.record([row() for _ in range(1000)])
    ledger.close()
    assert moved(path) == 1000
    assert list(address(str(path)).journals.iterdir()) == []


def test_a_ledger_without_its_keeper_loses_nothing(tmp_path):
    path = tmp_path / "ledger.db"
    ledger = kept_ledger(path)
    ledger.record([row()])
    assert ledger._keeper is not None
    ledger._keeper.kill()
    ledger._keeper.wait()
    ledger.record([row()])
    assert sum(one.calls for one in ledger.usage("function", *EVER)) == 2
    ledger.close()


def test_rows_go_on_being_kept_when_the_ledger_is_deleted(tmp_path):
    path = tmp_path / "deep" / "ledger.db"
    ledger = kept_ledger(path)
    ledger.record([row()])
    until(lambda: moved(path) == 1)
    shutil.rmtree(path.parent)
    ledger.record([row()])
    until(lambda: moved(path) == 1)
    ledger.close()
    assert moved(path) == 1


def test_a_keeper_that_can_not_be_started_costs_no_call(tmp_path):
    def refuse():
        raise BlockingIOError("no more processes")

    path = tmp_path / "ledger.db"
    ledger = JournaledLedger(address(str(path)), refuse)
    ledger.record([row()])
    ledger.close()
    assert moved(path) == 1
