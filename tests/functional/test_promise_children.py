"""The promise of children: what a handler calls is a call like any other, is metered to who called, and nobody waits for ever."""

import os
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.problem import check_problem
from tests.conftest import FolderWriter
from tests.functional.ledger import usage, wait_for_rows
from tests.functional.promises import NOTING, Ask, Measured, StartServer, ask_all, noted, queue_length
from tests.server import Reply, Server, until

ERRAND = """
    from typing import Any
    from servelite import Context, function

    @function(max_workers=1, timeout_s={timeout_s})
    def {name}(errands: list[Any], context: Context) -> int:
        '''Run errands of other functions, [["name", its errands], …], and count them.'''
        return 1 + sum(context.call(name, inner) for name, inner in errands)
"""

GATE = (
    NOTING
    + """
    @function(max_workers=1, timeout_s=20)
    def gate(errands: list[int]) -> int:
        '''Wait until the gate is opened, by a file.'''
        note(os.getpid())
        while not (HERE / "open").exists():
            time.sleep(0.005)
        return 1
"""
)

ANSWERS = """
    from concurrent.futures import ThreadPoolExecutor
    from typing import Any
    from servelite import Context, InvalidInput, function

    @function
    def ask(said: list[Any], context: Context) -> Any:
        how, value = said
        if how == "text":
            return context.call("shout", value)
        if how == "bytes":
            return context.call("flip", value.encode()).decode()
        if how == "caught":
            try:
                context.call("shout", 5)
            except InvalidInput as error:
                return [error.detail, error.errors]
        if how == "threads":
            with ThreadPoolExecutor(16) as threads:
                return sum(threads.map(lambda number: context.call("double", number), range(value)))
        return context.call(how, value)
"""


def chain(*names: str) -> list[Any]:
    """Return errands of which each is run for the one before."""
    found: list[Any] = []
    for name in reversed(names):
        found = [[name, found]]
    return found


@pytest.fixture
def write_errands(write_function: FolderWriter):
    """Return a writer of functions that run errands: their folder."""

    def write(*names: str, timeout_s: float = 60) -> Path:
        folders = [write_function(name, ERRAND.format(name=name, timeout_s=timeout_s)) for name in names]
        return folders[0].parent

    return write


def answers(replies: list[Reply]) -> list[Any]:
    assert {reply.status for reply in replies} == {200}, [reply.body for reply in replies if reply.status != 200][:3]
    return [reply.json() for reply in replies]


@pytest.mark.parametrize(
    ("how", "value", "answer"),
    [
        pytest.param("text", "hello", "HELLO!", id="text"),
        pytest.param("bytes", "abc", "cba", id="bytes"),
        pytest.param("threads", 40, 1560, id="numbers, from many threads"),
    ],
)
def test_values_come_back_as_what_they_are(
    write_function: FolderWriter, start_server: StartServer, functions: Path, how: str, value: Any, answer: Any
) -> None:
    server = start_server(write_function("ask", ANSWERS), functions / "shout", functions / "flip", functions / "double")
    reply = server.call("ask", [how, value])
    assert (reply.status, reply.json()) == (200, answer), server.errors()


@pytest.mark.slow
def test_errors_of_a_child_are_raised_in_the_handler_and_reach_the_caller_if_it_does_not_catch_them(
    write_function: FolderWriter, start_server: StartServer, functions: Path
) -> None:
    server = start_server(write_function("ask", ANSWERS), functions / "shout", functions / "misbehave")
    detail, errors = server.call("ask", ["caught", None]).json()
    assert detail.startswith("shout: input: Input should be a valid string")
    assert errors[0]["rule"] == "string_type"
    problem = check_problem(server.call("ask", ["shout", 5]), 422, "invalid_input")
    assert (problem["stage"], problem["errors"][0]["rule"]) == ("shout", "string_type")
    died = check_problem(server.call("ask", ["misbehave", "exit_hard"]), 502, "worker_died")
    assert died["detail"].startswith("misbehave: The worker of misbehave exited with code")
    problem = check_problem(server.call("ask", ["shuot", "x"]), 404, "function_not_found")
    assert "Functions here: ask, misbehave, shout. A handler can call what is served" in problem["detail"]
    secret = check_problem(server.call("ask", ["misbehave", "fail"]), 500, "function_failed")
    assert "hunter2" not in secret["detail"]


@pytest.mark.slow
@pytest.mark.parametrize("names", [["f"], ["f", "g"]], ids=["one that calls itself", "two that call each other"])
def test_handlers_call_each_other_24_deep_and_no_deeper(write_errands, start_server: StartServer, names: list[str]) -> None:
    server = start_server(write_errands("f", "g"))
    deep = [names[number % len(names)] for number in range(1, 26)]
    assert answers([server.call("f", chain(*deep[:24]))]) == [25]
    problem = check_problem(server.call("f", chain(*deep)), 500, "function_failed")
    assert problem["detail"].endswith("handlers may call each other 24 deep, and no deeper. Does one call itself without end?")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("errand", "count", "most"),
    [
        pytest.param(chain("g"), 2, {"f": 1, "g": 1}, id="A calls B"),
        pytest.param(chain("f"), 2, {"f": 2, "g": 1}, id="A calls A"),
        pytest.param(chain("g", "f"), 3, {"f": 2, "g": 1}, id="A calls B, which calls A"),
        pytest.param([*chain("g", "g"), *chain("f", "g", "f")], 6, {"f": 3, "g": 2}, id="a thicket"),
    ],
)
def test_50_calls_at_once_are_all_answered_with_one_worker_each(
    write_errands, start_server: StartServer, measured: Measured, errand: list[Any], count: int, most: dict[str, int]
) -> None:
    server = start_server(write_errands("f", "g"))
    begun_s = time.monotonic()
    assert answers([ask.answer() for ask in ask_all(server, "f", [errand] * 50)]) == [count] * 50
    workers = len(server.workers())
    measured("50 calls at once", f"{time.monotonic() - begun_s:.2f} s, {workers} workers", asked="all answered")
    assert workers == sum(most.values())
    assert server.troubles() == []


@pytest.mark.slow
def test_where_there_is_no_memory_for_one_more_worker_the_child_is_refused_at_once(write_errands, start_server: StartServer) -> None:
    server = start_server(write_errands("f"), "--memory", "100MiB")
    begun_s = time.monotonic()
    problem = check_problem(server.call("f", chain(*["f"] * 20)), 503, "no_worker")
    assert time.monotonic() - begun_s < 25
    assert "f: There is no memory: a worker of f needs" in problem["detail"]
    assert answers([server.call("f", [])]) == [1]


def test_a_child_has_a_row_of_its_own_that_names_its_parent(
    write_errands, write_function: FolderWriter, start_server: StartServer, tmp_path: Path
) -> None:
    folder = write_errands("f", "g")
    nap = "import time\nfrom servelite import function\n\n@function\ndef nap(_: list[int]) -> int:\n    time.sleep(0.3)\n    return 1\n"
    write_function("nap", nap)
    server = start_server(folder)
    reply = server.call("f", [*chain("g", "nap"), *chain("g")])
    assert answers([reply]) == [4]
    rows = wait_for_rows(tmp_path, 4)
    root = rows[reply.headers["X-Request-Id"]]
    assert (root["function"], root["parent"]) == ("f", "")
    children = [row for row in rows.values() if row["parent"] == root["id"]]
    assert [row["function"] for row in children] == ["g", "g"]
    (slept,) = [row for row in rows.values() if row["function"] == "nap"]
    assert slept["parent"] in {row["id"] for row in children}
    assert {(row["account"], row["stage"], row["code"]) for row in rows.values()} == {("local", "", "ok")}
    assert slept["billed_us"] >= 300_000
    assert root["billed_us"] == reply.receipt["billed-us"] < 300_000  # it waited, and pays for what it computed
    assert {used["function"]: used["calls"] for used in usage(tmp_path)["usage"]} == {"f": 1, "g": 2, "nap": 1}


@pytest.mark.slow
def test_a_child_uses_up_its_accounts_quota(write_errands, write_function: FolderWriter, start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "servelite.toml").write_text('[tariff]\nfree_s = 1\n[accounts."*"]\ncredit_micro = 0\n')
    folder = write_errands("f")
    nap = "import time\nfrom servelite import function\n\n@function\ndef nap(_: list[int]) -> int:\n    time.sleep(0.6)\n    return 1\n"
    write_function("nap", nap)
    server = start_server(folder)
    assert answers([server.call("f", chain("nap"))]) == [2]
    problem = check_problem(server.call("f", [*chain("nap"), *chain("nap")]), 402, "quota_exhausted")
    used = re.match(r"nap: Account local has used ([0-9.]+)", problem["detail"])
    assert used
    assert float(used[1]) >= 1.2
    assert server.call("f", []).status == 402


@pytest.fixture
def with_gate(write_errands, write_function: FolderWriter, start_server: StartServer):
    """Return a starter of servers with a gate that others wait for, and its folder."""

    def start(*options: str, timeout_s: float = 20) -> tuple[Server, Path]:
        gate = write_function("gate", GATE)
        return start_server(write_errands("f", timeout_s=timeout_s), *options), gate

    return start


def worker_of(server: Server, function: str) -> int:
    """Return the process id of a function's only worker."""
    (pid,) = server.workers_of(function)
    return pid


@pytest.mark.slow
def test_a_parents_time_runs_on_while_it_waits_and_its_child_is_left(with_gate) -> None:
    server, gate = with_gate(timeout_s=0.5)
    reply = server.call("f", chain("gate"))
    check_problem(reply, 504, "timed_out")
    assert reply.receipt["billed-us"] < 400_000
    assert len(noted(gate)) == 1
    (gate / "open").touch()
    assert answers([server.call("f", chain("gate"))]) == [2]


@pytest.mark.slow
def test_when_a_client_leaves_what_waits_for_it_is_not_run(with_gate, tmp_path: Path) -> None:
    server, gate = with_gate()
    busy = Ask(server, "gate", [])
    until(lambda: noted(gate))
    connection = server.connect()
    connection.request("POST", "/functions/f", b'[["gate", []]]', {"Content-Type": "application/json"})
    until(lambda: queue_length(server, "gate") == 1)
    parent = worker_of(server, "f")
    connection.close()
    until(lambda: queue_length(server, "gate") == 0)
    (gate / "open").touch()
    assert busy.answer().status == 200
    rows = wait_for_rows(tmp_path, 2)
    assert {(row["function"], row["code"]) for row in rows.values()} == {("gate", "ok"), ("f", "cancelled")}
    assert len(noted(gate)) == 1
    assert worker_of(server, "f") == parent  # its handler was told, and ended by itself


@pytest.mark.slow
def test_a_parent_that_is_killed_leaves_its_child_and_is_run_again(with_gate, tmp_path: Path) -> None:
    server, gate = with_gate()
    busy = Ask(server, "gate", [])
    until(lambda: noted(gate))
    parent = Ask(server, "f", chain("gate"))
    until(lambda: queue_length(server, "gate") == 1)
    os.kill(killed := worker_of(server, "f"), signal.SIGKILL)
    until(lambda: killed not in server.workers() and queue_length(server, "gate") == 1)
    (gate / "open").touch()
    assert answers([busy.answer(), parent.answer()]) == [1, 2]
    rows = wait_for_rows(tmp_path, 3)
    assert sorted((row["function"], row["code"]) for row in rows.values()) == [("f", "ok"), ("gate", "ok"), ("gate", "ok")]
    assert len(noted(gate)) == 2


@pytest.mark.slow
def test_a_child_whose_worker_is_killed_is_run_again(with_gate) -> None:
    server, gate = with_gate()
    parent = Ask(server, "f", chain("gate"))
    until(lambda: noted(gate))
    os.kill(worker_of(server, "gate"), signal.SIGKILL)
    until(lambda: len(noted(gate)) == 2)
    (gate / "open").touch()
    assert answers([parent.answer()]) == [2]


@pytest.mark.slow
def test_an_orderly_end_lets_handlers_make_their_calls(write_errands, write_function: FolderWriter, start_server: StartServer) -> None:
    gate = write_function("gate", GATE)
    server = start_server(write_errands("f", "g"))
    parent = Ask(server, "f", [*chain("gate"), *chain("g"), *chain("f", "g")])
    until(lambda: noted(gate))
    server.process.send_signal(signal.SIGTERM)
    until(lambda: server.get("/readyz").status == 503)
    assert server.call("g", []).status == 503
    (gate / "open").touch()
    assert answers([parent.answer()]) == [5]
    assert server.process.wait(timeout=30) == 0
    assert "Traceback" not in server.errors()


@pytest.mark.slow
def test_an_edit_while_a_handler_waits_costs_no_call(with_gate) -> None:
    server, gate = with_gate("--reload")
    parent = Ask(server, "f", [*chain("gate"), *chain("f")])
    until(lambda: noted(gate))
    old = worker_of(server, "f")
    handler = gate.parent / "f" / "handler.py"
    handler.write_text(handler.read_text().replace("return 1 +", "return 10 +"))
    until(lambda: "f is served as it was saved" in server.errors())
    (gate / "open").touch()
    assert answers([parent.answer()]) == [12]  # the one that waited is the old one, which calls the new one
    until(lambda: old not in server.workers())


@pytest.mark.slow
def test_a_repeated_call_makes_its_calls_once(with_gate, tmp_path: Path) -> None:
    server, gate = with_gate()
    (gate / "open").touch()
    key = {"Idempotency-Key": "once", "Content-Type": "application/json"}
    first, again = (server.request("POST", "/functions/f", b'[["gate", []]]', key) for _ in range(2))
    assert answers([first, again]) == [2, 2]
    assert (len(noted(gate)), len(wait_for_rows(tmp_path, 2))) == (1, 2)


FORGING = """
    from servelite import Context, function

    @function
    def forge(parent: str, context: Context) -> str:
        '''Ask in the name of a call that another worker runs.'''
        questions = context.ask.__self__._exchange.__self__
        questions._calls = frozenset({parent})
        return context.ask(parent, "f", [])
"""


@pytest.mark.slow
def test_a_worker_that_asks_in_the_name_of_another_call_is_ended(with_gate, write_function: FolderWriter, tmp_path: Path) -> None:
    write_function("forge", FORGING)
    server, gate = with_gate()
    victim = Ask(server, "f", chain("gate"))
    until(lambda: noted(gate))
    problem = check_problem(server.post("forge", b"0" * 32, "text/plain"), 502, "worker_died")
    assert "asked for a call that it does not run" in problem["detail"]
    (gate / "open").touch()
    assert answers([victim.answer()]) == [2]
    assert server.call("f", []).status == 200


SPLIT = """
    from servelite import function

    @function
    def split(text: str) -> list[str]:
        return text.split()
"""

ROUND = """
    from servelite import Context, each, sequence

    def count(words: list[int]) -> int:
        return sum(words)

    def deeper(word: str, context: Context) -> int:
        '''Call the pipeline that this is a part of, of which no worker waits meanwhile.'''
        return 1 + (context.call("round", word[1:]) if word[1:] else 0)

    pipeline = sequence("split", each(deeper), count)
"""


@pytest.mark.slow
def test_pipelines_call_and_are_called(write_errands, write_function: FolderWriter, start_server: StartServer, tmp_path: Path) -> None:
    write_function("split", SPLIT)
    write_function("round", ROUND)
    write_function("ask", ANSWERS)
    server = start_server(write_errands("f"))
    reply = server.call("ask", ["round", "ab abc"])
    assert answers([reply]) == [5]
    rows = wait_for_rows(tmp_path, 18)
    (asked,) = [row for row in rows.values() if row["parent"] == reply.headers["X-Request-Id"]]
    assert (asked["function"], asked["stage"]) == ("round", "")
    stages = [row for row in rows.values() if row["parent"] == asked["id"]]
    assert sorted(row["stage"] for row in stages) == ["round/count", "round/deeper", "round/deeper", "round/split"]
    assert asked["billed_us"] == sum(row["billed_us"] for row in stages)
    deeper = [row for row in rows.values() if row["parent"] in {row["id"] for row in stages}]
    assert {(row["function"], row["stage"]) for row in deeper} == {("round", "")}
    too_deep = check_problem(server.call("ask", ["round", "a" * 30]), 500, "function_failed")
    assert "handlers may call each other 24 deep" in too_deep["detail"]
