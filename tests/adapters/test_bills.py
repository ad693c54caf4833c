"""`GET /usage`: what the query may ask, and what it is told where it asks for something else."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.adapters.conftest import FUNCTIONS
from tests.adapters.problem import check_problem
from tests.cli.command import servelite_here as servelite
from tests.server import Server, until


def test_without_keys_anybody_reads_what_all_calls_of_this_month_used(server: Server) -> None:
    assert server.call("double", 4).status == 200
    until(lambda: "double" in [group["function"] for group in server.get("/usage").json()["usage"]])
    said = server.get("/usage").json()
    assert said["month"] == f"{datetime.now(UTC):%Y-%m}"
    assert [account["account"] for account in said["accounts"]] == ["local"]


@pytest.mark.parametrize("query", ["by=function", "by=account", "by=key", "by=day", "by=stage", "month=2001-12", "account=local"])
def test_it_says_what_the_command_says(server: Server, query: str) -> None:
    option = [] if query == "account=local" else ["--" + query]
    said = json.loads(servelite("usage", "--json", *option, cwd=server.cwd).stdout)  # first, for it moves what waits
    assert server.get(f"/usage?{query}").json() == said


def test_another_account_has_used_nothing(server: Server) -> None:
    said = server.get("/usage?account=acme").json()
    assert (said["usage"], said["accounts"]) == ([], [])


@pytest.mark.parametrize(
    ("query", "field", "cure"),
    [
        ("month=November", "month", "Write for example 2026-11."),
        ("month=", "month", "Write for example 2026-11."),
        ("month=2026-13", "month", "Write for example 2026-11."),
        ("month=" + "x" * 5000, "month", "Write for example 2026-11."),
        ("by=weather", "by", "It can by: function, account, key, day, stage."),
        ("by=", "by", "It can by: function, account, key, day, stage."),
        ("account=*", "account", "Leave account= out to read the usage of all."),
        ("account=%00", "account", "Leave account= out to read the usage of all."),
        ("moth=2026-11", "moth", "There are: month, by, account."),
    ],
    ids=lambda value: value[:20],
)
def test_a_query_for_what_there_is_not_is_refused_with_the_cure(server: Server, query: str, field: str, cure: str) -> None:
    problem = check_problem(server.get(f"/usage?{query}"), 422, "invalid_input")
    assert problem["detail"].endswith(cure)
    assert [error["field"] for error in problem["errors"]] == [field]
    assert len(problem["detail"]) < 300


def test_usage_is_read_only(server: Server) -> None:
    check_problem(server.request("POST", "/usage", b"{}"), 405, "method_not_allowed")


def test_a_ledger_that_can_not_be_read_is_told_without_its_name(start_server: Callable[..., Server], tmp_path: Path) -> None:
    server = start_server(FUNCTIONS / "double", "--ledger", "secret-place.db")
    for file in tmp_path.glob("secret-place.db*"):
        if file.is_file():
            file.write_bytes(b"dear diary " * 100)
    reply = server.get("/usage")
    problem = check_problem(reply, 503, "ledger_unavailable")
    assert reply.headers["Retry-After"] == "5"
    assert "secret-place" not in problem["detail"]
    assert any("usage can't be read: The ledger secret-place.db" in line for line in server.troubles())
