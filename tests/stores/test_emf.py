"""The log of calls: one line each, as CloudWatch reads metrics from it."""

import json

import pytest

from servelite.core.errors import LedgerUnavailable
from servelite.stores.direct import NoLedger
from servelite.stores.emf import METRICS, LoggedLedger, line
from tests.runtime.fakes import MemoryLedger
from tests.stores.rows import EVER, NOON, row

UNITS = {"Microseconds", "Milliseconds", "Count", "None"}
"""Those of CloudWatch's that are used."""


def test_a_line_says_which_of_its_fields_are_metrics_of_what() -> None:
    told = json.loads(line(row(version="1.2", compute_us=1400, init_us=250_001, cost_pico=2_000_000), "r1"))
    (form,) = told["_aws"]["CloudWatchMetrics"]
    assert (told["_aws"]["Timestamp"], form["Namespace"], form["Dimensions"]) == (NOON // 1000, "servelite", [["function", "version"]])
    assert {one["Name"]: one["Unit"] for one in form["Metrics"]} == METRICS
    assert set(METRICS.values()) <= UNITS
    for name in METRICS:
        assert isinstance(told[name], (int, float))
    assert (told["function"], told["version"], told["request_id"]) == ("f", "1.2", "r1")
    assert (told["compute_us"], told["init_us"], told["billed_ms"], told["cost"]) == (1400, 250_001, 252, 2e-06)


@pytest.mark.parametrize(("status", "failed"), [(200, 0), (422, 1), (500, 1)])
def test_a_failed_call_is_counted(status: int, failed: int) -> None:
    assert json.loads(line(row(status=status), ""))["failed"] == failed


def test_a_dimension_is_never_empty() -> None:
    assert json.loads(line(row(version=""), ""))["version"] == "-"


def test_what_is_kept_is_logged_but_for_stages() -> None:
    kept, lines = MemoryLedger(), list[str]()
    ledger = LoggedLedger(kept, lines.append, lambda: "r1")
    rows = [row(id="a"), row(id="b", stage="p/f"), row(id="c")]
    ledger.record(rows)
    ledger.record([row(stage="p/g")])
    assert kept.rows[:3] == rows
    assert [json.loads(one)["call"] for one in "".join(lines).splitlines()] == ["a", "c"]


def test_what_is_not_kept_is_not_logged() -> None:
    lines: list[str] = []
    kept = MemoryLedger()
    kept.is_full = True
    ledger = LoggedLedger(kept, lines.append, lambda: "")
    with pytest.raises(LedgerUnavailable):
        ledger.record([row()])
    assert lines == []


def test_usage_is_the_ledger_s() -> None:
    ledger = LoggedLedger(NoLedger(), print, str)
    assert ledger.usage(["function"], *EVER) == {"function": []}
    ledger.close()
