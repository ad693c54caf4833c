import json
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from servelite.core.errors import LedgerUnavailable
from servelite.stores.address import address
from servelite.stores.ledger import JournaledLedger, sum_usage
from servelite.stores.sqlite import SqliteDatabase
from tests.stores.rows import EVER, row

ROOT = Path(__file__).parents[2]

WRITER = """
import os, signal, sys
from pathlib import Path
from servelite.stores.address import address
from servelite.stores.ledger import JournaledLedger
from tests.stores.rows import row
path, name, batches = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
ledger = JournaledLedger(address(str(path)))
for batch in range(batches):
    ledger.record([row(id=f"{name}{batch:08}{place}", function=name) for place in range(5)])
"""
KILLED = f"{WRITER}os.kill(os.getpid(), signal.SIGKILL)"
ENDED = f"{WRITER}os._exit(0)"
CLOSED = f"{WRITER}ledger.close()"


def begin(program: str, path: Path, name: str, batches: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program, path, name, str(batches)], cwd=ROOT)


def opened(path: Path) -> JournaledLedger:
    return JournaledLedger(address(str(path)))


def counted(path: Path) -> dict[str, int]:
    return {usage.group: usage.calls for usage in sum_usage(address(str(path)), ["function"], EVER)["function"]}


def write_journal(path: Path, content: bytes, name: str = "1-a.jsonl") -> None:
    """Leave a journal as a killed process would."""
    address(str(path)).journals.mkdir(exist_ok=True)
    (address(str(path)).journals / name).write_bytes(content)


def line(*rows: object) -> bytes:
    return json.dumps(rows).encode() + b"\n"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "ledger.db"


@pytest.fixture
def made(path):
    """Return the path of a ledger that exists and is closed."""
    opened(path).close()
    return path


@pytest.mark.parametrize(("program", "code"), [(KILLED, -9), (ENDED, 0), (CLOSED, 0)], ids=["killed", "ended in a hurry", "closed"])
def test_the_rows_of_a_process_are_there_exactly_once_however_it_ended(path, program, code):
    with begin(program, path, "a", 20) as process:
        pass
    assert process.returncode == code
    for _ in range(2):
        ledger = opened(path)
        assert [usage.calls for usage in ledger.usage(["function"], *EVER)["function"]] == [100]
        ledger.close()


def test_processes_that_write_at_once_lose_and_double_nothing(path):
    ledger = opened(path)
    with begin(CLOSED, path, "a", 300) as one, begin(KILLED, path, "b", 300) as other:
        for _ in range(300):
            ledger.record([row(function="c")])
            counted(path)
            if one.poll() is not None and other.poll() is not None:
                break
    recorded = ledger.usage(["function"], *EVER)["function"]
    ledger.close()
    assert {usage.group: usage.calls for usage in recorded} == counted(path)
    assert (counted(path)["a"], counted(path)["b"]) == (1500, 1500)


def test_rows_are_read_while_another_ledger_still_writes(path):
    ledger = opened(path)
    ledger.record([row()])
    assert counted(path) == {"f": 1}
    ledger.record([row()])
    assert counted(path) == {"f": 2}
    ledger.close()
    assert counted(path) == {"f": 2}


def test_a_closed_ledger_leaves_nothing_in_its_journal(path):
    for _ in range(20):
        ledger = opened(path)
        ledger.record([row()])
        ledger.close()
        assert list(address(str(path)).journals.iterdir()) == []


def test_a_ledger_is_one_file_that_any_sqlite_reads(path):
    ledger = opened(path)
    ledger.record([row(), row()])
    assert counted(path) == {"f": 2}
    ledger.close()
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT count(*) FROM calls").fetchone() == (2,)
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_rows_wait_in_the_journal_while_another_process_holds_the_database(path):
    ledger = opened(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    ledger.record([row()])
    holder.execute("ROLLBACK")
    holder.close()
    assert counted(path) == {"f": 1}
    ledger.close()


def test_a_torn_last_line_is_not_moved(made):
    write_journal(made, line(row()) + line(row())[:-20])
    assert counted(made) == {"f": 1}


def test_a_line_is_torn_as_long_as_it_has_no_end(made):
    write_journal(made, line(row())[:-1])
    assert counted(made) == {}


def test_zeros_at_the_end_are_not_moved(made):
    write_journal(made, line(row()) + bytes(4096))
    assert counted(made) == {"f": 1}


def test_a_journal_that_was_moved_but_not_deleted_is_not_counted_again(made):
    content = line(row(), row())
    for _ in range(2):
        write_journal(made, content)
        assert counted(made) == {"f": 2}


def test_the_journals_of_several_killed_processes_are_all_moved(made):
    for number in range(5):
        write_journal(made, line(row()), f"{number}-x.jsonl")
    assert counted(made) == {"f": 5}


def test_a_foreign_file_among_the_journals_is_left_alone(made):
    write_journal(made, b"notes", "README.txt")
    assert counted(made) == {}
    assert (address(str(made)).journals / "README.txt").read_bytes() == b"notes"


def test_a_ledger_of_a_newer_servelite_is_refused_and_left_as_it_is(made):
    database = sqlite3.connect(made)
    database.execute("PRAGMA user_version = 999")
    database.close()
    for open_ in (opened, counted):
        with pytest.raises(LedgerUnavailable, match=r"ledger\.db was written by a newer servelite\. Update servelite, or name another"):
            open_(made)
    database = sqlite3.connect(made)
    assert database.execute("PRAGMA user_version").fetchone() == (999,)
    database.close()


def test_a_file_that_is_no_database_is_refused_with_the_cure(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("not a database at all" * 100)
    with pytest.raises(LedgerUnavailable, match=r"notes\.txt can't be used: .* Mend it, or name another with --ledger"):
        opened(path)
    assert path.read_text().startswith("not a database")


def test_a_folder_in_the_ledgers_place_is_refused(tmp_path):
    with pytest.raises(LedgerUnavailable, match="can't be used"):
        opened(tmp_path)


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnavailable, match="can't be used"):
        opened(tmp_path / "file" / "ledger.db")


def test_a_file_in_the_journals_place_is_refused(path):
    path.parent.mkdir()
    address(str(path)).journals.touch()
    with pytest.raises(LedgerUnavailable, match="journal can't be written"):
        opened(path)


def test_a_damaged_database_is_the_ledgers_error(path):
    ledger = opened(path)
    ledger.record([row() for _ in range(1000)])
    ledger.close()
    content = path.read_bytes()
    path.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))
    with pytest.raises(LedgerUnavailable):
        counted(path)


def test_a_file_that_somebody_else_is_just_making_is_waited_for(tmp_path):
    file = tmp_path / "new.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as other, ThreadPoolExecutor(1) as pool:
        other.execute("BEGIN IMMEDIATE")
        opening = pool.submit(SqliteDatabase, file)
        with pytest.raises(TimeoutError):
            opening.result(0.1)
        other.execute("ROLLBACK")
        opening.result().close()
