"""The promise of Idempotency-Key: whatever dies in between, a call is charged once, and who asks again gets its answer."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import FolderWriter
from tests.functional.ledger import read_rows, usage, wait_for_rows
from tests.functional.promises import NOTING, Ask, StartServer, ask_all, leave, noted, request
from tests.server import Reply, Server, until

KEY = {"Idempotency-Key": "8e03978e-40d5-43dd-bc93-6894a57f9324"}

SLOW = (
    NOTING
    + """
    @function(timeout_s=20)
    def slow(number: int) -> int:
        note(number)
        while number < 0 and not (HERE / "go").exists():
            time.sleep(0.005)
        return number
"""
)


def ask(server: Server, function: str, value: Any, key: str | None = None) -> Reply:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key or KEY["Idempotency-Key"]}
    return server.request("POST", f"/functions/{function}", json.dumps(value).encode(), headers)


def same(first: Reply, again: Reply) -> bool:
    """Tell whether an answer is the first one again."""
    names = ("X-Request-Id", "Servelite-Receipt", "Content-Type")
    assert [again.headers[name] for name in names] == [first.headers[name] for name in names]
    return (first.status, first.body, again.headers["Idempotent-Replayed"]) == (again.status, again.body, "true")


def test_a_repeated_call_gets_the_first_answer_and_is_charged_once(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    server = start_server(functions / "double", functions / "misbehave")
    first = ask(server, "double", 21)
    assert "Idempotent-Replayed" not in first.headers
    failed = ask(server, "misbehave", "fail", "another")
    for _ in range(3):
        assert same(first, ask(server, "double", 21))
        assert same(failed, ask(server, "misbehave", "fail", "another"))
    reused = ask(server, "double", 22)
    assert (reused.status, reused.json()["code"]) == (422, "idempotency_key_reused")
    assert len(wait_for_rows(tmp_path, 2)) == 2
    assert {group["function"]: group["calls"] for group in usage(tmp_path)["usage"]} == {"double": 1, "misbehave": 1}


@pytest.mark.parametrize("key", ["", '""', "two words", "x" * 256], ids=["empty", "empty in quotes", "spaces", "256 characters"])
def test_a_key_that_is_none_is_refused(functions: Path, start_server: StartServer, key: str) -> None:
    server = start_server(functions / "double")
    reply = server.request("POST", "/functions/double", b"1", {"Idempotency-Key": key})
    assert (reply.status, reply.json()["code"]) == (400, "bad_request")


def test_a_key_in_quotes_is_the_same_key(functions: Path, start_server: StartServer) -> None:
    server = start_server(functions / "double")
    assert same(ask(server, "double", 21, "k1"), ask(server, "double", 21, '"k1"'))


def test_of_many_at_once_one_runs(write_function: FolderWriter, start_server: StartServer, tmp_path: Path) -> None:
    folder = write_function("slow", SLOW)
    server = start_server(folder)
    first = Ask(server, "slow", -1, KEY)
    until(lambda: noted(folder))
    others = ask_all(server, "slow", [-1] * 20, KEY)
    told = [one.answer() for one in others]
    assert {(reply.status, reply.json()["code"], reply.headers["Retry-After"]) for reply in told} == {(409, "idempotency_key_in_use", "1")}
    (folder / "go").touch()
    assert same(first.answer(), ask(server, "slow", -1))
    assert noted(folder) == ["-1"]
    assert len(wait_for_rows(tmp_path, 1)) == 1


@pytest.mark.parametrize("how", ["RST", "FIN"])
def test_a_client_that_left_finds_its_answer_later(write_function: FolderWriter, start_server: StartServer, how: str) -> None:
    folder = write_function("slow", SLOW)
    server = start_server(folder)
    connection = server.socket()
    connection.sendall(request("slow", -1, f"Idempotency-Key: {KEY['Idempotency-Key']}"))
    until(lambda: noted(folder))
    leave(connection, how)
    (folder / "go").touch()
    again = until(lambda: (reply := ask(server, "slow", -1)).status == 200 and reply)
    assert (again.json(), again.headers["Idempotent-Replayed"]) == (-1, "true")
    assert noted(folder) == ["-1"]


def test_a_killed_servers_answers_are_given_by_the_next(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    for number in range(3):
        server = start_server(functions / "double")
        first = ask(server, "double", number, f"key-{number}")
        server.process.kill()
        server.process.wait()
        assert same(first, ask(start_server(functions / "double"), "double", number, f"key-{number}"))
    assert [group["calls"] for group in usage(tmp_path)["usage"]] == [3]


@pytest.mark.slow
def test_calls_that_are_repeated_until_they_are_answered_are_charged_once_whatever_dies(
    write_function: FolderWriter, start_server: StartServer, tmp_path: Path
) -> None:
    folder = write_function("slow", SLOW)
    servers = [start_server(folder)]
    answers: dict[int, Reply] = {}
    numbers = iter(range(400))

    def call() -> None:
        for number in numbers:
            while number not in answers:
                try:
                    reply = ask(servers[-1], "slow", number, f"key-{number}")
                except OSError:
                    continue
                if reply.status == 200:
                    answers[number] = reply

    clients = [threading.Thread(target=call) for _ in range(8)]
    for client in clients:
        client.start()
    for goal in (50, 150, 250, 350):
        until(lambda goal=goal: len(answers) >= goal)
        servers[-1].process.kill()
        servers[-1].process.wait()
        servers.append(start_server(folder))
    for client in clients:
        client.join()
    assert servers[-1].stop() == 0
    rows = read_rows(tmp_path)
    assert {reply.headers["X-Request-Id"] for reply in answers.values()} == rows.keys()
    assert len(rows) == len(answers) == 400
    assert {reply.json() for reply in answers.values()} == set(range(400))


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_two_servers_on_one_ledger_run_a_repeated_call_once(
    write_function: FolderWriter, start_server: StartServer, request: pytest.FixtureRequest, kind: str
) -> None:
    ledger = request.getfixturevalue("postgres") if kind == "postgres" else "book.db"
    folder = write_function("slow", SLOW)
    one, two = (start_server(folder, "--ledger", ledger) for _ in range(2))
    first = Ask(one, "slow", -1, KEY)
    until(lambda: noted(folder))
    waits = ask(two, "slow", -1)
    assert (waits.status, waits.json()["code"]) == (409, "idempotency_key_in_use")
    assert ask(two, "slow", -2).json()["code"] == "idempotency_key_reused"
    (folder / "go").touch()
    answer = first.answer()
    assert same(answer, until(lambda: (reply := ask(two, "slow", -1)).status == 200 and reply))
    assert same(answer, ask(one, "slow", -1))
    assert noted(folder) == ["-1"]
