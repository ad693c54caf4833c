"""What can be wrong with a PostgreSQL server, and that its password is told to nobody then."""

import logging
import os
import re
import signal
import subprocess
import sys
import traceback
from contextlib import closing
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from servelite.core.errors import LedgerUnavailable
from servelite.stores.address import address
from servelite.stores.keeper import start_keeper
from servelite.stores.ledger import JournaledLedger, sum_usage
from servelite.stores.migrations import POSTGRES
from tests.postgres import PASSWORD, QUOTED_PASSWORD, missing, own_server
from tests.server import until
from tests.stores.rows import EVER, row


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """Have journals on their way to a server stand in the test's folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def guarded():
    """Return a server that is known to ask for passwords."""
    with own_server(os.environ) as server:
        yield server


def changed(url: str, **changes: str) -> str:
    """Return a URL with another user, password, host, port or database."""
    parts = urlsplit(url)
    now = {
        "user": parts.username,
        "password": QUOTED_PASSWORD,
        "host": parts.hostname,
        "port": parts.port,
        "database": parts.path[1:],
        **changes,
    }
    return "postgresql://{user}:{password}@{host}:{port}/{database}".format(**now)


def refusal(url: str) -> LedgerUnavailable:
    """Return why a ledger can't be opened; nothing in it, nor in its traceback, is secret."""
    with pytest.raises(LedgerUnavailable) as refused:
        JournaledLedger(address(url))
    told = "".join(traceback.format_exception(refused.value))
    assert not re.search(f"{re.escape(PASSWORD)}|{QUOTED_PASSWORD}|wrong-password", told)
    return refused.value


def count(url: str) -> int:
    return sum(one.calls for one in sum_usage(address(url), ["function"], EVER)["function"])


def moved(url: str) -> int:
    """Return how many rows are in the tables, those in journals not among them."""
    with closing(address(url).open()) as db:
        return db.query("SELECT count(*) FROM calls")[0][0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        pytest.param({"port": "1"}, "Connection refused", id="no server there"),
        pytest.param({"host": "no-such-host.invalid"}, "resolve|name", id="no such host"),
        pytest.param({"database": "nowhere"}, 'database "nowhere" does not exist', id="no such database"),
        pytest.param({"user": "nobody"}, "authentication failed", id="no such role"),
        pytest.param({"password": "wrong-password"}, "authentication failed", id="a wrong password"),
        pytest.param({"password": ""}, "no password supplied", id="no password"),
    ],
)
def test_a_server_that_can_not_be_used_is_told_with_the_cure(guarded, changes, why):
    told = refusal(changed(guarded.url("postgres"), **changes)).detail
    assert re.search(rf"^The ledger postgresql://\S+ can't be used: .*({why}).*\. Mend it, or name another with --ledger\.$", told)


def test_a_missing_package_is_told_with_its_command():
    program = "import sys; sys.modules['psycopg'] = None\nfrom servelite.stores.address import address\naddress('postgresql://h/l')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "DefinitionError: A ledger on PostgreSQL needs psycopg. Install it: pip install 'servelite[postgres]'" in done.stderr


def test_psycopg_is_loaded_for_postgresql_only():
    program = "import sys\nfrom servelite.stores.address import address\naddress('ledger.db').open\nassert 'psycopg' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.fixture
def role(postgres_server, postgres):
    """Return the URL of an empty database as a role sees it that may only connect, and a runner of statements as one who may do all."""
    name = f"role_{urlsplit(postgres).path[1:]}"
    run = partial(postgres_server.ask, database=urlsplit(postgres).path[1:])
    run(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    run("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    yield changed(postgres, user=name), lambda statement: run(statement.replace("ROLE", name))
    run(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_a_role_that_may_make_no_tables_is_refused_where_there_are_none(role):
    url, _ = role
    assert "permission denied for schema public" in refusal(url).detail


def test_a_role_that_may_only_read_is_refused_before_calls_are_served(role, postgres):
    url, run = role
    JournaledLedger(address(postgres)).close()
    run("GRANT SELECT ON ALL TABLES IN SCHEMA public TO ROLE")
    assert re.search(r"can't be written by this role\. Grant it SELECT, INSERT, UPDATE and DELETE", refusal(url).detail)


def test_a_role_with_the_rights_that_are_named_is_enough(role, postgres):
    url, run = role
    JournaledLedger(address(postgres)).close()
    run("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ROLE")
    ledger = JournaledLedger(address(url))
    ledger.record([row()])
    ledger.close()
    assert count(postgres) == 1


def test_a_server_that_takes_no_writing_is_refused(postgres):
    JournaledLedger(address(postgres)).close()
    assert "can't be written" in refusal(f"{postgres}?options=-cdefault_transaction_read_only%3Don").detail


def test_a_database_in_another_encoding_is_refused_with_the_cure(postgres_server):
    with postgres_server.database("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0") as url:
        assert "is not in UTF-8. Make its database with ENCODING 'UTF8' TEMPLATE template0" in refusal(url).detail


def test_tables_of_a_newer_servelite_are_refused_and_left_as_they_are(postgres):
    JournaledLedger(address(postgres)).close()
    with psycopg.connect(postgres, autocommit=True) as database:
        database.execute("UPDATE servelite SET version = 999")
        assert "was written by a newer servelite. Update servelite, or name another" in refusal(postgres).detail
        assert database.execute("SELECT version FROM servelite").fetchall() == [(999,)]


def test_foreign_tables_of_the_same_names_are_refused_and_left_as_they_are(postgres):
    with psycopg.connect(postgres, autocommit=True) as database:
        database.execute("CREATE TABLE keys (mine text)")
        assert 'relation "keys" already exists' in refusal(postgres).detail
        assert database.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchall() == [(1,)]


def test_the_version_of_the_tables_is_written_once(postgres):
    for _ in range(2):
        JournaledLedger(address(postgres)).close()
    with psycopg.connect(postgres) as database:
        assert database.execute("SELECT version FROM servelite").fetchall() == [(len(POSTGRES),)]


def test_a_schema_may_be_named_in_the_url(postgres):
    with psycopg.connect(postgres, autocommit=True) as database:
        database.execute("CREATE SCHEMA books")
    url = f"{postgres}?options=-csearch_path%3Dbooks"
    ledger = JournaledLedger(address(url))
    ledger.record([row()])
    ledger.close()
    with psycopg.connect(postgres) as database:
        assert database.execute("SELECT count(*) FROM books.calls").fetchall() == [(1,)]
        assert database.execute("SELECT to_regclass('public.calls')").fetchall() == [(None,)]


@pytest.mark.slow
def test_rows_wait_in_the_journal_while_the_server_is_away_and_arrive_once(own_postgres, caplog, capfd):
    url = own_postgres.url("postgres")
    ledger = JournaledLedger(address(url), partial(start_keeper, url, 35))
    ledger.record([row(), row()])
    until(lambda: moved(url) == 2)
    own_postgres.stop()
    ledger.record([row()])
    with pytest.raises(LedgerUnavailable, match="can't be used"):
        ledger.usage(["function"], *EVER)["function"]
    logged = ""

    def keeper_has_noticed() -> bool:
        nonlocal logged
        logged += capfd.readouterr().err
        return "rows stay in the journal for now" in logged

    until(keeper_has_noticed)
    ledger.record([row()])
    own_postgres.start()
    until(lambda: moved(url) == 4)
    ledger.close()
    assert count(url) == 4
    assert PASSWORD not in logged + caplog.text
    assert QUOTED_PASSWORD not in logged + caplog.text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["stopped", "killed"])
def test_a_connection_that_broke_is_the_ledgers_error_and_a_new_one_works(own_postgres, number):
    place = address(own_postgres.url("postgres"))
    with closing(place.open()) as db:
        own_postgres.stop(number)
        with pytest.raises(LedgerUnavailable), db.transaction("a"):
            db.query("SELECT 1")
        assert not db.is_in_place()
    own_postgres.start()
    with closing(place.open()) as db:
        assert db.is_in_place()
        assert db.query("SELECT 1") == [(1,)]


def test_a_connection_that_breaks_within_a_transaction_leaves_nothing_of_it(postgres):
    place = address(postgres)
    with closing(place.open()) as db, closing(place.open()) as other:
        ((pid,),) = db.query("SELECT pg_backend_pid()")

        def lose_connection_in_a_transaction() -> None:
            with db.transaction("a"):
                db.query("INSERT INTO journals (name, moved_bytes) VALUES ('a', 1)")
                other.query("SELECT pg_terminate_backend(?)", [pid])
                until(lambda: not other.query("SELECT 1 FROM pg_stat_activity WHERE pid = ?", [pid]))
                db.query("SELECT 1")

        with pytest.raises(LedgerUnavailable, match="can't be used"):
            lose_connection_in_a_transaction()
        assert not db.is_in_place()
        assert other.query("SELECT * FROM journals") == []
        with other.transaction("a"):
            assert other.query("SELECT 1") == [(1,)]


def test_the_keepers_command_line_and_environment_hold_no_password(postgres, caplog):
    caplog.set_level(logging.DEBUG)
    keeper = start_keeper(postgres, 35)
    try:
        for what in ("cmdline", "environ"):
            told = Path(f"/proc/{keeper.pid}/{what}").read_bytes().decode()
            assert PASSWORD not in told
            assert QUOTED_PASSWORD not in told
    finally:
        keeper.communicate()
    assert keeper.returncode == 0
    assert QUOTED_PASSWORD not in caplog.text


def test_where_all_tests_are_held_a_missing_server_fails_them():
    with pytest.raises(pytest.fail.Exception, match="no PostgreSQL"):
        missing("no PostgreSQL", {"CI": "true"})
    with pytest.raises(pytest.skip.Exception, match="no PostgreSQL"):
        missing("no PostgreSQL", {})
