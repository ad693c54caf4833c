"""Every answered call has one row in the ledger, and the rows, the receipts and the sums agree."""

import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.functional.ledger import check_rows, read_rows, usage, wait_for_rows
from tests.server import Reply, Server

StartServer = Callable[..., Server]


def mixed_calls(server: Server) -> list[Reply]:
    """Make calls that end in every way."""
    replies = [server.call("double", number) for number in range(20)]
    replies += [server.call("double", "x"), server.post("double", b"{"), server.call("shout", "a")]
    return replies + [server.call("misbehave", deed) for deed in ("behave", "fail", "refuse", "exit_hard", "loop", "behave")]


def test_receipts_rows_and_usage_agree_while_the_server_runs(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(functions / "double", functions / "shout", functions / "misbehave")
    begun_us = time.time_ns() // 1000
    replies = mixed_calls(server)
    said = usage(tmp_path)
    rows = wait_for_rows(tmp_path, len(replies))
    check_rows(rows, replies)
    assert all(begun_us <= row["at_us"] <= time.time_ns() // 1000 for row in rows.values())
    assert {group["function"]: (group["calls"], group["failed"]) for group in said["usage"]} == {
        "double": (22, 2),
        "shout": (1, 0),
        "misbehave": (6, 4),
    }
    for name in ("compute_us", "cpu_us", "billed_us"):
        total = sum(reply.receipt[name.replace("_", "-")] for reply in replies)
        assert sum(group[name] for group in said["usage"]) == sum(row[name] for row in rows.values()) == total
    assert [account["billed_us"] for account in said["accounts"]] == [sum(reply.receipt["billed-us"] for reply in replies)]


def test_a_row_says_how_many_bytes_went_in_and_out(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(functions / "shout")
    server.post("shout", b"abc", "text/plain")
    (row,) = wait_for_rows(tmp_path, 1).values()
    assert (row["function"], row["account"], row["bytes_in"], row["bytes_out"]) == ("shout", "local", 3, 4)
    assert row["peak_kib"] > 1000


def test_usage_is_up_to_date_at_once(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(functions / "double")
    for count in range(1, 4):
        server.call("double", count)
        assert [group["calls"] for group in usage(tmp_path)["usage"]] == [count]


def test_what_reached_no_worker_is_not_metered(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(functions / "double", "--max-body", "10B")
    refused = [
        server.call("nothing", 1),
        server.post("double", b"1", "text/plain"),
        server.post("double", b"1" * 11),
        server.get("/nothing"),
    ]
    assert [reply.status for reply in refused] == [404, 415, 413, 404]
    answered = server.call("double", 1)
    check_rows(wait_for_rows(tmp_path, 1), [answered])
    assert server.stop() == 0
    check_rows(read_rows(tmp_path), [answered])


@pytest.mark.parametrize("calls", [1, 2, 30])
def test_a_server_killed_right_after_an_answer_loses_no_row(functions: Path, start_server: StartServer, tmp_path: Path, calls: int) -> None:
    server = start_server(functions / "double")
    replies = [server.call("double", number) for number in range(calls)]
    server.process.kill()
    assert [group["calls"] for group in usage(tmp_path)["usage"]] == [calls]
    check_rows(read_rows(tmp_path), replies)


def test_the_next_server_takes_over_what_a_killed_one_left(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    replies = []
    for _ in range(3):
        server = start_server(functions / "double")
        replies.append(server.call("double", 1))
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    last = start_server(functions / "double")
    check_rows(read_rows(tmp_path), replies)
    replies.append(last.call("double", 1))
    assert last.stop() == 0
    check_rows(read_rows(tmp_path), replies)


def test_two_servers_in_turn_write_one_ledger(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    replies = []
    for _ in range(2):
        server = start_server(functions / "double")
        replies += [server.call("double", number) for number in range(5)]
        assert server.stop() == 0
        check_rows(read_rows(tmp_path), replies)
    assert [group["calls"] for group in usage(tmp_path)["usage"]] == [10]
    assert not list((tmp_path / ".servelite" / "ledger.db.journal").iterdir())


def test_two_servers_at_the_same_time_write_one_ledger(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    first, second = start_server(functions / "double"), start_server(functions / "shout")
    replies = [reply for number in range(20) for reply in (first.call("double", number), second.call("shout", str(number)))]
    assert {group["function"]: group["calls"] for group in usage(tmp_path)["usage"]} == {"double": 20, "shout": 20}
    check_rows(wait_for_rows(tmp_path, 40), replies)


@pytest.mark.parametrize("name", ["elsewhere/book.db", "sqlite:///elsewhere/book.db"])
def test_a_ledger_may_be_named(functions: Path, start_server: StartServer, tmp_path: Path, name: str) -> None:
    server = start_server(functions / "double", "--ledger", name)
    server.call("double", 1)
    assert [group["calls"] for group in usage(tmp_path, "--ledger", "elsewhere/book.db")["usage"]] == [1]
    assert not (tmp_path / ".servelite").exists()


def test_a_server_without_a_ledger_writes_nothing(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(functions / "double", "--ledger", "none")
    assert server.call("double", 1).receipt["billed-us"] > 0
    assert server.stop() == 0
    assert not list(tmp_path.rglob("*.db*"))
