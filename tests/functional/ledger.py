"""The ledger as others see it: the SQLite file, read while a server writes it, and `servelite usage`."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.server import Reply, until

RUN_WITHIN_S = 60

FROM_RECEIPT = {"compute_us": "compute-us", "cpu_us": "cpu-us", "queue_us": "queue-us", "billed_us": "billed-us", "batch": "batch"}
"""Columns of the ledger that an answer's receipt has too."""


def read_rows(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a folder's ledger by id, with a connection that can't write."""
    with closing(sqlite3.connect(f"file:{folder / '.servelite' / 'ledger.db'}?mode=ro", uri=True)) as ledger:
        ledger.row_factory = sqlite3.Row
        return {row["id"]: dict(row) for row in ledger.execute("SELECT * FROM calls")}


def wait_for_rows(folder: Path, count: int) -> dict[str, dict[str, Any]]:
    """Wait until so many rows have moved from the journal into the file, and return them."""
    until(lambda: len(read_rows(folder)) >= count)
    return read_rows(folder)


def usage(folder: Path, *arguments: str) -> Any:
    """Return what `servelite usage --json` says in a folder."""
    command = [sys.executable, "-m", "servelite", "usage", "--json", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=RUN_WITHIN_S, check=True)
    return json.loads(done.stdout)


def check_rows(rows: dict[str, dict[str, Any]], replies: Sequence[Reply]) -> None:
    """Check that a ledger has one row for each reply, with the receipt's numbers, and no other."""
    assert rows.keys() == {reply.headers["X-Request-Id"] for reply in replies}
    assert len(rows) == len(replies)
    for reply in replies:
        row, receipt = rows[reply.headers["X-Request-Id"]], reply.receipt
        assert {name: row[name] for name in FROM_RECEIPT} == {name: receipt[key] for name, key in FROM_RECEIPT.items()}
        assert (row["status"], bool(row["cold"])) == (reply.status, receipt["cold"])
        assert row["code"] == ("ok" if reply.status == 200 else reply.json()["code"])
