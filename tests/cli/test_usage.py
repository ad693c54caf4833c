"""`servelite usage`: calls, compute-seconds and cost, for people and for programs."""

import csv
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.command import servelite_here as servelite
from tests.cli.conftest import FUNCTIONS
from tests.server import Reply, Server


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Reply]]:
    """Return a folder with a ledger, and the answers that are in it."""
    folder = tmp_path_factory.mktemp("used")
    server = Server(FUNCTIONS / "double", FUNCTIONS / "misbehave", cwd=folder)
    try:
        server.wait_ready()
        replies = [server.call("double", number) for number in range(5)] + [server.call("double", "x")]
        replies += [server.call("misbehave", "behave"), server.call("misbehave", "sleep")]
        assert server.stop() == 0
    finally:
        server.kill()
    return folder, replies


def total(replies: list[Reply], key: str) -> int:
    return sum(reply.receipt[key] for reply in replies)


def test_the_table_has_a_row_for_each_function_and_a_total(used: tuple[Path, list[Reply]]) -> None:
    folder, replies = used
    done = servelite("usage", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["function", "calls", "failed", "compute", "s", "cpu", "s", "billed", "s", "cost"]
    assert [line.split()[:3] for line in lines[1:4]] == [["misbehave", "2", "1"], ["double", "6", "1"], ["total", "8", "2"]]
    seconds = [f"{total(replies, key) / 1e6:,.6f}" for key in ("compute-us", "cpu-us", "billed-us")]
    assert lines[3].split()[3:6] == seconds
    assert "free seconds left" in done.stdout
    assert "4,999." in done.stdout


def test_json_has_the_same_sums(used: tuple[Path, list[Reply]]) -> None:
    folder, replies = used
    said = json.loads(servelite("usage", "--json", cwd=folder).stdout)
    assert said["month"] == f"{datetime.now(UTC):%Y-%m}"
    assert sum(group["compute_us"] for group in said["usage"]) == total(replies, "compute-us")
    (account,) = said["accounts"]
    assert (account["account"], account["billed_us"]) == ("local", total(replies, "billed-us"))
    assert account["free_left_us"] == 5_000_000_000 - account["billed_us"]
    assert account["payable_micro"] == 0


def test_csv_has_the_same_groups_as_json(used: tuple[Path, list[Reply]]) -> None:
    folder, _ = used
    rows = list(csv.DictReader(servelite("usage", "--csv", cwd=folder).stdout.splitlines()))
    said = json.loads(servelite("usage", "--json", cwd=folder).stdout)["usage"]
    assert rows == [{name: str(value) for name, value in group.items()} for group in said]
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("by", "groups"),
    [("function", ["misbehave", "double"]), ("account", ["local"]), ("day", [f"{datetime.now(UTC):%Y-%m-%d}"])],
)
def test_it_sums_by(used: tuple[Path, list[Reply]], by: str, groups: list[str]) -> None:
    said = json.loads(servelite("usage", "--by", by, "--json", cwd=used[0]).stdout)["usage"]
    assert [group[by] for group in said] == groups
    assert sum(group["calls"] for group in said) == 8


@pytest.mark.parametrize(("month", "calls"), [(f"{datetime.now(UTC):%Y-%m}", 8), ("2001-12", 0)], ids=["this month", "another"])
def test_it_sums_a_month(used: tuple[Path, list[Reply]], month: str, calls: int) -> None:
    said = json.loads(servelite("usage", "--month", month, "--json", cwd=used[0]).stdout)
    assert (said["month"], sum(group["calls"] for group in said["usage"])) == (month, calls)


def test_without_calls_it_says_what_to_do(tmp_path: Path) -> None:
    done = servelite("usage", cwd=tmp_path)
    assert done.returncode == 0
    assert re.fullmatch(r"No calls in the ledger \.servelite/ledger\.db in \d{4}-\d\d\. It belongs to the folder .*\n", done.stdout)
    assert not (tmp_path / ".servelite").exists()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--month", "November"], "'November' is not a month. Write for example 2026-11."),
        (["--by", "weather"], "'weather'"),
        (["--ledger", "s3://bucket"], "No ledger of the kind 's3'"),
    ],
    ids=["month", "by", "ledger"],
)
def test_a_wrong_option_is_told(tmp_path: Path, options: list[str], expected: str) -> None:
    done = servelite("usage", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr


def test_a_file_that_is_no_ledger_is_told(tmp_path: Path) -> None:
    (tmp_path / "book.db").write_text("dear diary " * 100)
    done = servelite("usage", "--ledger", "book.db", cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert "The ledger book.db can't be used" in done.stderr
    assert "Traceback" not in done.stderr
