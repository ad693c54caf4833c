"""`servelite check`: a table of what was checked, 1 where a check fails, and 2 where there is nothing to check."""

import json
from pathlib import Path

import pytest

from tests.cli.command import servelite

ROOT = Path(__file__).parents[2]

SPEAKS = """from servelite import function

print("imported")

@function(max_batch=4)
def speaks(values: list[int]) -> list[int]:
    print("called")
    return [value + len(values) for value in values]
"""


@pytest.fixture
def speaks(tmp_path: Path) -> Path:
    """Write a function that prints, and whose answers depend on their batch."""
    folder = tmp_path / "functions" / "speaks"
    folder.mkdir(parents=True)
    (folder / "handler.py").write_text(SPEAKS)
    (folder / "examples.jsonl").write_text('{"input": 1}\n{"input": 2}\n')
    return folder


def test_a_new_function_and_several_of_this_checkout_pass(tmp_path: Path) -> None:
    servelite("new", "hello", cwd=tmp_path)
    done = servelite("check", "hello", ROOT / "functions" / "sentiment", ROOT / "loadtests" / "functions", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    columns, *rows = (line.split() for line in done.stdout.splitlines())
    assert columns == ["function", "check", "result", "says"]
    assert {row[0] for row in rows} >= {"hello", "sentiment", "tiny"}
    assert {row[2] for row in rows} <= {"passed", "skipped"}
    assert [row[1] for row in rows[:5]] == ["types", "examples", "time", "batches", "card"]
    assert not (tmp_path / ".servelite").exists()


def test_a_check_that_fails_exits_with_1_and_the_reason(tmp_path: Path, speaks: Path) -> None:
    servelite("new", "functions/hello", cwd=tmp_path)
    done = servelite("check", "functions", cwd=tmp_path)
    assert done.returncode == 1
    assert "Input 1 beside input 2: the output is 3, not 2." in done.stdout
    assert done.stderr.endswith("servelite: 1 of 2 functions failed: speaks (batches).\n")


def test_a_program_can_read_the_checks_whatever_a_handler_prints(tmp_path: Path, speaks: Path) -> None:
    done = servelite("check", speaks, "--json", cwd=tmp_path)
    (told,) = json.loads(done.stdout)
    assert (done.returncode, told["name"]) == (1, "speaks")
    assert {one["check"]: one["result"] for one in told["checks"]}["batches"] == "failed"
    assert "called" in done.stderr


def test_the_tolerance_is_the_user_s(tmp_path: Path, speaks: Path) -> None:
    (speaks / "handler.py").write_text(SPEAKS.replace("list[int]", "list[float]").replace("len(values)", "len(values) / 1000"))
    (speaks / "examples.jsonl").write_text('{"input": 1}\n{"input": 2}\n')
    assert servelite("check", speaks, cwd=tmp_path).returncode == 1
    assert servelite("check", speaks, "--tolerance", "0.01", cwd=tmp_path).returncode == 0


def test_a_broken_folder_exits_with_2_and_does_not_hide_the_others(tmp_path: Path) -> None:
    servelite("new", "functions/fine", cwd=tmp_path)
    servelite("new", "functions/broken", cwd=tmp_path)
    (tmp_path / "functions" / "broken" / "handler.py").write_text("def")
    done = servelite("check", "functions", cwd=tmp_path)
    assert done.returncode == 2
    assert "fine" in done.stdout
    assert "handler.py:1: " in done.stderr


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ([], "Missing argument 'PATHS...'"),
        (["nowhere"], "There is no folder nowhere."),
        ([".", "--tolerance", "2"], "--tolerance"),
    ],
    ids=["no path", "no folder", "an impossible tolerance"],
)
def test_wrong_usage_is_told(tmp_path: Path, said: list[str], told: str) -> None:
    done = servelite("check", *said, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
