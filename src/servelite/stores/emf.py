"""A log line for each call that is recorded, in CloudWatch's embedded metric format: metrics without a request to anybody.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from servelite.core.ports import Kept, Ledger, Row, Usage

NAMESPACE = "servelite"

METRICS = {
    "compute_us": "Microseconds",
    "init_us": "Microseconds",
    "queue_us": "Microseconds",
    "billed_ms": "Milliseconds",
    "cost": "None",
    "failed": "Count",
}
"""The metrics of a call, with CloudWatch's units."""

PICO = 10**12

_FORM = {
    "Namespace": NAMESPACE,
    "Dimensions": [["function", "version"]],
    "Metrics": [{"Name": name, "Unit": unit} for name, unit in METRICS.items()],
}


class LoggedLedger:
    """The `Ledger` port before another: what that one has kept is written to the log too, but for stages, which are part of a call."""

    def __init__(self, ledger: Ledger, write: Callable[[str], None], request_id: Callable[[], str]) -> None:
        """Write lines with `write`; `request_id` tells what the surroundings call the event that is answered at the moment."""
        self._ledger = ledger
        self._write = write
        self._request_id = request_id

    def record(self, rows: Sequence[Row], kept: Sequence[Kept] = ()) -> None:
        """Keep rows; see `Ledger`."""
        self._ledger.record(rows, kept)
        lines = [line(row, self._request_id()) for row in rows if not row.stage]
        if lines:
            self._write("".join(lines))

    def usage(self, by: Sequence[str], since_us: int, until_us: int, account: str | None = None) -> dict[str, list[Usage]]:
        """Sum calls; see `Ledger`."""
        return self._ledger.usage(by, since_us, until_us, account)

    def family(self, call: str) -> list[Row]:
        """Return the rows of a call and of those below it; see `Ledger`."""
        return self._ledger.family(call)

    def close(self) -> None:
        """Close the ledger."""
        self._ledger.close()


def line(row: Row, request_id: str) -> str:
    """Return the line of a call.

    billed_ms is what Lambda bills for it, begun milliseconds of compute and init, whether the tariff bills it or not; cost is the tariff's.
    """
    said: dict[str, Any] = {
        "_aws": {"Timestamp": row.at_us // 1000, "CloudWatchMetrics": [_FORM]},
        "function": row.function,
        "version": row.version or "-",  # a dimension can't be empty
        "compute_us": row.compute_us,
        "init_us": row.init_us,
        "queue_us": row.queue_us,
        "billed_ms": -(-(row.compute_us + row.init_us) // 1000),
        "cost": row.cost_pico / PICO,
        "failed": int(row.status >= 400),
        "code": row.code,
        "call": row.id,
        "account": row.account,
        "batch": row.batch,
        "request_id": request_id,
    }
    return json.dumps(said) + "\n"
