"""`servelite call`: one call, here or to a server; the output on stdout, all else on stderr."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.command import servelite, servelite_here
from tests.cli.conftest import FUNCTIONS
from tests.conftest import FolderWriter
from tests.functional.ledger import usage
from tests.server import RECEIPT_KEYS, Server, parse_dictionary

ANYWHERE = pytest.mark.parametrize("remote", [False, True], ids=["here", "at a server"])


def arguments(function: str, server: Server, *, remote: bool) -> list[str]:
    """Return what calls a function, in the command's own process or at a server."""
    return ["call", function, "--url", server.url] if remote else ["call", str(FUNCTIONS / function)]


@pytest.mark.parametrize(
    ("function", "said", "stdin", "output", "remote"),
    [
        ("double", "21", b"", "42\n", False),
        ("double", "21", b"", "42\n", True),
        ("double", "@number.json", b"", "10\n", False),
        ("shout", "hey", b"", "HEY!\n", False),
        ("shout", "-", "grüße".encode(), "GRÜSSE!\n", False),
        ("shout", "-", "grüße".encode(), "GRÜSSE!\n", True),
        ("shout", "@text.txt", b"", "FROM A FILE\n!\n", True),
        ("flip", "@bytes.bin", b"", "cba", True),
        ("flip", "@picture.png", b"", "gnp", False),
    ],
    ids=str,
)
def test_the_output_is_on_stdout_and_the_receipt_on_stderr(
    tmp_path: Path, server: Server, function: str, said: str, stdin: bytes, output: str, remote: bool
) -> None:
    for name, content in {"number.json": "5", "text.txt": "from a file\n", "bytes.bin": "abc", "picture.png": "png"}.items():
        (tmp_path / name).write_text(content)
    run = servelite_here if remote else servelite
    done = run(*arguments(function, server, remote=remote), said, cwd=tmp_path, stdin=stdin)
    assert (done.returncode, done.stdout) == (0, output)
    assert done.stderr.startswith("receipt: ")
    assert parse_dictionary(done.stderr.removeprefix("receipt: ").rstrip()).keys() == RECEIPT_KEYS


@ANYWHERE
@pytest.mark.parametrize(("function", "output"), [("double", "42\n"), ("shout", "HELLO!\n"), ("flip", "\x02\x01\0")])
def test_without_an_input_the_first_example_is_sent(tmp_path: Path, server: Server, function: str, output: str, *, remote: bool) -> None:
    done = (servelite_here if remote else servelite)(*arguments(function, server, remote=remote), cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, output)
    assert done.stderr.startswith("input: ")


@ANYWHERE
@pytest.mark.parametrize(
    ("function", "said", "expected"),
    [
        ("double", '"x"', "valid integer"),
        ("double", "{", "not strict JSON"),
        ("double", "", "not strict JSON"),
        ("misbehave", "refuse", "This word is not in the dictionary."),
        ("misbehave", "told", "The dictionary is being updated. Try again in a minute."),
    ],
    ids=str,
)
def test_a_call_that_fails_exits_with_1(tmp_path: Path, server: Server, function: str, said: str, expected: str, *, remote: bool) -> None:
    done = (servelite_here if remote else servelite)(*arguments(function, server, remote=remote), said, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    receipt, error = done.stderr.splitlines()
    assert receipt.startswith("receipt: ")
    assert error.startswith("servelite: ")
    assert expected in error


def test_a_handler_s_exception_is_a_sentence(tmp_path: Path) -> None:
    done = servelite("call", FUNCTIONS / "misbehave", "fail", cwd=tmp_path)
    assert done.returncode == 1
    assert "misbehave failed" in done.stderr
    assert "Traceback" not in done.stderr


def test_debug_shows_the_traceback_of_a_handler_s_exception(tmp_path: Path) -> None:
    done = servelite("--debug", "call", FUNCTIONS / "misbehave", "fail", cwd=tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "in fail" in done.stderr
    assert "hunter2" in done.stderr


def test_a_server_s_handler_s_exception_is_a_sentence(tmp_path: Path, server: Server) -> None:
    done = servelite_here("call", "misbehave", "fail", "--url", server.url, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "hunter2" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("said", "code", "expected"),
    [
        (["nowhere"], 2, "There is no folder nowhere. Make a function there with: servelite new nowhere"),
        (["."], 2, "has no handler.py"),
        ([FUNCTIONS / "double", "@nothing.json"], 2, "nothing.json can't be read"),
        ([FUNCTIONS / "mean"], 2, "has no examples.jsonl"),
        ([FUNCTIONS / "double", "1", "--ledger", "s3://bucket"], 2, "No ledger of the kind 's3'"),
        ([FUNCTIONS / "double", "1", "2"], 2, "unexpected extra argument"),
        ([], 2, "Missing argument 'PATH'"),
        (["double", "1", "--url", "http://127.0.0.1:1"], 1, "Is the server running? Start one with: servelite run PATH"),
    ],
    ids=["no folder", "an empty folder", "no file", "no example", "no such ledger", "too much", "too little", "no server"],
)
def test_wrong_usage_is_told_with_the_cure(tmp_path: Path, said: list[str | Path], code: int, expected: str) -> None:
    done = (servelite if FUNCTIONS / "mean" in said else servelite_here)("call", *said, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (code, "")
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_of_functions_is_too_many_to_call(tmp_path: Path) -> None:
    done = servelite("call", FUNCTIONS, "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_an_unknown_function_at_a_server_is_told_with_those_that_exist(tmp_path: Path, server: Server) -> None:
    done = servelite_here("call", "doubel", "1", "--url", server.url, cwd=tmp_path)
    assert done.returncode == 1
    assert "No function named 'doubel'. Functions here: double" in done.stderr


def test_a_function_at_a_server_may_be_named_by_its_folder(tmp_path: Path, server: Server) -> None:
    assert servelite_here("call", FUNCTIONS / "double", "1", "--url", f"{server.url}/", cwd=tmp_path).stdout == "2\n"


def test_a_call_here_has_a_row_in_the_ledger(tmp_path: Path) -> None:
    done = servelite("call", FUNCTIONS / "double", "1", cwd=tmp_path)
    receipt = parse_dictionary(done.stderr.removeprefix("receipt: ").rstrip())
    (group,) = json.loads(servelite("usage", "--json", cwd=tmp_path).stdout)["usage"]
    assert (group["calls"], group["compute_us"], group["billed_us"]) == (1, receipt["compute-us"], receipt["billed-us"])


def test_calls_here_have_one_sum_a_day_however_many_processes_made_them(tmp_path: Path) -> None:
    for _ in range(3):
        assert servelite("call", str(FUNCTIONS / "double"), "1", cwd=tmp_path).returncode == 0
    with closing(sqlite3.connect(tmp_path / ".servelite" / "ledger.db")) as ledger:
        days = ledger.execute("SELECT gateway, count(DISTINCT day), count(*), sum(calls) FROM days GROUP BY gateway").fetchall()
    assert days in ([("", 1, 1, 3)], [("", 2, 2, 3)])  # midnight may come between them


def test_a_call_at_a_server_has_no_row_here(tmp_path: Path, server: Server) -> None:
    assert servelite("call", "double", "1", "--url", server.url, cwd=tmp_path).returncode == 0
    assert not (tmp_path / ".servelite").exists()


def test_what_a_handler_calls_is_served_from_beside_it_and_has_a_row_too(tmp_path: Path, write_function: FolderWriter) -> None:
    write_function("twice", "from servelite import function\n\n@function\ndef twice(number: int) -> int:\n    return 2 * number\n")
    source = """
        from servelite import Context, function

        @function
        def asks(number: int, context: Context) -> int:
            return context.call("twice", number) + 1
    """
    done = servelite("call", str(write_function("asks", source)), "20", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "41\n")
    assert len(done.stderr.splitlines()) == 1
    assert {used["function"] for used in usage(tmp_path)["usage"]} == {"asks", "twice"}
