"""Files that an older servelite wrote become what this one reads, with the sums that they had."""

import contextlib
import hashlib
import json
import sqlite3

import pytest

from servelite.core.ports import BY, Row
from servelite.stores.address import address
from servelite.stores.ledger import JournaledLedger, sum_usage
from servelite.stores.migrations import POSTGRES, SQLITE
from servelite.stores.sums import KEY_OF_DAYS, SUMS, usage
from tests.stores.rows import DAY_US, EVER, NOON, row

FIRST = """
    CREATE TABLE calls (
      id TEXT NOT NULL PRIMARY KEY, at_us INTEGER NOT NULL, account TEXT NOT NULL, function TEXT NOT NULL,
      status INTEGER NOT NULL, code TEXT NOT NULL, queue_us INTEGER NOT NULL, init_us INTEGER NOT NULL,
      compute_us INTEGER NOT NULL, cpu_us INTEGER NOT NULL, peak_kib INTEGER NOT NULL, batch INTEGER NOT NULL,
      bytes_in INTEGER NOT NULL, bytes_out INTEGER NOT NULL, cold INTEGER NOT NULL, billed_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE journals (name TEXT PRIMARY KEY, moved_bytes INTEGER NOT NULL) STRICT;
    PRAGMA user_version = 1;
"""
"""The tables of the first servelite, as it made them."""

FIELDS = Row._fields[:16]

ROWS = [row(at_us=NOON + n % 3 * DAY_US, account=f"a{n % 2}", function=f"f{n % 5}", billed_us=n, compute_us=n) for n in range(60)]
ROWS += [row(code="invalid_input", status=422, billed_us=0)]


@pytest.fixture
def old(tmp_path):
    """Return the file of a ledger of the first servelite, with rows."""
    path = tmp_path / "ledger.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(FIRST)
        database.executemany(f"INSERT INTO calls VALUES ({', '.join('?' * len(FIELDS))})", [one[: len(FIELDS)] for one in ROWS])
        database.commit()
    return path


def asked(path) -> dict[str, object]:
    return sum_usage(address(str(path)), BY, EVER)


def test_rows_of_the_first_servelite_have_their_sums_and_prices(old):
    priced = [one._replace(cost_pico=one.billed_us * 100) for one in ROWS]
    new = old.with_name("new.db")
    ledger = JournaledLedger(address(str(new)))
    ledger.record(priced)
    ledger.close()
    assert asked(old) == asked(new)
    with contextlib.closing(sqlite3.connect(old)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (len(SQLITE),)
        assert sorted(map(Row._make, database.execute("SELECT * FROM calls"))) == sorted(priced)


def test_a_journal_that_the_first_servelite_left_is_added(old):
    left = row(account="late", billed_us=7)
    place = address(str(old))
    place.journals.mkdir()
    (place.journals / "1234-abcdef01.jsonl").write_text(json.dumps([left[: len(FIELDS)], ROWS[0][: len(FIELDS)]]) + "\n")
    (late,) = [one for one in sum_usage(place, ["account"], EVER)["account"] if one.group == "late"]
    assert (late.calls, late.billed_us, late.cost_pico) == (1, 7, 700)
    assert sum(one.calls for one in sum_usage(place, ["function"], EVER)["function"]) == len(ROWS) + 1


def test_a_journal_that_was_half_moved_then_goes_on_where_it_was(old):
    place = address(str(old))
    place.journals.mkdir()
    moved = json.dumps([ROWS[0][: len(FIELDS)]]) + "\n"
    (place.journals / "1234-abcdef01.jsonl").write_text(moved + json.dumps([row()[: len(FIELDS)]]) + "\n")
    with contextlib.closing(sqlite3.connect(old)) as database:
        database.execute("INSERT INTO journals VALUES (?, ?)", ["1234-abcdef01.jsonl", len(moved)])
        database.commit()
    assert sum(one.calls for one in sum_usage(place, ["function"], EVER)["function"]) == len(ROWS) + 1


def test_new_rows_are_added_to_old_sums(old):
    ledger = JournaledLedger(address(str(old)))
    ledger.record([row(function="f0", compute_us=1000)])
    (before,) = [one for one in ledger.usage(["function"], *EVER)["function"] if one.group == "f0"]
    ledger.close()
    assert (before.calls, before.compute_us) == (13, 1000 + sum(one.compute_us for one in ROWS if one.function == "f0"))


def test_a_migration_that_fails_leaves_the_file_as_it_was(old):
    with contextlib.closing(sqlite3.connect(old)) as database:
        database.execute("CREATE TABLE answers (mine TEXT)")
        database.commit()
    with pytest.raises(Exception, match="answers already exists"):
        JournaledLedger(address(str(old)))
    with contextlib.closing(sqlite3.connect(old)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (1,)
        assert len(database.execute("SELECT * FROM calls").fetchone()) == len(FIELDS)
        database.execute("DROP TABLE answers")
        database.commit()
    assert sum(one.calls for one in sum_usage(address(str(old)), ["function"], EVER)["function"]) == len(ROWS)


def columns(db, table) -> list[str]:
    """Return the names of a table's columns, by whatever way its database tells them."""
    for statement in ("SELECT name FROM pragma_table_info(?)", "SELECT column_name FROM information_schema.columns WHERE table_name = ?"):
        with contextlib.suppress(Exception):
            return [name for (name,) in db.query(statement, [table])]
    raise AssertionError(table)


def test_both_databases_have_a_column_for_everything(db):
    assert set(columns(db, "calls")) == set(Row._fields)
    assert set(columns(db, "days")) == {*KEY_OF_DAYS, *SUMS}
    assert usage(db, ["function"], *EVER)["function"] == []


DIGESTS = [
    pytest.param(SQLITE, 0, "04978d128cd9951c", id="SQLite 1"),
    pytest.param(SQLITE, 1, "ee4520e3c05e7653", id="SQLite 2"),
    pytest.param(SQLITE, 2, "77f5c3148598f235", id="SQLite 3"),
    pytest.param(POSTGRES, 0, "6c58001093e94c4d", id="PostgreSQL 1"),
    pytest.param(POSTGRES, 1, "77f5c3148598f235", id="PostgreSQL 2"),
]


def test_every_version_has_a_digest():
    assert len(DIGESTS) == len(SQLITE) + len(POSTGRES)


@pytest.mark.parametrize(("versions", "number", "digest"), DIGESTS)
def test_a_version_stays_as_it_was_released(versions, number, digest):
    """Whoever changes a released version has tables on disk that differ from it: add a version instead."""
    words = " ".join("; ".join(versions[number]).split())
    assert hashlib.sha256(words.encode()).hexdigest()[:16] == digest
