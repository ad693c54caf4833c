"""The promise of pipelines: they are called as functions are, and what their stages took is what they are billed, whatever happens."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import servelite
from tests.conftest import FolderWriter
from tests.functional.ledger import check_rows, read_rows, usage, wait_for_rows
from tests.functional.promises import NOTING, Ask, StartServer, ask_all, leave, noted, request, unready, wait_for_queue
from tests.server import Reply, Server, until

WORDS = '''
    """Splits a text."""
    from servelite import function

    @function
    def words(text: str) -> list[str]:
        return text.split()
'''

COUNT = (
    NOTING
    + """
    from servelite import InvalidInput

    @function(max_batch=64)
    def count(words: list[str]) -> list[int | Exception]:
        note(len(words))
        return [InvalidInput("That is a bad word.") if word == "bad" else len(word) for word in words]
"""
)

WAIT = (
    NOTING
    + """
    @function(timeout_s=20, max_workers=1)
    def wait(text: str) -> str:
        note(text)
        while text.startswith("wait") and not (HERE / "go").exists():
            time.sleep(0.005)
        return text
"""
)

LETTERS = '''
    """How many letters a text has."""
    from servelite import each, sequence

    def total(lengths: list[int]) -> int:
        return sum(lengths)

    pipeline = sequence("words", each("count"), total)
'''

SLOWLY = """
    from servelite import sequence

    pipeline = sequence("wait", "letters")
"""

BOTH = """
    from servelite import parallel, sequence

    pipeline = parallel(late=sequence("wait", "wait"), early="letters")
"""

SUMMED = ("compute_us", "cpu_us", "queue_us", "init_us", "billed_us", "mib_us", "cost_pico")


@pytest.fixture
def folders(write_function: FolderWriter) -> dict[str, Path]:
    sources = {"words": WORDS, "count": COUNT, "wait": WAIT, "letters": LETTERS, "slowly": SLOWLY, "both": BOTH}
    return {name: write_function(name, source) for name, source in sources.items()}


@pytest.fixture
def serve(folders: dict[str, Path], start_server: StartServer) -> Callable[..., Server]:
    """Return a starter of servers: serve("letters", "--option", …)."""
    return lambda *arguments: start_server(*(folders.get(one, one) for one in arguments))


def check_sums(rows: dict[str, dict[str, Any]]) -> None:
    """Hold that stages add up to their pipelines, and that nobody's stages are orphans."""
    for parent in {row["parent"] for row in rows.values()} - {""}:
        stages = [row for row in rows.values() if row["parent"] == parent]
        assert {name: sum(row[name] for row in stages) for name in SUMMED} == {name: rows[parent][name] for name in SUMMED}


def tops(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {key: row for key, row in rows.items() if not row["parent"]}


def stages(rows: dict[str, dict[str, Any]], parent: str) -> dict[str, str]:
    """Return the codes of a pipeline's stages."""
    return {row["stage"]: row["code"] for row in rows.values() if row["parent"] == parent}


def test_a_pipeline_is_called_described_counted_and_billed_as_a_function(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("letters")
    replies = [server.post("letters", b"one two three", "text/plain"), server.call("letters", "four")]
    assert [reply.body for reply in replies] == [b"11", b"4"]
    described = server.get("/functions/letters").json()
    assert (described["takes"], described["gives"]) == (["text/plain", "application/json"], "application/json")
    assert (described["input_schema"], described["output_schema"]) == ({"type": "string"}, {"type": "integer"})
    assert described["pipeline"]["sequence"][1] == {"each": {"call": "count"}, "max_parallel": 64}
    assert {one["name"] for one in server.get("/functions").json()["functions"]} == {"letters", "words", "count"}
    operation = server.get("/openapi.json").json()["paths"]["/functions/letters"]["post"]
    assert operation["responses"]["200"]["content"]["application/json"]["schema"] == {"type": "integer"}
    assert set(operation["requestBody"]["content"]) == {"text/plain", "application/json"}
    metrics = server.get("/metrics").body.decode()
    assert 'servelite_calls_total{code="ok",function="letters"} 2.0' in metrics
    assert unready(server) == {}
    rows = wait_for_rows(tmp_path, 10)
    check_rows(tops(rows), replies)
    check_sums(rows)


def test_the_items_of_a_list_come_in_few_batches_and_keep_their_order(
    serve: Callable[..., Server], write_function: FolderWriter, folders: dict[str, Path]
) -> None:
    folders["lengths"] = write_function("lengths", 'from servelite import each, sequence\n\npipeline = sequence("words", each("count"))')
    server = serve("lengths")
    lines = ["x" * (1 + number % 17) for number in range(40)]
    assert server.call("lengths", " ".join(lines)).json() == [len(line) for line in lines]
    batches = [int(size) for size in noted(folders["count"])]
    assert (sum(batches), len(batches) <= 3) == (40, True)


def test_a_failing_stage_says_where_and_costs_what_was_done(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("slowly")
    reply = server.call("slowly", "good bad word")
    assert reply.status == 422
    problem = reply.json()
    assert (problem["code"], problem["stage"]) == ("invalid_input", "letters/count[1]")
    assert problem["detail"] == "letters/count[1]: That is a bad word."
    assert problem["request_id"] == reply.headers["X-Request-Id"]
    rows = wait_for_rows(tmp_path, 7)
    (letters,) = (row for row in rows.values() if row["function"] == "letters")
    refused = [row for row in rows.values() if row["code"] == "invalid_input" and row["function"] == "count"]
    assert [row["billed_us"] for row in refused] == [0]
    assert "letters/total" not in stages(rows, letters["id"])
    assert reply.receipt["billed-us"] == rows[problem["request_id"]]["billed_us"] > 0
    check_rows(tops(rows), [reply])
    check_sums(rows)


def test_the_month_is_the_sum_of_the_calls_and_stages_are_summed_beside_it(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("slowly")
    replies = [server.call("slowly", "one two") for _ in range(3)] + [server.call("letters", "bad"), server.call("count", "x")]
    rows = wait_for_rows(tmp_path, 25)
    billed = sum(int(reply.receipt["billed-us"]) for reply in replies)
    by_function = {one["function"]: one for one in usage(tmp_path)["usage"]}
    assert {name: one["calls"] for name, one in by_function.items()} == {"slowly": 3, "letters": 1, "count": 1}
    assert sum(one["billed_us"] for one in by_function.values()) == billed
    (account,) = usage(tmp_path, "--by", "account")["usage"]
    assert (account["calls"], account["billed_us"]) == (5, billed)
    by_stage = {one["stage"]: one for one in usage(tmp_path, "--by", "stage")["usage"]}
    assert {name: one["calls"] for name, one in by_stage.items()} == {
        "slowly/wait": 3,
        "slowly/letters": 3,
        "letters/words": 4,
        "letters/count": 7,
        "letters/total": 3,
    }
    table = servelite("usage", "--by", "stage", cwd=tmp_path).stdout
    assert "slowly/letters" in table
    assert "\ntotal " not in table  # it would count the stages of letters twice
    within = sum(one["billed_us"] for name, one in by_stage.items() if name.startswith("slowly/"))
    assert within == by_function["slowly"]["billed_us"]
    check_rows(tops(rows), replies)
    check_sums(rows)


@pytest.mark.parametrize("how", ["RST", pytest.param("FIN", marks=pytest.mark.slow)])
def test_a_client_that_leaves_costs_what_was_done_and_no_more(
    serve: Callable[..., Server], folders: dict[str, Path], tmp_path: Path, how: str
) -> None:
    server = serve("slowly")
    connection = server.socket()
    connection.sendall(request("slowly", "wait"))
    until(lambda: noted(folders["wait"]) == ["wait"])
    leave(connection, how)
    rows = wait_for_rows(tmp_path, 2)
    (row,) = tops(rows).values()
    assert (row["function"], row["code"], row["status"]) == ("slowly", "cancelled", 499)
    assert stages(rows, row["id"]) == {"slowly/wait": "cancelled"}
    check_sums(rows)
    assert server.call("slowly", "one").body == b"3"
    assert noted(folders["count"]) == ["1"]


@pytest.mark.slow
def test_a_failing_branch_is_told_at_once_and_the_other_is_stopped(
    serve: Callable[..., Server], folders: dict[str, Path], tmp_path: Path
) -> None:
    server = serve("both")
    begun_s = time.monotonic()
    reply = server.call("both", "wait for a bad word")
    assert (reply.status, reply.json()["stage"]) == (422, "early.letters/count[3]")
    assert time.monotonic() - begun_s < 15
    rows = read_rows(tmp_path) if reply.headers["X-Request-Id"] in read_rows(tmp_path) else wait_for_rows(tmp_path, 8)
    assert stages(rows, reply.headers["X-Request-Id"]) == {"both/late.wait": "cancelled", "both/early.letters": "invalid_input"}
    check_sums(rows)
    assert server.call("both", "good").json() == {"late": "good", "early": 4}
    check_sums(wait_for_rows(tmp_path, 8 + 7))
    assert noted(folders["wait"]) == ["wait for a bad word", "good", "good"]


@pytest.mark.slow
def test_a_killed_worker_of_a_stage_costs_no_call(serve: Callable[..., Server], folders: dict[str, Path], tmp_path: Path) -> None:
    server = serve("slowly")
    asks = ask_all(server, "slowly", [f"wait {number}" for number in range(8)])
    until(lambda: len(noted(folders["wait"])) == 1)
    wait_for_queue(server, "wait", 7)
    (busy,) = server.workers_of("wait")
    os.kill(busy, signal.SIGKILL)
    until(lambda: len(noted(folders["wait"])) == 2)
    (folders["wait"] / "go").touch()
    replies = [ask.answer() for ask in asks]
    assert [reply.body for reply in replies] == [b"5"] * 8
    rows = wait_for_rows(tmp_path, 8 * 7)
    check_rows(tops(rows), replies)
    check_sums(rows)


@pytest.mark.slow
def test_an_orderly_end_waits_for_pipelines_and_a_new_server_goes_on(
    serve: Callable[..., Server], folders: dict[str, Path], tmp_path: Path
) -> None:
    server = serve("slowly")
    asks = ask_all(server, "slowly", ["wait", "wait", "wait"])
    wait_for_queue(server, "wait", 2)
    server.process.send_signal(signal.SIGTERM)
    until(lambda: unready(server))
    assert server.call("slowly", "late").json()["code"] == "shutting_down"
    (folders["wait"] / "go").touch()
    replies = [ask.answer() for ask in asks]
    assert [reply.body for reply in replies] == [b"4"] * 3
    assert server.process.wait(timeout=30) == 0
    again = serve("slowly")
    replies.append(again.call("slowly", "one more"))
    rows = wait_for_rows(tmp_path, 3 * 6 + 7)
    check_rows(tops(rows), replies)
    check_sums(rows)


@pytest.mark.slow
def test_a_killed_gateway_loses_no_answered_call(serve: Callable[..., Server], folders: dict[str, Path], tmp_path: Path) -> None:
    server = serve("slowly")
    replies = [server.call("slowly", "one two three") for _ in range(5)]
    hanging = Ask(server, "slowly", "wait")
    until(lambda: "wait" in noted(folders["wait"]))
    server.kill()
    hanging.join(30)
    again = serve("slowly")
    replies.append(again.call("slowly", "four"))
    rows = wait_for_rows(tmp_path, 5 * 8 + 6)
    check_rows(tops(rows), replies)
    check_sums({key: row for key, row in rows.items() if not row["parent"] or row["parent"] in rows})


@pytest.mark.slow
def test_edits_of_stages_and_pipelines_are_served_if_they_fit(
    serve: Callable[..., Server], folders: dict[str, Path], write_function: FolderWriter
) -> None:
    server = serve("letters", "--reload")
    assert server.call("letters", "one two").body == b"6"
    words = folders["words"] / "handler.py"
    source = words.read_text()
    words.write_text(source.replace("list[str]", "list[int]").replace("text.split()", "[len(text)]"))
    misfit = "The pipeline letters can't be served: an item of words does not fit count: an integer is given, a string is taken."
    until(lambda: misfit in unready(server).get("letters", ""))
    refused = server.call("letters", "one two")
    assert (refused.status, refused.json()["code"], refused.json()["detail"]) == (503, "no_worker", misfit)
    words.write_text(source)
    until(lambda: server.call("letters", "one two").body == b"6")
    write_function("shout", "from servelite import function\n\n@function\ndef shout(text: str) -> str:\n    return text.upper()")
    (folders["letters"] / "handler.py").write_text('from servelite import sequence\n\npipeline = sequence("shout")\n')
    until(lambda: server.call("letters", "one").body == b"ONE")
    until(lambda: unready(server) == {})
    shout = folders["letters"].parent / "shout" / "handler.py"
    shout.write_text(shout.read_text().replace("upper", "lower"))
    until(lambda: server.call("letters", "ONE").body == b"one")


@pytest.mark.slow
def test_a_deadline_runs_through_the_stages_of_a_pipeline(serve: Callable[..., Server], folders: dict[str, Path], tmp_path: Path) -> None:
    server = serve("slowly")
    hold = Ask(server, "wait", "wait")
    until(lambda: noted(folders["wait"]) == ["wait"])
    begun_s = time.monotonic()
    late = server.request(
        "POST", "/functions/slowly", json.dumps("x").encode(), {"X-Deadline-Ms": "300", "Content-Type": "application/json"}
    )
    assert (late.status, late.json()["code"], int(late.headers["Retry-After"]) >= 1) == (429, "overloaded", True)
    assert time.monotonic() - begun_s < 15
    (folders["wait"] / "go").touch()
    assert hold.answer().status == 200
    assert set(wait_for_rows(tmp_path, 1)) == {hold.answer().headers["X-Request-Id"]}


@pytest.mark.slow
def test_what_was_done_before_the_deadline_is_billed_and_nothing_is_begun_after_it(
    serve: Callable[..., Server], folders: dict[str, Path], tmp_path: Path
) -> None:
    server = serve("slowly")
    begun_s = time.monotonic()
    ask = Ask(server, "slowly", "wait", {"X-Deadline-Ms": "300"})
    until(lambda: noted(folders["wait"]) == ["wait"] and time.monotonic() > begun_s + 0.5)
    (folders["wait"] / "go").touch()
    reply = ask.answer()
    assert (reply.status, reply.json()["stage"], reply.headers["Retry-After"]) == (429, "letters", "1")
    rows = wait_for_rows(tmp_path, 2)
    assert stages(rows, reply.headers["X-Request-Id"]) == {"slowly/wait": "ok"}
    assert reply.receipt["billed-us"] > 0
    check_rows(tops(rows), [reply])
    check_sums(rows)
    assert noted(folders["count"]) == []


@pytest.mark.slow
def test_many_clients_of_several_pipelines_each_get_their_own_answer(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve("slowly", "letters")
    values = [" ".join("x" * (1 + (number + place) % 9) for place in range(number % 7)) for number in range(60)]
    asks = [(value, Ask(server, name, value)) for value in values for name in ("slowly", "letters")]
    replies: list[Reply] = []
    for value, ask in asks:
        replies.append(ask.answer())
        assert replies[-1].body == str(sum(map(len, value.split()))).encode()
    rows = wait_for_rows(tmp_path, len(replies))
    until(lambda: len(tops(read_rows(tmp_path))) == len(replies))
    rows = read_rows(tmp_path)
    check_rows(tops(rows), replies)
    check_sums(rows)
    assert server.troubles() == []
