"""`locust -f loadtests/locustfile.py` on a real server: headless, distributed, and with its page."""

import csv
import json
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.server import Server, free_port, until

ROOT = Path(__file__).parents[2]
LOCUSTFILE = ROOT / "loadtests" / "locustfile.py"
FUNCTIONS = ROOT / "tests" / "functional" / "functions"
ENDS_WITHIN_S = 120

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    started = Server(FUNCTIONS / "double", FUNCTIONS / "shout", FUNCTIONS / "mean", cwd=tmp_path_factory.mktemp("loaded"))
    try:
        yield started.wait_ready()
    finally:
        started.kill()


@contextmanager
def locust(cwd: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "locust", "-f", str(LOCUSTFILE), *arguments]
    with subprocess.Popen(
        command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(cwd: Path, *arguments: str) -> tuple[int, str]:
    """Run it to its end, and return its exit code and what it printed."""
    with locust(cwd, *arguments) as process:
        printed, _ = process.communicate(timeout=ENDS_WITHIN_S)
    return process.returncode, printed


def headless(server: Server, *options: str) -> list[str]:
    return ["--host", server.url, "--headless", "--users", "4", "--spawn-rate", "100", "--run-time", "3s", *options]


def table(file: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a CSV by their first column with a name in it."""
    with file.open(encoding="utf-8", newline="") as lines:
        return {row.get("Name") or row["function"]: row for row in csv.DictReader(lines)}


def test_headless_it_calls_all_functions_with_examples_and_tells_of_receipts(server: Server, tmp_path: Path) -> None:
    code, printed = run(tmp_path, *headless(server, "--csv", "seen", "--json-file", "seen", "--only-summary"))
    assert code == 0, printed
    assert re.search(r"^Receipts +requests/s +p50 +p95 ", printed, re.MULTILINE)
    receipts, requests = table(tmp_path / "seen_receipts.csv"), table(tmp_path / "seen_stats.csv")
    assert set(receipts) == {"double", "shout", "all"}
    assert set(requests) == {"double", "shout", "Aggregated"}
    assert {row["errors"] for row in receipts.values()} == {"0"}
    assert {row["Failure Count"] for row in requests.values()} == {"0"}
    assert float(receipts["all"]["compute s"]) > 0
    assert receipts["all"]["a million calls"].endswith(" USD")
    assert {one["name"] for one in json.loads((tmp_path / "seen.json").read_bytes())} == {"double", "shout"}


def test_errors_are_counted_by_their_code(tmp_path: Path) -> None:
    """Here by the one of calls whose server is gone."""
    own = Server(FUNCTIONS / "double", cwd=tmp_path).wait_ready()
    try:
        with locust(tmp_path, *headless(own, "--csv", "seen", "--only-summary")) as process:
            until(lambda: calls(own) > 50)
            own.kill()
            process.communicate(timeout=ENDS_WITHIN_S)
    finally:
        with suppress(Exception):
            own.kill()
    with (tmp_path / "seen_failures.csv").open(encoding="utf-8", newline="") as lines:
        assert {row["Error"] for row in csv.DictReader(lines)} == {"no_answer"}


def calls(server: Server) -> float:
    """Return how many calls a server has answered."""
    counts = re.findall(rb"^servelite_calls_total\{.*\} ([0-9.e+]+)$", server.get("/metrics").body, re.MULTILINE)
    return sum(map(float, counts))


def test_a_master_puts_together_what_its_workers_counted(server: Server, tmp_path: Path) -> None:
    port = str(free_port())
    place = ["--master-host", "127.0.0.1", "--master-port", port]
    with locust(tmp_path, "--worker", *place) as worker:
        master = ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port, "--expect-workers", "1"]
        code, printed = run(tmp_path, *headless(server, *master, "--csv", "seen", "--only-summary", "--shape", "ramp"))
        assert code == 0, printed
        worker.communicate(timeout=ENDS_WITHIN_S)
    receipts, requests = table(tmp_path / "seen_receipts.csv"), table(tmp_path / "seen_stats.csv")
    assert set(receipts) == {"double", "shout", "all"}
    assert receipts["all"]["errors"] == "0"
    assert float(receipts["all"]["compute s"]) > 0
    assert int(requests["Aggregated"]["Request Count"]) > 10


def test_its_page_starts_a_load_and_shows_receipts(server: Server, tmp_path: Path) -> None:
    port = free_port()
    page = f"http://127.0.0.1:{port}"
    with locust(tmp_path, "--host", server.url, "--web-host", "127.0.0.1", "--web-port", str(port)):
        until(lambda: "Receipts" in get(page), ENDS_WITHIN_S)
        form = f"user_count=2&spawn_rate=10&host={server.url}&shape=steady&rate=20&sizes=examples&mix=double%3D1&run_time=60s"
        with urllib.request.urlopen(f"{page}/swarm", form.encode(), timeout=30) as answer:
            assert json.load(answer)["success"]
        (row, total) = until(lambda: shown(page), ENDS_WITHIN_S)
        assert (row["function"], total["function"], row["errors"]) == ("double", "all", "0")
        assert row["million"].endswith(" USD")
        assert get(f"{page}/receipts/csv").startswith("function,requests/s,p50,p95,p99,errors,")


def shown(page: str) -> list[dict[str, Any]]:
    """Return the rows of the page's tab, once there are some."""
    (table_,) = json.loads(get(f"{page}/stats/requests"))["extended_stats"]
    return table_["data"] if len(table_["data"]) > 1 else []


def get(url: str) -> str:
    with suppress(OSError), urllib.request.urlopen(url, timeout=30) as answer:
        return str(answer.read().decode())
    return ""


def test_without_a_server_it_ends_and_says_so(tmp_path: Path) -> None:
    begun_s = time.monotonic()
    code, printed = run(tmp_path, "--host", f"http://127.0.0.1:{free_port()}", "--headless", "--run-time", "600s", "--only-summary")
    assert code == 3
    assert "No server answers there" in printed
    assert time.monotonic() - begun_s < ENDS_WITHIN_S
