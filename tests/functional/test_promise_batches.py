"""The promise of batches: calls that wait together run together, and what is wrong with one of them stays with it."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import pytest

from tests.conftest import FolderWriter
from tests.functional.ledger import check_rows, wait_for_rows
from tests.functional.promises import NOTING, Ask, Measured, StartServer, ask_all, noted, wait_for_queue
from tests.server import Reply, Server, until

pytestmark = pytest.mark.slow

MANY = 16

PICKY = """
    import sys
    from servelite import InvalidInput, ServeliteError

    @function(timeout_s=20, max_workers=1, max_batch=16)
    def pick(words: list[str]) -> list[list[str] | ServeliteError]:
        note(" ".join(words))
        while "hold" in words and not (HERE / "go").exists():
            time.sleep(0.005)
        if "raise" in words:
            raise RuntimeError("poisoned")
        if "exit" in words:
            sys.exit(1)
        if "short" in words:
            return [[word] for word in words[1:]]
        if "none" in words:
            return None
        if "twice" in words:
            return [[word] for word in words * 2]
        odd = {"refuse": InvalidInput("not this one"), "fail": ServeliteError("the dictionary is away"), "number": 7, "bytes": b"x"}
        return [odd.get(word, [word]) for word in words]
"""


WEIGH = """
    from servelite import InvalidInput

    SECONDS = {"heavy": 1.0, "hold": 0.0}

    @function(timeout_s=20, max_workers=1, max_batch=64)
    def weigh(words: list[str]) -> list[list[str]]:
        note(" ".join(words))
        while "hold" in words and not (HERE / "go").exists():
            time.sleep(0.005)
        time.sleep(sum(SECONDS.get(word, 0.002) for word in words))
        if "bad" in words:
            raise InvalidInput("a bad word")
        return [[word] for word in words]
"""


def answer_together(server: Server, folder: Path, words: Sequence[object]) -> list[Reply]:
    """Have calls wait together behind one that runs, and return what each was answered."""
    hold = Ask(server, folder.name, "hold")
    until(lambda: noted(folder)[-1:] == ["hold"])
    asks = ask_all(server, folder.name, words)
    wait_for_queue(server, folder.name, len(words))
    (folder / "go").touch()
    assert hold.answer().json() == ["hold"]
    return [ask.answer() for ask in asks]


def sizes(folder: Path) -> list[int]:
    """Return how many calls each run had, the holding one left out."""
    return [len(run.split()) for run in noted(folder)[1:]]


@pytest.mark.parametrize(
    ("bad", "status", "code"),
    [
        ("raise", 500, "function_failed"),
        pytest.param("exit", 500, "function_failed"),
        pytest.param("short", 500, "function_failed"),
        pytest.param("none", 500, "function_failed"),
        pytest.param("twice", 500, "function_failed"),
    ],
)
def test_a_batch_that_fails_is_halved_until_the_call_at_fault_is_alone(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, tmp_path: Path, bad: str, status: int, code: str
) -> None:
    folder = write_function("pick", NOTING + PICKY)
    server = start_server(folder)
    replies = answer_together(server, folder, [f"word-{number}" if number != 5 else bad for number in range(MANY)])
    told = [reply.json() for reply in replies]
    assert (replies[5].status, told[5]["code"]) == (status, code)
    assert [reply.status for reply in replies] == [200] * 5 + [status] + [200] * 10
    assert told[:5] + told[6:] == [[f"word-{number}"] for number in range(MANY) if number != 5]
    measured("runs of a batch of 16 with one bad call", str(len(sizes(folder))), asked="halving: 9")
    assert sorted(sizes(folder)) == [1, 1, 2, 2, 4, 4, 8, 8, 16]
    assert replies[5].receipt["compute-us"] > median(reply.receipt["compute-us"] for reply in replies)  # it has five runs to pay
    assert {reply.receipt["batch"] for reply in replies} == {MANY}
    assert len(wait_for_rows(tmp_path, MANY + 1)) == MANY + 1


def test_an_exception_that_is_returned_for_one_call_fails_it_alone(
    write_function: FolderWriter, start_server: StartServer, tmp_path: Path
) -> None:
    folder = write_function("pick", NOTING + PICKY)
    server = start_server(folder)
    words = ["a", "refuse", "b", "fail", "c", "number", "d", "bytes"]
    replies = answer_together(server, folder, words)
    assert [(reply.status, reply.json()[0] if reply.status == 200 else reply.json()["code"]) for reply in replies] == [
        (200, "a"),
        (422, "invalid_input"),
        (200, "b"),
        (500, "function_failed"),
        (200, "c"),
        (500, "function_failed"),
        (200, "d"),
        (500, "function_failed"),
    ]
    assert sizes(folder) == [8]
    assert replies[1].receipt["billed-us"] == 0 < replies[0].receipt["billed-us"]
    assert "the dictionary is away" in replies[3].json()["detail"]
    rows = wait_for_rows(tmp_path, 9)
    assert Counter(row["code"] for row in rows.values()) == {"ok": 5, "invalid_input": 1, "function_failed": 3}


def test_more_calls_than_a_batch_holds_go_in_several(write_function: FolderWriter, start_server: StartServer, tmp_path: Path) -> None:
    folder = write_function("pick", NOTING + PICKY)
    server = start_server(folder)
    words = [f"word-{number}" for number in range(2 * MANY + 5)]
    replies = answer_together(server, folder, words)
    assert [reply.json() for reply in replies] == [[word] for word in words]
    assert sizes(folder) == [MANY, MANY, 5]
    assert sorted(word for run in noted(folder)[1:] for word in run.split()) == sorted(words)
    assert Counter(reply.receipt["batch"] for reply in replies) == {MANY: 2 * MANY, 5: 5}
    check_rows({key: row for key, row in wait_for_rows(tmp_path, len(words) + 1).items() if row["batch"] > 1}, replies)


def test_invalid_inputs_do_not_make_a_heavy_call_cheap(write_function: FolderWriter, start_server: StartServer, measured: Measured) -> None:
    folder = write_function("weigh", NOTING + WEIGH)
    *invalid, heavy = answer_together(start_server(folder), folder, [*range(63), "heavy"])
    assert [reply.status for reply in (*invalid, heavy)] == [422] * 63 + [200]
    assert {reply.receipt["batch"] for reply in (*invalid, heavy)} == {64}
    measured("billed for a call of 1 s beside 63 invalid ones", f"{heavy.receipt['billed-us']:,} µs", asked="1,000,000 µs")
    assert heavy.receipt["billed-us"] >= 1_000_000
    assert sum(reply.receipt["compute-us"] for reply in invalid) < heavy.receipt["billed-us"]
    assert sum(reply.receipt["billed-us"] for reply in invalid) == 0


def test_nobody_pays_for_runs_that_others_made_fail(write_function: FolderWriter, start_server: StartServer, measured: Measured) -> None:
    folder = write_function("weigh", NOTING + WEIGH)
    words = ["bad" if number % 8 == 3 else f"word-{number}" for number in range(64)]
    replies = answer_together(start_server(folder), folder, words)
    assert [reply.status for reply in replies] == [422 if word == "bad" else 200 for word in words]
    assert {reply.receipt["batch"] for reply in replies} == {64}
    billed_us = sum(reply.receipt["billed-us"] for reply in replies)
    bad_us = sum(reply.receipt["compute-us"] for reply in replies if reply.status == 422)
    measured("billed for 56 calls of 2 ms beside 8 that raise", f"{billed_us:,} µs", asked="112,000 µs")
    assert 112_000 <= billed_us < 3 * 112_000
    assert bad_us > 2 * 112_000  # some six runs of every word
