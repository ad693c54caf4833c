import contextlib
import json
import os
import resource
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import Row
from servelite.stores.journal import MOST_BYTES, ROTATE_BYTES, Journal, JournalFile, journal_files
from tests.stores.rows import row

HUGE = "x" * ROTATE_BYTES  # an account's name that alone fills a file


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def journal(folder):
    journal = Journal(folder)
    yield journal
    with contextlib.suppress(OSError):
        journal.close()


def rows_in(folder: Path) -> list[Row]:
    lines = [line for file in journal_files(folder) for line in file.lines_from(0)[0]]
    return [Row(*one) for line in lines for one in json.loads(line)]


@contextlib.contextmanager
def disk_with(free_bytes: int, folder: Path) -> Iterator[None]:
    """Let no file grow by more than this inside the block: a write then ends as on a full disk."""
    largest = max(file.path.stat().st_size for file in journal_files(folder))
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest + free_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


def test_appended_rows_are_in_the_file_at_once_and_in_order(journal, folder):
    first, second, third = row(), row(account="Zoë"), row()
    journal.append([first])
    journal.append([second, third])
    assert rows_in(folder) == [first, second, third]


def test_a_batch_is_one_line(journal, folder):
    journal.append([row(account="a\nb"), row()])
    journal.append([row()])
    (file,) = journal_files(folder)
    assert file.path.read_bytes().count(b"\n") == 2


def test_lines_are_read_from_where_the_last_reading_ended(journal, folder):
    (file,) = journal_files(folder)
    end, seen = 0, 0
    for _ in range(3):
        journal.append([row()])
        lines, end = file.lines_from(end)
        seen += len(lines)
        assert len(lines) == 1
    assert file.lines_from(end) == ([], end)
    assert seen == 3


def test_a_torn_line_is_not_read_and_not_passed(folder):
    folder.mkdir()
    file = JournalFile(folder / "1-a.jsonl")
    file.path.write_bytes(b"[1]\n[2")
    assert file.lines_from(0) == ([b"[1]"], 4)
    assert file.lines_from(4) == ([], 4)
    file.path.write_bytes(b"[1]\n[2]\n")
    assert file.lines_from(4) == ([b"[2]"], 8)


def test_a_file_that_is_gone_has_no_lines(folder):
    gone = JournalFile(folder / "1-a.jsonl")
    assert gone.lines_from(7) == ([], 7)
    with gone.abandoned() as is_abandoned:
        assert not is_abandoned


def test_a_journal_is_abandoned_once_it_is_closed(journal, folder):
    (file,) = journal_files(folder)
    with file.abandoned() as before:
        assert not before
    journal.close()
    with file.abandoned() as after:
        assert after


def test_only_one_may_take_an_abandoned_journal(journal, folder):
    (file,) = journal_files(folder)
    journal.close()
    with file.abandoned() as first, file.abandoned() as second:
        assert (first, second) == (True, False)


def test_each_journal_has_a_file_of_its_own(journal, folder):
    other = Journal(folder)
    assert len(journal_files(folder)) == 2
    other.close()


def test_a_journal_is_read_by_its_owner_only(journal, folder):
    (file,) = journal_files(folder)
    assert file.path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_has_grown_large_is_left_for_a_new_one(journal, folder):
    journal.append([row(account=HUGE)])
    journal.append([row(account="after")])
    files = journal_files(folder)
    assert [row.account == HUGE for row in rows_in(folder)].count(True) == 1
    assert len(files) == 2
    abandoned = {}
    for file in files:
        with file.abandoned() as is_abandoned:
            abandoned[file.path.stat().st_size > ROTATE_BYTES] = is_abandoned
    assert abandoned == {True: True, False: False}


@pytest.mark.parametrize("free_bytes", [0, 1, 50], ids=["not a byte", "one byte", "half a line"])
def test_a_full_disk_refuses_a_row_and_leaves_no_torn_line(journal, folder, free_bytes):
    first, refused, last = row(), row(), row()
    journal.append([first])
    with disk_with(free_bytes, folder), pytest.raises(LedgerUnavailable, match=r"could not be metered, so it is not answered: .*Try again"):
        journal.append([refused])
    assert rows_in(folder) == [first]
    journal.append([last])
    assert rows_in(folder) == [first, last]


def test_a_full_disk_refuses_again_and_again_until_there_is_space(journal, folder):
    journal.append([row()])
    with disk_with(10, folder):
        for _ in range(3):
            with pytest.raises(LedgerUnavailable):
                journal.append([row()])
    journal.append([row()])
    assert len(rows_in(folder)) == 2


def test_a_journal_that_could_not_rotate_goes_on_once_it_can(journal, folder):
    away = folder.with_name("away")
    folder.rename(away)
    with contextlib.suppress(LedgerUnavailable):
        journal.append([row(account=HUGE)])
    foreign = os.open(os.devnull, os.O_RDONLY)  # takes the lowest free number, which the journal must not write to
    away.rename(folder)
    try:
        journal.append([row(account="after")])
    finally:
        os.close(foreign)
    assert "after" in {row.account for row in rows_in(folder)}


def test_files_are_named_in_the_order_they_are_written_and_after_nobody_else(folder, tmp_path):
    journals = [Journal(folder) for _ in range(2)]
    seen = tmp_path / "seen"
    seen.mkdir()
    for number in range(12):
        for journal in journals:
            journal.append([row(function=f"{number:02}")])
        for file in folder.iterdir():
            shutil.move(shutil.copy(file, tmp_path / "copy"), seen / file.name)
            file.unlink()  # then the next row begins a new one
    owners: dict[str, list[str]] = {}
    for file in journal_files(seen):
        ((first,), _) = file.lines_from(0)
        owners.setdefault(file.path.name.rpartition("-")[0], []).append(Row(*json.loads(first)[0]).function)
    assert list(owners.values()) == [[f"{number:02}" for number in range(12)]] * 2
    for journal in journals:
        journal.close()


@contextlib.contextmanager
def waiting(folder: Path, size: int) -> Iterator[None]:
    """Have so many bytes wait for the database inside the block; they take no place on the disk."""
    pile = folder / "0-pile.jsonl"
    pile.touch()
    os.truncate(pile, size)
    try:
        yield
    finally:
        pile.unlink()


def test_more_than_may_wait_for_the_database_is_refused_until_there_is_room(journal, folder):
    journal.append([row(account=HUGE)])
    with waiting(folder, MOST_BYTES):
        for _ in range(3):
            with pytest.raises(LedgerUnavailable, match=r"could not be metered.*1,040 MiB wait .* 1,024 MiB may\. Try again later\."):
                journal.append([row(account="refused")])
    journal.append([row(account="after")])
    assert [one.account for one in rows_in(folder) if one.account != HUGE] == ["after"]
    assert len(journal_files(folder)) == 2


def test_what_waits_is_looked_at_only_when_a_file_is_full(journal, folder):
    with waiting(folder, MOST_BYTES + 1):
        journal.append([row(account="small")])
    assert [one.account for one in rows_in(folder)] == ["small"]


def test_as_much_as_may_wait_is_taken(journal, folder):
    journal.append([row(account=HUGE)])
    (file,) = journal_files(folder)
    with waiting(folder, MOST_BYTES - file.size()):
        journal.append([row(account="after")])
    assert len(journal_files(folder)) == 2


def test_a_folder_that_can_not_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LedgerUnavailable, match=r"journal can't be written in .*file/journal: Not a directory"):
        Journal(tmp_path / "file" / "journal")
