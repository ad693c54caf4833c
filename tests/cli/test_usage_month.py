"""`servelite usage` over a month that is written down: accounts, comparison, days, and what a terminal shows."""

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

from servelite.core.tariff import Tariff
from servelite.stores.address import address
from servelite.stores.ledger import JournaledLedger
from tests.cli.command import servelite_here as servelite
from tests.stores.rows import DAY_US, instant, row

BEGAN_US = instant("2024-02-01T00:00:00")
SECOND_US = 1_000_000


def call(day: int, **changes: Any) -> Any:
    """Return the row of a call of some day of February 2024."""
    fields = {"function": "f", "compute_us": SECOND_US, "account": "acme", "memory_mib": 512, **changes}
    fields.setdefault("billed_us", fields["compute_us"])
    cost_pico = Tariff().cost_pico(fields["billed_us"], 1)
    mib_us = Tariff().mib_us(fields["billed_us"], fields["memory_mib"])
    return row(at_us=BEGAN_US + (day - 1) * DAY_US, cpu_us=7, cost_pico=cost_pico, mib_us=mib_us, **fields)


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the ledger of a month: two accounts, of which one has used more than is free."""
    folder = tmp_path_factory.mktemp("month")
    ledger = JournaledLedger(address(f"{folder}/.servelite/ledger.db"))
    ledger.record([call(1, compute_us=2_600), call(2, compute_us=6_000 * SECOND_US, function="large", memory_mib=2048)])
    ledger.record([call(29, account="bob", function="g", compute_us=500_000), call(29, code="invalid_input", status=422, billed_us=0)])
    ledger.close()
    return folder


def usage(folder: Path, *options: str) -> str:
    done = servelite("usage", "--month", "2024-02", *options, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def usage_json(folder: Path, *options: str) -> Any:
    return json.loads(usage(folder, "--json", *options))


@pytest.mark.parametrize(
    ("options", "groups"),
    [
        ([], {"large": 1, "f": 2, "g": 1}),
        (["--account", "acme"], {"large": 1, "f": 2}),
        (["--account", "bob"], {"g": 1}),
        (["--account", "nobody"], {}),
    ],
    ids=["all", "acme", "bob", "nobody"],
)
def test_one_account_is_summed_alone(month: Path, options: list[str], groups: dict[str, int]) -> None:
    said = usage_json(month, *options)
    assert {group["function"]: group["calls"] for group in said["usage"]} == groups
    assert sum(one["billed_us"] for one in said["accounts"]) == sum(group["billed_us"] for group in said["usage"])


def test_an_account_without_calls_is_named(month: Path) -> None:
    assert usage(month, "--account", "nobody").startswith("No calls of account nobody in the ledger .servelite/ledger.db in 2024-02.")


def test_without_stages_it_says_so(month: Path) -> None:
    assert usage(month, "--by", "stage").startswith("No stages of pipelines in 2024-02.")


def test_one_account_is_billed_in_a_sentence(month: Path) -> None:
    said = usage(month, "--account", "acme")
    assert said.endswith("Account acme in February 2024: 0.000 of 5,000 free seconds left, to pay 0.10 USD.\n")


def test_several_accounts_are_billed_in_a_table_where_they_were_asked_for(month: Path) -> None:
    lines = [line.split() for line in usage(month, "--by", "account").splitlines()]
    assert ["account", "left", "of", "5,000", "free", "seconds", "to", "pay"] in lines
    assert ["acme", "0.000", "0.10", "USD"] in lines
    assert ["bob", "4,999.500", "0.00", "USD"] in lines
    assert "2 accounts in February 2024, each with 5,000 free seconds: to pay 0.10 USD together." in usage(month)


def test_a_tariff_that_weighs_memory_has_free_gb_seconds(month: Path, tmp_path: Path) -> None:
    (tmp_path / "lambda.toml").write_text('[tariff]\npreset = "lambda-x86"\n')
    said = usage(month, "--account", "acme", "--config", str(tmp_path / "lambda.toml"))
    assert "387,999.999 of 400,000 free GB-seconds left, to pay 0.00 USD." in said


def test_days_come_in_their_order(month: Path) -> None:
    assert [group["day"] for group in usage_json(month, "--by", "day")["usage"]] == ["2024-02-01", "2024-02-02", "2024-02-29"]


@pytest.mark.parametrize("by", ["function", "account", "day"])
def test_the_total_is_the_same_however_it_is_summed(month: Path, by: str) -> None:
    (total,) = [line.split()[1:] for line in usage(month, "--by", by).splitlines() if line.startswith("total")]
    assert total == ["4", "1", "6,001.503", "0.000", "6,000.503", "0.60005", "USD"]


def test_a_comparison_says_what_the_calls_would_have_cost_elsewhere(month: Path) -> None:
    found = {price.pop("place"): price for price in usage_json(month, "--compare")["compare"]}
    assert list(found) == ["tariff", "algorithmia", "lambda-x86", "lambda-arm"]
    assert found["tariff"] == {
        "counted_us": 6_000_502_600,
        "measure": "s",
        "calls": 3,
        "list_micro": 600_050,
        "free_micro": 500_050,  # acme's 5,000 s, and all of bob's half a second
        "payable_micro": 100_000,
        "currency": "USD",
    }
    assert (found["algorithmia"]["counted_us"], found["algorithmia"]["payable_micro"]) == (6_002 * SECOND_US, 100_100)
    # 6,000 s x 2 GiB, and 1.503 s x 0.5 GiB; 4 requests
    assert (found["lambda-x86"]["counted_us"], found["lambda-x86"]["list_micro"]) == (12_000_751_500, 200_014)
    assert (found["lambda-arm"]["list_micro"], found["lambda-arm"]["payable_micro"]) == (160_012, 0)


def test_a_rented_machine_costs_every_hour_of_a_month_that_is_over(month: Path) -> None:
    machine = usage_json(month, "--machine-per-hour", "0.05")["compare"][-1]
    assert (machine["place"], machine["counted_us"], machine["payable_micro"]) == ("machine", 696 * 3600 * SECOND_US, 34_800_000)
    said = usage(month, "--compare", "--machine-per-hour", "0.05")
    assert re.search(r"^on this machine +696 +h +34\.80 USD +0\.0+ USD +34\.80 USD$", said, re.MULTILINE)
    assert said.endswith("The machine costs 0.05 USD for each hour of February 2024, with or without calls.\n")


def test_a_rented_machine_costs_the_hours_of_this_month_so_far(tmp_path: Path) -> None:
    said = servelite("usage", "--machine-per-hour", "1", cwd=tmp_path).stdout
    assert re.search(r"for each hour of \w+ \d{4} so far,", said)
    hours = int(re.search(r"^on this machine +(\d+) ", said, re.MULTILINE)[1])  # type: ignore[index]
    assert 1 <= hours <= 744


def test_usage_without_a_comparison_has_none(month: Path) -> None:
    assert "compare" not in usage_json(month)
    assert "Algorithmia" not in usage(month)


def test_csv_of_a_comparison_has_its_places(month: Path) -> None:
    rows = list(csv.DictReader(usage(month, "--compare", "--csv").splitlines()))
    assert rows == [{name: str(value) for name, value in price.items()} for price in usage_json(month, "--compare")["compare"]]


def test_csv_without_calls_has_its_heading(month: Path) -> None:
    assert usage(month, "--account", "nobody", "--csv") == "function,calls,failed,compute_us,cpu_us,billed_us,cost_micro,currency\n"


def test_a_plot_has_every_day_and_bars_as_long_as_their_days(month: Path) -> None:
    lines = usage(month, "--plot").rpartition("day (UTC)")[2].splitlines()[1:]
    assert [line.split()[0] for line in lines] == [f"2024-02-{day:02}" for day in range(1, 30)]
    assert lines[0] == "2024-02-01      0.003  ▌"  # next to nothing, and yet there
    assert lines[1] == f"2024-02-02  6,000.000  {'█' * 50}"
    assert lines[2] == "2024-02-03      0.000"
    assert lines[28] == "2024-02-29      1.500  ▌"


def test_a_plot_without_calls_is_not_drawn(month: Path) -> None:
    assert "day (UTC)" not in usage(month, "--account", "nobody", "--plot")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--plot", "--json"], "--plot is for people, --json for programs."),
        (["--watch", "--csv"], "--watch is for people, --csv for programs."),
        (["--watch", "--png", "days.png"], "--watch goes on, and --png draws once."),
        (["--machine-per-hour", "cheap"], "'cheap' is not an amount. Write for example 0.05"),
        (["--machine-per-hour", "-1"], "'-1' is not an amount."),
        (["--machine-per-hour", "0.0000001"], "six decimals at most"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_does_not_go_together_is_told(month: Path, options: list[str], expected: str) -> None:
    done = servelite("usage", *options, cwd=month)
    assert (done.returncode, done.stdout) == (2, "")
    assert expected in done.stderr


@pytest.mark.parametrize(
    ("written", "micro"),
    [("0.05", 50_000), ("12", 12_000_000), ("0", 0), ("0.000001", 1), ("1.5", 1_500_000)],
)
def test_a_price_is_read_to_the_last_millionth(month: Path, written: str, micro: int) -> None:
    assert usage_json(month, "--machine-per-hour", written)["compare"][-1]["payable_micro"] == 696 * micro
