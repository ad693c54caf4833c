"""The ledger on DynamoDB, asked over HTTP by boto3: each row once, whatever gets lost, whoever else writes, and whoever dies."""

import signal
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import BY, KEEP_ANSWERS_US
from servelite.stores.address import address
from servelite.stores.direct import DirectLedger
from servelite.stores.dynamodb import read_url
from servelite.stores.dynamodb_table import EXPIRES, FUNCTION_ACTIONS, TABLE, TIME_TO_LIVE
from servelite.stores.journal import Journal
from servelite.stores.moving import move_journals
from tests.server import until
from tests.stores.go_between import conflict, go_between
from tests.stores.rows import EVER, NOON, kept, row

pytestmark = pytest.mark.aws

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def place(dynamodb):
    return address(dynamodb)


@pytest.fixture
def client(aws_stack):
    with closing(aws_stack.client("dynamodb")) as client:
        yield client


@pytest.fixture
def items(client, dynamodb):
    """Return what reads the items of the table whose place begins so."""

    def read(prefix: str) -> list[dict]:
        pages = client.get_paginator("scan").paginate(TableName=read_url(dynamodb).table, ConsistentRead=True)
        return [item for page in pages for item in page["Items"] if item["pk"]["S"].startswith(prefix)]

    return read


def behind(dynamodb: str, url: str) -> str:
    """Return the ledger's URL with another endpoint."""
    return f"{dynamodb.partition('?')[0]}?endpoint={url}"


def counted(place) -> tuple[int, int]:
    """Return how many calls are counted, by day and in all that accounts spent."""
    with closing(place.tables()) as tables, closing(place.book("nobody")) as book:
        days = sum(one.calls for one in tables.usage(["day"], *EVER)["day"])
        return days, sum(one.calls for one in book.look(NOON).spent)


# the table


def test_a_table_is_made_as_it_is_written_down_when_it_is_first_used(place, client, dynamodb):
    name = read_url(dynamodb).table
    assert not place.exists()
    with closing(place.book("g")) as book:
        book.look(None)
    assert place.exists()
    made = client.describe_table(TableName=name)["Table"]
    assert (made["KeySchema"], made["BillingModeSummary"]["BillingMode"]) == (TABLE["KeySchema"], TABLE["BillingMode"])
    ttl = client.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert (ttl["TimeToLiveStatus"], ttl["AttributeName"]) == ("ENABLED", TIME_TO_LIVE["AttributeName"])


def test_several_who_first_use_it_at_once_make_one_table(place):
    with ThreadPoolExecutor(8) as pool:

        def record(_number: int) -> None:
            with closing(place.tables()) as tables:
                tables.record([row()])

        list(pool.map(record, range(8)))
    assert counted(place) == (8, 8)


def test_reading_a_ledger_that_is_not_there_makes_no_table(place):
    from servelite.assembly.ledgers import read_keys, read_usage

    assert read_usage(place.url, ["day"], EVER) == {"day": []}
    assert read_keys(place.url) == []
    assert not place.exists()


def test_a_row_stands_whole_in_the_table_and_goes_after_so_many_days(dynamodb, items):
    one = row(key_id="k1", stage="", compute_us=2**53 + 1, account="Zoë's", init_us=0)
    with closing(address(dynamodb, keep_days=40).tables()) as tables:
        tables.record([one])
    (item,) = items("call#")
    stands = {name: value.get("S", int(value.get("N", 0))) if "S" not in value else value["S"] for name, value in item.items()}
    assert {name: stands.get(name, type(value)()) for name, value in one._asdict().items()} == one._asdict()
    assert stands[EXPIRES] == one.at_us // 1_000_000 + 40 * 86400
    assert len(str(item)) < 1000


# exactly once


def test_rows_that_are_recorded_again_change_nothing(place):
    rows = [row(account=f"a{number % 3}") for number in range(150)]
    with closing(place.tables()) as tables:
        tables.record(rows[:70])
        before = tables.usage(BY, *EVER)
        tables.record(rows[:70])
        assert tables.usage(BY, *EVER) == before
        tables.record(rows)
        tables.record(list(reversed(rows)))
    assert counted(place) == (150, 150)


def test_the_same_rows_from_many_at_once_are_counted_once(place):
    rows = [row(account=f"a{number % 2}", billed_us=number) for number in range(40)]

    def record(number: int) -> None:
        with closing(place.tables()) as tables:
            for at in range(0, 40, 8):
                tables.record(rows[(at + number) % 40 :][:8])
            tables.record(rows)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(record, range(6)))
    assert counted(place) == (40, 39)
    with closing(place.tables()) as tables:
        assert sum(one.billed_us for one in tables.usage(["account"], *EVER)["account"]) == sum(range(40))


@pytest.mark.parametrize("fates", [["lose answer"], ["lose"], ["lose answer", "lose", "pass"], ["lose", "lose answer"]], ids=", ".join)
def test_an_answer_that_got_lost_is_asked_for_again_and_nothing_is_counted_twice(place, dynamodb, aws_stack, fates):
    with go_between(aws_stack.url, fates=list(fates)) as server:
        with closing(address(behind(dynamodb, server.url)).tables()) as tables:
            tables.record([row(), row()])
        assert server.seen.count("TransactWriteItems") >= len(fates)
        assert server.fates == []
    assert counted(place) == (2, 2)


def test_who_hears_nothing_for_good_is_told_and_may_record_again(place, dynamodb, aws_stack):
    rows = [row(), row()]
    with go_between(aws_stack.url, fates=["lose answer"] * 3) as server, closing(address(behind(dynamodb, server.url)).tables()) as tables:
        with pytest.raises(LedgerUnavailable):
            tables.record(rows)
        tables.record([*rows, row()])
    assert counted(place) == (3, 3)


def test_transactions_that_met_others_are_tried_again(place, dynamodb, aws_stack):
    with go_between(aws_stack.url, fates=[conflict(4)] * 3) as server, closing(address(behind(dynamodb, server.url)).tables()) as tables:
        tables.record([row(), row()])
        tables.record([row()])
    assert counted(place) == (3, 3)


RECORDER = """
import sys
from servelite.stores.address import address
from servelite.stores.direct import DirectLedger
from servelite.stores.moving import move_journals
from servelite.stores.lines import read_lines
ledger = DirectLedger(address(sys.argv[1]))
for line in open(sys.argv[2], "rb"):
    rows, kept = read_lines([line.strip()])
    ledger.record(rows, kept)
    print(rows[0].id, flush=True)
ledger.close()
"""

MOVER = """
import sys
from contextlib import closing
from pathlib import Path
from servelite.stores.address import address
from servelite.stores.moving import move_journals
with closing(address(sys.argv[1]).tables()) as tables:
    print(flush=True)
    move_journals(tables, Path(sys.argv[2]))
"""


def leave(folder: Path, batches: int, size: int, gateway: str = "g1") -> list[Path]:
    """Leave a journal of so many batches, each with an answer that is kept."""
    journal = Journal(folder, gateway)
    for number in range(batches):
        rows = [row(account=f"a{number % 3}", gateway=gateway) for _ in range(size)]
        journal.append(rows, [kept(call=rows[0].id, repeat_key=f"{number}")])
    journal.close()
    return list(folder.glob("*.jsonl"))


@pytest.mark.parametrize("after", [1, 7, 20])
def test_a_process_killed_in_the_middle_loses_nothing_that_it_said_was_recorded(place, dynamodb, tmp_path, items, after):
    (file,) = leave(tmp_path / "j", batches=30, size=4)
    command = [sys.executable, "-c", RECORDER, dynamodb, str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        said = [process.stdout.readline().strip() for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.read().split()
    ids = {item["id"]["S"] for item in items("call#")}
    assert set(said) <= ids
    assert counted(place) == (len(ids), len(ids))
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    assert counted(place) == (120, 120)
    assert len(items("answer#")) == 30


def test_a_mover_that_is_killed_in_the_middle_is_followed_by_one_that_moves_the_rest(place, dynamodb, tmp_path, items):
    leave(tmp_path / "j", batches=60, size=20)
    assert counted(place) == (0, 0)
    command = [sys.executable, "-c", MOVER, dynamodb, str(tmp_path / "j")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        until(lambda: len(items("call#")) > 50)
        process.send_signal(signal.SIGKILL)
    assert len(items("call#")) < 1200
    subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    assert counted(place) == (1200, 1200)
    assert len(items("answer#")) == 60
    assert list((tmp_path / "j").iterdir()) == []
    assert items("journal#") == []


def test_several_who_move_the_same_files_at_once_count_each_row_once(place, dynamodb, tmp_path):
    for number in range(3):
        leave(tmp_path / "j", batches=5, size=20, gateway=f"g{number}")
    command = [sys.executable, "-c", MOVER, dynamodb, str(tmp_path / "j")]
    processes = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0] * 3
    assert counted(place) == (300, 300)


def test_who_moved_less_of_a_file_takes_nothing_back_of_what_another_noted(place):
    name = "1-g1-000001.jsonl"
    with closing(place.tables()) as slow, closing(place.tables()) as quick, closing(place.tables()) as later:
        assert slow.moved([name]) == {name: 0}
        assert quick.move(name, lambda _: (([row()], []), 20)) == 20
        assert slow.move(name, lambda _: (([row()], []), 10)) == 10
        assert later.moved([name]) == {name: 20}


# sums, while others write


def test_sums_add_up_while_others_write(place):
    is_enough = threading.Event()

    def write_on_and_on(name: str) -> int:
        count = 0
        with closing(place.tables()) as tables:
            while not is_enough.is_set():
                tables.record([row(account=name, billed_us=3)])
                count += 1
        return count

    with ThreadPoolExecutor(3) as pool, closing(place.tables()) as tables:
        writing = [pool.submit(write_on_and_on, name) for name in ("a", "b", "a")]
        seen = []
        while len(seen) < 20:
            sums = tables.usage(["account", "day", "function"], *EVER)
            seen.append({by: sum(one.calls for one in groups) for by, groups in sums.items()})
        is_enough.set()
        written = [one.result() for one in writing]
    assert all(len(set(one.values())) == 1 for one in seen)
    assert counted(place) == (sum(written), sum(written))


def test_sums_of_one_account_stand_in_several_lanes_and_are_read_as_one(place, items):
    for _ in range(20):
        with closing(place.tables()) as tables:
            tables.record([row(account="acme", billed_us=7)])
    assert len(items("days#")) == len(items("spent#")) > 1
    with closing(place.book("g")) as book:
        assert book.spent_by("acme", NOON).billed_us == 140


# what calls are told


def test_a_call_that_can_not_be_metered_is_told_so_without_a_place(dynamodb, caplog):
    with go_between(None, kind="", fates=["lose"] * 3) as server:
        ledger = DirectLedger(address(behind(dynamodb, server.url)))
        with pytest.raises(LedgerUnavailable, match=r"^The call could not be metered, so it is not answered\. Try again later\.$"):
            ledger.record([row()])
    assert "a call could not be metered: The ledger dynamodb://" in caplog.text
    ledger.close()


def test_a_value_that_dynamodb_does_not_take_makes_no_trouble_for_others(place, tmp_path):
    good, bad = row(), row(compute_us=10**40 + 1)
    with closing(place.tables()) as tables:
        with pytest.raises(ValueError, match="38"):
            tables.record([bad])
        tables.record([good])
    assert counted(place) == (1, 1)


def test_lines_of_a_journal_that_dynamodb_does_not_take_are_put_aside(place, tmp_path):
    folder = tmp_path / "j"
    for gateway, one in (("g1", row()), ("g2", row(account="\ud800")), ("g3", row(compute_us=10**40 + 1)), ("g4", row(at_us=2**59))):
        journal = Journal(folder, gateway)
        journal.append([one])
        journal.close()
    with closing(place.tables()) as tables:
        move_journals(tables, folder)
    assert counted(place)[0] == 2
    assert [file.name for file in folder.iterdir()] == ["damaged-lines"]
    assert len((folder / "damaged-lines").read_bytes().splitlines()) == 2


def test_an_answer_that_has_gone_by_the_clock_is_as_good_as_gone_though_it_still_stands(place, items):
    one = kept(repeat_key="a")
    with closing(place.tables()) as tables, closing(place.book("g")) as book:
        tables.record([], [one])
        assert book.claim("local", "a", "f", NOON + KEEP_ANSWERS_US) is None
    assert [item["until_us"]["N"] for item in items("answer#")] != []


def test_a_function_needs_what_is_written_down_and_no_more(dynamodb, aws_stack):
    with go_between(aws_stack.url) as server:
        place = address(behind(dynamodb, server.url))
        with closing(place.book("g")) as book:
            book.look(None)  # makes the table
            server.seen.clear()
            ledger = DirectLedger(place)
            ledger.record([row()], [kept()])
            ledger.close()
            book.look(NOON)
            book.spent_by("acme", NOON)
            book.note_used({"k": 1})
            book.claim("acme", "a", "f", NOON)
            book.renew([("acme", "a")], NOON)
            book.give_back("acme", "a")
    transactions = {"TransactWriteItems": {"PutItem", "UpdateItem"}}  # which AWS allows where what they are made of is allowed
    needed = {one for name in server.seen for one in transactions.get(name, {name})}
    assert {f"dynamodb:{name}" for name in needed} == set(FUNCTION_ACTIONS)


def test_who_looks_pays_for_little(dynamodb, aws_stack):
    with go_between(aws_stack.url) as server, closing(address(behind(dynamodb, server.url)).book("g")) as book:
        book.look(None)
        server.seen.clear()
        book.changed_keys()
        book.spent_by("acme", NOON)
        book.claim("acme", "a", "f", NOON)
        assert Counter(server.seen) == {"GetItem": 1, "Query": 1, "PutItem": 1}
