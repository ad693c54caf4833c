"""`servelite plan` from measuring to JSON and a picture, and what it refuses; its page is tested in test_plan_page.py."""

import json
from pathlib import Path

import pytest

from tests.cli.command import servelite_here
from tests.cli.conftest import FUNCTIONS
from tests.cli.test_usage_picture import size

DOUBLE = FUNCTIONS / "double"


def test_json_has_all_numbers_exactly_and_the_picture_is_drawn_beside_it(tmp_path: Path) -> None:
    demand = ["--rps", "0.001", "--pattern", "spiky", "--seed", "7", "--keep-alive", "0"]
    options = [*demand, "--server-per-hour", "0.0001", "--server-cores", "1"]
    done = servelite_here("plan", DOUBLE, *options, "--json", "--png", "costs.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "Drawn into costs.png.\n")
    assert size(tmp_path / "costs.png") == (1600, 768)
    told = json.loads(done.stdout)
    assert told["function"] == "double"
    assert told["demand"] == {"rps": 0.001, "pattern": "spiky", "seed": 7, "month_calls": 2628}
    assert told["assumed"] == {
        "arch": "x86_64",
        "keep_alive_s": 0,
        "concurrency": 1000,
        "free_tier": False,
        "server_hour_micro": 100,
        "server_cores": 1,
        "p95_us": None,
        "hours_a_month": 730,
    }
    *lambdas, fleet = told["options"]
    assert {one["cold_share"] for one in lambdas} == {1}
    assert (fleet["place"], fleet["servers"], fleet["month_micro"]) == ("server", 1, 73_000)
    assert [one["is_cheapest"] for one in told["options"]].count(True) == 1
    assert told["break_even"]["rps"] > 0.001
    assert told["measured"]["batches_us"][0]["size"] == 1


@pytest.mark.slow
def test_no_empty_picture_is_drawn(tmp_path: Path) -> None:
    done = servelite_here("plan", DOUBLE, "--rps", "0.001", "--p95", "0.01", "--png", "costs.png", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "Nothing is drawn into costs.png, for nothing will do.\n")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--rps", "-1"], "-1 is out of range: 0.0001 to 1,000,000."),
        (["--rps", "nan"], "nan is out of range"),
        (["--rps", "many"], "'many' is not a number. Write for example 1."),
        ([], "Missing option '--rps'."),
        (["--rps", "5", "--pattern", "weekly"], "'weekly' is not one of 'steady', 'day', 'spiky'."),
        (["--rps", "5", "--server-per-hour", "0"], "A server at 0 an hour is cheaper than anything."),
        (["--rps", "5", "--server-per-hour", "-1"], "'-1' is not an amount."),
        (["--rps", "5", "--server-cores", "4"], "--server-cores says what a server has, and none is compared. Give its price too"),
        (["--rps", "5", "--p95", "0"], "0 is out of range: 0.001 to 1,000,000."),
        (["--rps", "5", "--keep-alive", "-1"], "-1 is out of range: 0 to 1,440."),
        (["--rps", "5", "--concurrency", "0"], "0 is not in the range"),
        (["--rps", "5", "--arch", "mips"], "'mips' is not one of 'x86_64', 'arm64'."),
        (["--rps", "5", "--png", "costs.jpg"], "Write for example --png costs.png."),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_what_can_not_be_meant_is_refused_before_anything_is_measured(tmp_path: Path, options: list[str], says: str) -> None:
    done = servelite_here("plan", "nowhere", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


@pytest.mark.parametrize(
    ("path", "says"),
    [("nowhere", "There is no folder nowhere."), (FUNCTIONS, f"Name one: {FUNCTIONS}/")],
    ids=["no folder", "a folder of functions"],
)
def test_one_function_is_planned(tmp_path: Path, path: str | Path, says: str) -> None:
    done = servelite_here("plan", path, "--rps", "5", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
