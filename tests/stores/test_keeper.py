"""The keeper, as a real process beside the one that records."""

import json
import shutil
import signal
import time
from contextlib import closing
from functools import partial

import pytest

from servelite.stores import ledger as room
from servelite.stores.address import address
from servelite.stores.keeper import start_keeper
from servelite.stores.ledger import JournaledLedger
from servelite.stores.sums import usage
from tests.server import until
from tests.stores.rows import DAY_US, EVER, kept, row


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """Wait for a keeper's end as long as that takes: on a busy machine all others go first."""
    monkeypatch.setattr(room, "KEEPER_ENDS_WITHIN_S", 60)


def moved(url) -> int:
    """Return how many rows stand in the tables, those in journals not among them."""
    with closing(address(str(url)).open()) as db:
        return sum(one.calls for one in usage(db, ["function"], *EVER)["function"])


def kept_ledger(url) -> JournaledLedger:
    return JournaledLedger(address(str(url)), partial(start_keeper, str(url), 35))


def test_a_keeper_moves_rows_while_others_are_recorded(url):
    ledger = kept_ledger(url)
    ledger.record([row(), row()])
    until(lambda: moved(url) == 2)
    ledger.record([row()])
    until(lambda: moved(url) == 3)
    ledger.close()


def test_a_keeper_is_there_before_the_first_row(url):
    ledger = kept_ledger(url)
    assert ledger._keeper is not None
    assert ledger._keeper.poll() is None
    ledger.close()


def test_ctrl_c_does_not_end_a_keeper_even_while_it_starts(url):
    keeper = start_keeper(str(url), 35)
    for _ in range(3):
        keeper.send_signal(signal.SIGINT)
    keeper.communicate()
    assert keeper.returncode == 0


def test_usage_leaves_to_the_keeper_what_is_the_keepers(url):
    ledger = kept_ledger(url)
    ledger._keeper.send_signal(signal.SIGSTOP)
    ledger.record([row()])
    assert ledger.usage(["function"], *EVER)["function"] == []
    ledger._keeper.send_signal(signal.SIGCONT)
    until(lambda: [one.calls for one in ledger.usage(["function"], *EVER)["function"]] == [1])
    ledger.close()


def test_closing_waits_for_the_last_move(url):
    ledger = kept_ledger(url)
    ledger.record([row() for _ in range(1000)])
    ledger.close()
    assert moved(url) == 1000
    assert list(address(url).journals.iterdir()) == []


def test_the_end_of_a_keeper_that_nobody_waits_for_is_noted(url, monkeypatch):
    monkeypatch.setattr(room, "KEEPER_ENDS_WITHIN_S", 0.01)
    ledger = kept_ledger(url)
    ledger._keeper.send_signal(signal.SIGSTOP)
    ledger.close()
    assert ledger._keeper.returncode is None
    ledger._keeper.send_signal(signal.SIGCONT)
    until(lambda: ledger._keeper.returncode == 0)


def test_a_ledger_without_its_keeper_loses_nothing(url):
    ledger = kept_ledger(url)
    ledger.record([row()])
    assert ledger._keeper is not None
    ledger._keeper.kill()
    ledger._keeper.wait()
    ledger.record([row()])
    assert sum(one.calls for one in ledger.usage(["function"], *EVER)["function"]) == 2
    ledger.close()


@pytest.mark.slow
def test_a_keeper_that_was_killed_has_a_successor(url):
    ledger = kept_ledger(url)
    for count in range(1, 3):
        ledger.record([row()])
        until(lambda count=count: moved(url) == count)
        ledger._keeper.kill()
        ledger._keeper.wait()
        until(lambda: time.monotonic() >= ledger._look_at_s)
    ledger.close()
    assert moved(url) == 2


def test_a_keeper_lets_old_rows_and_answers_go(url):
    old = row(at_us=time.time_ns() // 1000 - 36 * DAY_US)
    ledger = kept_ledger(url)
    ledger.record([old, row(at_us=time.time_ns() // 1000)], [kept(at_us=old.at_us)])
    until(lambda: moved(url) == 2)
    with closing(address(url).open()) as db:
        until(lambda: db.query("SELECT count(*) FROM calls") == [(1,)])
        until(lambda: db.query("SELECT count(*) FROM answers") == [(0,)])
    ledger.close()
    assert moved(url) == 2


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


@pytest.mark.slow
def test_a_ledger_that_opens_knows_all_that_was_left_however_much_that_is(url):
    place = address(url)
    place.journals.mkdir(parents=True)
    for number in range(3):
        huge = row(version="x" * 12_000_000)
        (place.journals / f"1-{number}.jsonl").write_text(json.dumps([huge]) + "\n")
    ledger = kept_ledger(url)
    assert moved(url) == 3
    ledger.close()


def test_a_keeper_that_can_not_be_started_costs_no_call(url):
    def refuse():
        raise BlockingIOError("no more processes")

    ledger = JournaledLedger(address(url), refuse)
    ledger.record([row()])
    ledger.close()
    assert moved(url) == 1


def test_a_keeper_is_looked_after_at_times_and_not_with_every_row(url):
    asked = []

    def refuse():
        asked.append(1)
        raise BlockingIOError("no more processes")

    ledger = JournaledLedger(address(url), refuse)
    for _ in range(100):
        ledger.record([row()])
    assert asked == [1]
    ledger.close()
