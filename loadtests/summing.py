"""Figures of a full ledger: how long the table of a month takes that had a million calls."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from servers import SERVELITE
from starting import alternate
from table import Figure

from servelite.core.call import call_id
from servelite.core.month import DAY_US, CalendarMonth
from servelite.core.ports import Row
from servelite.core.tariff import Tariff
from servelite.stores.address import address
from servelite.stores.ledger import JournaledLedger

CALLS = 1_000_000
MONTH = CalendarMonth(2026, 10)
BATCH = 16
FUNCTIONS, ACCOUNTS = 20, 50
ORDINARY = ["--month", str(MONTH)]
EVERYTHING = [*ORDINARY, "--by", "account", "--compare", "--machine-per-hour", "0.05", "--plot"]


def usage_figures(rounds: int, work: Path) -> Iterator[Figure]:
    """Measure `servelite usage`, the whole process, over a ledger that came by through the journal."""
    began_s = time.perf_counter()
    billed_us = _fill(work / ".servelite" / "ledger.db")
    row_us = (time.perf_counter() - began_s) * 1_000_000 / CALLS
    command = [SERVELITE, "usage"]
    table, everything = alternate([[*command, *ORDINARY], [*command, *EVERYTHING]], rounds, work)
    said = json.loads(subprocess.run([*command, *ORDINARY, "--json"], cwd=work, check=True, capture_output=True, timeout=60).stdout)
    missed = CALLS - sum(group["calls"] for group in said["usage"])
    wrong_us = billed_us - sum(one["billed_us"] for one in said["accounts"])
    yield Figure.of(f"servelite usage, a month of {CALLS:,} calls", [value / 1000 for value in table], "s", 1)
    yield Figure.of(f"  with {' '.join(EVERYTHING[len(ORDINARY) :])}", [value / 1000 for value in everything], "s")
    yield Figure("  a row through journal and tables, to fill it", row_us, "µs")
    yield Figure("calls and µs that its sums lack", abs(missed) + abs(wrong_us), asked=0, is_timing=False)


def _fill(file: Path) -> int:
    """Record a month's calls, and return the time that they are billed, µs."""
    ledger, tariff, billed_us = JournaledLedger(address(str(file))), Tariff(), 0
    for first in range(0, CALLS, BATCH):
        rows = [_row(number, tariff) for number in range(first, first + BATCH)]
        billed_us += sum(row.billed_us for row in rows)
        ledger.record(rows)
    ledger.close()
    return billed_us


def _row(number: int, tariff: Tariff) -> Row:
    """Return the row of one of the month's calls; it differs from its neighbours in all that is summed by."""
    at_us = MONTH.begins_us + number * len(MONTH.days()) * DAY_US // CALLS
    compute_us = 500 + number * 7919 % 20_000
    whose = call_id(at_us // 1000, number), at_us, f"account-{number % ACCOUNTS}", f"function-{number % FUNCTIONS}"
    times = 40, 0, compute_us, compute_us * 9 // 10, 90_000, BATCH
    cost_pico = tariff.cost_pico(compute_us, 1)
    return Row(
        *whose,
        200,
        "ok",
        *times,
        120,
        60,
        0,
        compute_us,
        f"key-{number % ACCOUNTS}",
        "1",
        "",
        "",
        512,
        cost_pico,
        "figures",
        tariff.mib_us(compute_us, 512),
    )
