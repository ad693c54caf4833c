"""From journals into tables: each row once, kept answers with it, damaged lines aside."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from servelite.core.errors import LedgerUnavailable
from servelite.core.ports import KEEP_ANSWERS_US, Kept, Row
from servelite.stores.journal import READ_BYTES, Journal
from servelite.stores.lines import LONGEST_NAME_BYTES
from servelite.stores.moving import DAMAGED, move_journals
from servelite.stores.sql_tables import SqlTables
from tests.stores.rows import kept, row

ROOT = Path(__file__).parents[2]
OLD_FIELDS = 16
"""What a row of the first servelite had."""


def line(*rows: object) -> bytes:
    return json.dumps(rows).encode() + b"\n"


def changed(**changes: object) -> bytes:
    """Return a line that is whole, but for a value that can't stand in its column."""
    return line(list({**row()._asdict(), **changes}.values()))


def with_answer(*row_fields: object, **changes: object) -> bytes:
    """Return a line of a row and an answer, with changes to the answer."""
    answer = {**kept()._asdict(), "body": "YQ==", **changes}
    return json.dumps({"rows": [row(*row_fields)], "kept": [list(answer.values())]}).encode() + b"\n"


def leave(folder: Path, content: bytes, name: str = "1-a.jsonl") -> Path:
    """Leave a journal as a killed process would."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def ids(db) -> list[str]:
    return [one for (one,) in db.query("SELECT id FROM calls ORDER BY id")]


def answers(db) -> list[Kept]:
    return [Kept(*one) for one in db.query(f"SELECT {', '.join(Kept._fields)} FROM answers ORDER BY repeat_key")]


def test_rows_arrive_as_they_were_recorded(db, tmp_path):
    rows = [
        row(account="Zoë\n\t\"'\\", key_id="k", version="v", parent="p", stage="s", memory_mib=5, cost_pico=7, gateway="g", mib_us=8)
        for _ in range(3)
    ]
    journal = Journal(tmp_path / "j")
    journal.append(rows)
    move_journals(SqlTables(db), tmp_path / "j")
    assert [Row(*one) for one in db.query(f"SELECT {', '.join(Row._fields)} FROM calls ORDER BY id")] == rows
    journal.close()


def test_kept_answers_arrive_with_their_rows(db, tmp_path):
    kept_ones = [
        kept(repeat_key="a", body=bytes(range(256))),
        kept(repeat_key="b", body=b""),
        kept(repeat_key="c", problem='{"code": "x"}'),
    ]
    journal = Journal(tmp_path / "j")
    journal.append([row(), row()], kept_ones)
    journal.append([row()])
    move_journals(SqlTables(db), tmp_path / "j")
    assert answers(db) == kept_ones
    assert len(ids(db)) == 3
    journal.close()


def test_the_first_answer_to_a_key_stays(db, tmp_path):
    first, second = kept(repeat_key="a", body=b"first"), kept(repeat_key="a", body=b"second")
    journal = Journal(tmp_path / "j")
    for answer in (first, second):
        journal.append([row()], [answer])
        move_journals(SqlTables(db), tmp_path / "j")
    assert answers(db) == [first]
    journal.close()


def test_an_answer_that_has_expired_does_not_stand_in_the_way_of_the_next(db, tmp_path):
    first = kept(repeat_key="a", body=b"first")
    second = first._replace(body=b"second", at_us=first.at_us + KEEP_ANSWERS_US)
    journal = Journal(tmp_path / "j")
    for answer in (first, second):
        journal.append([row()], [answer])
        move_journals(SqlTables(db), tmp_path / "j")
    assert answers(db) == [second]
    journal.close()


def test_what_was_moved_is_not_read_again(db, tmp_path):
    journal = Journal(tmp_path / "j")
    for count in range(1, 4):
        journal.append([row()])
        for _ in range(2):
            move_journals(SqlTables(db), tmp_path / "j")
            assert len(ids(db)) == count
    ((end,),) = db.query("SELECT moved_bytes FROM journals")
    assert end == sum(file.stat().st_size for file in (tmp_path / "j").iterdir())
    journal.close()


def test_a_file_larger_than_one_reading_is_moved_whole(db, tmp_path):
    rows = [row(account="a" * 1000) for _ in range(3 * READ_BYTES // 1000)]
    leave(tmp_path / "j", b"".join(map(line, rows)))
    move_journals(SqlTables(db), tmp_path / "j")
    assert ids(db) == sorted(one.id for one in rows)


def test_a_line_longer_than_one_reading_is_moved_whole(db, tmp_path):
    rows = [row(account="a" * 1000) for _ in range(3 * READ_BYTES // 1000)]
    leave(tmp_path / "j", line(row()) + line(*rows) + line(row()))
    move_journals(SqlTables(db), tmp_path / "j")
    assert len(ids(db)) == len(rows) + 2


def test_a_file_that_nobody_writes_any_more_goes_with_its_note(db, tmp_path):
    journal = Journal(tmp_path / "j")
    journal.append([row()])
    move_journals(SqlTables(db), tmp_path / "j")
    journal.close()
    move_journals(SqlTables(db), tmp_path / "j")
    assert list((tmp_path / "j").iterdir()) == []
    assert db.query("SELECT * FROM journals") == []
    assert len(ids(db)) == 1


def test_a_file_that_outlived_its_move_is_not_moved_again_though_its_rows_were_let_go(db, tmp_path):
    """The one who moved it was killed after its transaction, before it deleted the file; its note still stands."""
    content = line(row(), row())
    leave(tmp_path / "j", content)
    db.query("INSERT INTO journals (name, moved_bytes) VALUES (?, ?)", ["1-a.jsonl", len(content)])
    move_journals(SqlTables(db), tmp_path / "j")
    assert ids(db) == []
    assert db.query("SELECT * FROM days") == []
    assert list((tmp_path / "j").iterdir()) == []


MOVER = """
import os, sys
from contextlib import closing
from pathlib import Path
from servelite.stores.address import address
from servelite.stores.moving import move_journals
with closing(address(sys.argv[1]).tables()) as tables:
    print(flush=True)
    sys.stdin.readline()
    move_journals(tables, Path(sys.argv[2]))
"""


def test_several_who_move_the_same_files_at_once_move_each_row_once(url, db, tmp_path):
    for number in range(8):
        leave(tmp_path / "j", b"".join(line(row(gateway="g", account=f"a{n % 7}")) for n in range(200)), f"1-{number}.jsonl")
    command = [sys.executable, "-c", MOVER, url, str(tmp_path / "j")]
    processes = [subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.communicate(b"\n", timeout=60)
    assert [process.returncode for process in processes] == [0] * 3
    assert db.query("SELECT CAST(sum(calls) AS BIGINT) FROM days") == [(1600,)]
    assert len(ids(db)) == 1600
    assert list((tmp_path / "j").iterdir()) == []


def test_movers_of_the_same_answers_and_sums_never_wait_for_each_other_in_a_circle(url, db, tmp_path):
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder, direction in zip(folders, (1, -1), strict=True):
        numbers = range(1500)[::direction]
        journal = Journal(folder)
        journal.append(
            [row(gateway="g", account=f"a{number}") for number in numbers], [kept(repeat_key=f"{number:04}") for number in numbers]
        )
        journal.close()
    commands = [[sys.executable, "-c", MOVER, url, str(folder)] for folder in folders]
    processes = [subprocess.Popen(one, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for one in commands]
    for process in processes:
        process.stdout.readline()
    for process in processes:
        process.stdin.write(b"\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0]
    assert db.query("SELECT CAST(sum(calls) AS BIGINT), count(*) FROM days") == [(3000, 1500)]
    assert len(answers(db)) == 1500


def test_one_who_is_killed_while_it_moves_leaves_the_rest_to_others(url, db, tmp_path):
    recorded = [row() for _ in range(20_000)]
    leave(tmp_path / "j", b"".join(map(line, recorded)))
    command = [sys.executable, "-c", MOVER, url, str(tmp_path / "j")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdin.write(b"\n")
        process.stdin.flush()
        while not ids(db):
            assert process.poll() is None
        os.kill(process.pid, signal.SIGKILL)
    assert 0 < len(ids(db)) <= len(recorded)
    move_journals(SqlTables(db), tmp_path / "j")
    assert ids(db) == sorted(one.id for one in recorded)
    assert db.query("SELECT calls FROM days") == [(20_000,)]


DAMAGES = [
    b"\x00\x00\n",
    b"{\n",
    b"\xff\n",
    b"\n",
    b'[["too", "short"]]\n',
    b"5\n",
    b"null\n",
    b'"text"\n',
    b"{}\n",
    b'{"rows": 5, "kept": []}\n',
    b'["16-character-str"]\n',
    b'[{"id": 1}]\n',
    b"[" * 100_000 + b"\n",
    line([*row(), "too long"]),
    changed(status="two hundred"),
    changed(status="200"),
    changed(compute_us=2**63),
    changed(compute_us=None),
    changed(compute_us=float("nan")),
    changed(compute_us=1.5),
    changed(cold=True),
    changed(mib_us=2**63),
    changed(compute_us=2**62, memory_mib=2**20),
    changed(account={}),
    changed(account=5),
    changed(function="\ud800"),
    with_answer(body="not base64"),
    with_answer(body=5),
    with_answer(at_us="yesterday"),
    with_answer(at_us=2**63),
    with_answer(media_type="\ud800"),
    with_answer(repeat_key=None),
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: ascii(damage[-60:]))
def test_a_damaged_line_is_put_aside_and_keeps_nothing_back(db, tmp_path, damage):
    before, after = row(), row()
    leave(tmp_path / "j", line(before) + damage + line(after))
    move_journals(SqlTables(db), tmp_path / "j")
    assert ids(db) == [before.id, after.id]
    assert answers(db) == []
    assert (tmp_path / "j" / DAMAGED).read_bytes() == damage
    assert db.query("SELECT calls FROM days") == [(2,)]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(changed(account="a\0b"), id="a NUL character in a row"),
        pytest.param(with_answer(repeat_key="a\0b"), id="a NUL character in an answer"),
        pytest.param(changed(account="".join(map(chr, range(0x4E00, 0x9E00)))), id="an account of 20,000 characters"),
        pytest.param(with_answer(repeat_key="".join(map(chr, range(0x4E00, 0x9E00)))), id="a key of 20,000 characters"),
    ],
)
def test_what_one_database_takes_and_the_other_does_not_keeps_nothing_back(db, tmp_path, damage):
    """SQLite takes it, PostgreSQL does not: there it is put aside."""
    before, after = row(), row()
    leave(tmp_path / "j", line(before) + damage + line(after))
    move_journals(SqlTables(db), tmp_path / "j")
    assert {before.id, after.id} <= set(ids(db))
    assert len(ids(db)) == 3 or (tmp_path / "j" / DAMAGED).read_bytes() == damage


def test_the_longest_names_that_are_promised_fit(db, tmp_path):
    name = "".join(map(chr, range(0x4E00, 0x4E00 + LONGEST_NAME_BYTES // 3)))
    keys = dict.fromkeys(("id", "account", "key_id", "function", "stage", "gateway"), name)
    answer = kept(account=name, repeat_key=name)._replace(body="")
    leave(tmp_path / "j", json.dumps({"rows": [row(**keys)], "kept": [answer]}).encode() + b"\n")
    move_journals(SqlTables(db), tmp_path / "j")
    assert (ids(db), len(answers(db))) == ([name], 1)


def test_damage_in_a_journal_that_is_still_written_is_passed_once(db, tmp_path):
    journal = Journal(tmp_path / "j")
    journal.append([row()])
    (file,) = (tmp_path / "j").iterdir()
    with file.open("ab") as end:
        end.write(b"damage\n")
    for count in (2, 3):
        journal.append([row()])
        move_journals(SqlTables(db), tmp_path / "j")
        assert len(ids(db)) == count
    assert (tmp_path / "j" / DAMAGED).read_bytes() == b"damage\n"
    journal.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)
@given(place=st.integers(0, 10_000), byte=st.integers(0, 255).filter(lambda byte: byte != ord("\n")))
def test_one_wrong_byte_costs_one_line_at_most(db, tmp_path, place, byte):
    for table in ("calls", "days", "journals", "answers"):
        db.query(f"DELETE FROM {table}")
    rows = [row(), row(), row()]
    whole = bytearray(with_answer() if place % 2 else changed())
    whole[place % (len(whole) - 1)] = byte
    leave(tmp_path / "j", line(rows[0]) + bytes(whole) + line(*rows[1:]))
    move_journals(SqlTables(db), tmp_path / "j")
    assert {one.id for one in rows} <= set(ids(db))
    assert db.query("SELECT CAST(sum(calls) AS BIGINT) FROM days") == [(len(ids(db)),)]


def test_rows_of_the_first_servelite_are_filled_up_with_their_price(db, tmp_path):
    old = row(billed_us=1234, compute_us=1300)
    leave(tmp_path / "j", line(old[:OLD_FIELDS]))
    move_journals(SqlTables(db), tmp_path / "j")
    assert db.query("SELECT id, key_id, version, parent, stage, memory_mib, cost_pico, gateway, mib_us FROM calls") == [
        (old.id, "", "", "", "", 0, 123_400, "", 0)
    ]
    assert db.query("SELECT calls, billed_us, cost_pico FROM days") == [(1, 1234, 123_400)]


def test_a_database_that_takes_no_rows_loses_none(new_place, tmp_path):
    rows = [row(), row()]
    leave(tmp_path / "j", line(*rows))
    with closing(new_place.open()) as db:
        db.query("DROP TABLE days")
        for _ in range(2):
            with pytest.raises(LedgerUnavailable):
                move_journals(SqlTables(db), tmp_path / "j")
        assert ids(db) == []
    assert (tmp_path / "j" / "1-a.jsonl").read_bytes() == line(*rows)


def test_sums_beyond_64_bits_are_told_and_nothing_is_put_aside(db, tmp_path):
    leave(tmp_path / "j", b"".join(changed(compute_us=2**60 - 1) for _ in range(9)))
    with pytest.raises(LedgerUnavailable):
        move_journals(SqlTables(db), tmp_path / "j")
    assert ids(db) == []
    assert not (tmp_path / "j" / DAMAGED).exists()
