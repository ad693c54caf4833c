"""What was counted of receipts, where Locust shows its own statistics: a tab and a CSV on its page, files, and the end of a run."""

import csv
import io
import json
import logging
from pathlib import Path
from typing import Any

from flask import Response, request
from locust import events
from locust.env import Environment
from locust.runners import WorkerRunner

from servelite.assembly.environment import read_settings_file
from servelite.core.tariff import Tariff
from servelite.tools.loadtest.summary import rows
from servelite.tools.loadtest.swarm.counting import COUNTING
from servelite.tools.loadtest.texts import COLUMNS, cells

TAB = "receipts"
CSV_PATH = "/receipts/csv"
KEYS = ("function", "rps", "p50", "p95", "p99", "errors", "compute", "million", "batch", "queue")
"""Of the columns, for the page."""


def listen() -> None:
    """Listen to Locust's events."""
    events.init.add_listener(_init)


def _init(environment: Environment, **_: Any) -> None:
    if isinstance(environment.runner, WorkerRunner):
        return
    tariff = read_settings_file().tariff
    if environment.web_ui:
        _extend(environment.web_ui, tariff)
    environment.events.quit.add_listener(lambda **_: _end(environment, tariff))


def _extend(page: Any, tariff: Tariff) -> None:
    structure = [{"key": key, "title": title or "function"} for key, title in zip(KEYS, COLUMNS, strict=True)]
    page.template_args |= {
        "extended_tabs": [{"title": "Receipts", "key": TAB}],
        "extended_tables": [{"key": TAB, "structure": structure}],
        "extended_csv_files": [{"href": CSV_PATH, "title": "Download receipts CSV"}],
    }

    def tell(response: Response) -> Response:
        if request.path == "/stats/requests":
            told = [dict(zip(KEYS, line, strict=True)) for line in _table(tariff)]
            response.set_data(json.dumps({**(response.json or {}), "extended_stats": [{"key": TAB, "data": told}]}))
        return response

    page.app.after_request(tell)
    headers = {"Content-Disposition": "attachment; filename=receipts.csv"}
    page.app.add_url_rule(CSV_PATH, "receipts_csv", lambda: Response(_csv(tariff), mimetype="text/csv", headers=headers))


def _table(tariff: Tariff) -> list[list[str]]:
    return [cells(row, tariff) for row in rows(COUNTING.book, tariff)]


def _csv(tariff: Tariff) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([["function", *COLUMNS[1:]], *_table(tariff)])
    return text.getvalue()


def _end(environment: Environment, tariff: Tariff) -> None:
    """Write what Locust has no room for in the files and lines that it ends with."""
    options: Any = environment.parsed_options
    if options.csv_prefix:
        Path(f"{options.csv_prefix}_receipts.csv").write_text(_csv(tariff), encoding="utf-8")
    if not options.book:
        lines = [["Receipts", *COLUMNS[1:]], *_table(tariff)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        for line in lines:
            said = "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
            logging.getLogger("locust.stats_logger").info(said)
