"""`servelite loadtest`: what it refuses; and, slowly, real loads on real servers. What it prints is tested in test_loadtest_page.py."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import RUN_WITHIN_S, servelite, servelite_here
from tests.cli.conftest import FUNCTIONS
from tests.cli.test_usage_picture import size
from tests.server import Server, children, free_port, is_running, until

DOUBLE, SHOUT = FUNCTIONS / "double", FUNCTIONS / "shout"

WRONG = """
from servelite import function

@function
def wrong(number: int) -> int:
    return number + 1
"""

SLOW = """
import time
from servelite import function

@function(max_workers=1)
def slow(number: int) -> int:
    time.sleep(0.05)
    return number
"""

WriteFunction = Callable[..., Path]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--find-capacity"], "--find-capacity searches what keeps an SLO. Give one, for example --slo p95=50ms,errors=0."),
        (["--rate", "5", "--users", "3"], "--rate says how many calls there are, and --users callers that wait for answers."),
        (["--find-capacity", "--slo", "errors=0", "--spawn-rate", "3"], "--find-capacity tries rates, and --spawn-rate callers that wait"),
        (["--find-capacity", "--slo", "errors=0", "--rate", "5"], "--find-capacity finds the rate itself"),
        (["--find-capacity", "--slo", "errors=0", "--shape", "ramp"], "--find-capacity finds the rate itself"),
        (["--time", "soon"], "'soon' is no time from 1s to 24h. Write for example 30s, 2m or 1h."),
        (["--time", "0s"], "'0s' is no time from 1s to 24h."),
        (["--time", "25h"], "'25h' is no time from 1s to 24h."),
        (["--shape", "square"], "'square' is not one of 'steady', 'spiky', 'ramp'."),
        (["--users", "0"], "0 is not in the range"),
        (["--slo", "p95=50"], "a time has a unit, us, ms or s. Write for example p95=50ms."),
        (["--mix", "double=lots"], "'double=lots' is no part of a mix. Write for example sentiment=3,topic=1."),
        (["--png", "load.pdf"], "--png draws a PNG; load.pdf is named as another kind of file."),
        (["--url", "http://example.org"], "http://example.org is not on this machine, and a load test puts load on nobody else's server."),
    ],
    ids=lambda one: one if isinstance(one, str) else " ".join(one),
)
def test_what_can_not_be_had_is_told_before_anything_is_done(tmp_path: Path, options: list[str], says: str) -> None:
    done = servelite_here("loadtest", DOUBLE, *options, cwd=tmp_path)
    assert done.returncode == 2
    assert says in " ".join(done.stderr.split())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = servelite_here("loadtest", "nowhere", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "servelite: There is no folder nowhere. PATH is a function's folder, or a folder of them; or give --url.\n"


def test_where_nobody_listens_it_is_told(tmp_path: Path) -> None:
    done = servelite_here("loadtest", ".", "--url", f"http://127.0.0.1:{free_port()}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("servelite: No server answers there")


def test_a_function_without_examples_is_told(server: Server, tmp_path: Path) -> None:
    done = servelite_here("loadtest", "flop", "--url", server.url, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("servelite: The server has no function 'flop'. It has: ")
    done = servelite_here("loadtest", "misbehave", "--url", server.url, cwd=tmp_path)
    assert done.stderr == "servelite: Calls are made of examples, and misbehave has none. Put some into its examples.jsonl.\n"


@pytest.mark.parametrize(
    ("package", "options", "extra"),
    [("locust", [], "loadtest"), ("matplotlib", ["--html", "report.html"], "plot")],
    ids=["locust", "matplotlib"],
)
def test_without_what_it_needs_it_says_what_to_install(tmp_path: Path, package: str, options: list[str], extra: str) -> None:
    code = f"import sys; sys.modules['{package}'] = None; from servelite.__main__ import main; main()"
    command = [sys.executable, "-c", code, "loadtest", str(DOUBLE), *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=RUN_WITHIN_S, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith(f"which is not installed: pip install 'servelite[{extra}]'\n")


def test_locust_does_not_come_into_this_process(tmp_path: Path) -> None:
    """Its way of waiting would take hold of all that waits here."""
    code = "import sys, servelite.cli.loadtest, servelite.tools.loadtest.learning; print(sorted({'locust', 'gevent'} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], cwd=tmp_path, text=True) == "[]\n"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have temporary folders made where the test can see that none is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert not list(folder.glob("servelite-*"))


def loaded(cwd: Path, *arguments: str | Path) -> tuple[int, dict[str, Any]]:
    """Return the exit code and the JSON of a load test."""
    command = [sys.executable, "-m", "servelite", "loadtest", *map(str, arguments), "--json"]
    done = subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


@pytest.mark.slow
def test_a_load_is_measured_drawn_and_leaves_nothing(tmp_path: Path, temporary: Path) -> None:
    options = ["--users", "3", "--time", "2s", "--slo", "errors=0", "--html", "report.html", "--png", "load.png"]
    done = servelite("loadtest", DOUBLE, *options, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "Drawn into load.png.\nWritten into report.html.\n")
    assert ": 3 users; " in done.stdout
    assert done.stdout.endswith("The SLO was kept.\n")
    assert size(tmp_path / "load.png") == (1600, 768)
    assert "<table>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert {one.name for one in tmp_path.iterdir()} == {"temporary", "load.png", "report.html"}  # no ledger of its calls


@pytest.mark.slow
def test_several_functions_are_called_by_several_processes_as_they_are_mixed(tmp_path: Path, temporary: Path, server: Server) -> None:
    options = ["--processes", "2", "--users", "4", "--time", "4s", "--mix", "double=9,shout=1", "--shape", "spiky", "--sizes", "long-tail"]
    code, told = loaded(tmp_path, ".", "--url", server.url, *options)
    assert code == 0
    double, shout, total = told["rows"]
    assert (double["name"], shout["name"]) == ("double", "shout")
    assert double["calls"] > 3 * shout["calls"] > 0
    assert (total["calls"], total["failed"], told["errors"]) == (double["calls"] + shout["calls"], 0, [])
    assert total["compute_us"] == double["compute_us"] + shout["compute_us"] > 0
    assert total["million_micro"] > 0
    assert total["mean_batch"] == 1
    assert told["run"]["mix"] == {"double": 9, "shout": 1}


@pytest.mark.slow
def test_an_slo_that_is_missed_is_exit_code_1(tmp_path: Path, temporary: Path) -> None:
    code, told = loaded(tmp_path, DOUBLE, "--time", "1s", "--rate", "20", "--slo", "p50=1us")
    assert (code, told["objectives"][0]["kept"]) == (1, False)


@pytest.mark.slow
def test_wrong_answers_are_errors(tmp_path: Path, temporary: Path, write_function: WriteFunction) -> None:
    folder = write_function("wrong", WRONG, {"examples.jsonl": '{"input": 1, "output": 2}\n{"input": 2, "output": 4}\n'})
    code, told = loaded(tmp_path, folder, "--time", "1s", "--users", "1")
    assert code == 0
    (error,) = told["errors"]
    assert (error["code"], error["words"]) == ("wrong_answer", "the output is 3, not 4")
    assert 0 < error["count"] == told["rows"][-1]["failed"] < told["rows"][-1]["calls"]
    code, told = loaded(tmp_path, folder, "--time", "1s", "--users", "1", "--slo", "errors=0")
    assert code == 1


@pytest.mark.slow
def test_the_capacity_is_found(tmp_path: Path, temporary: Path, write_function: WriteFunction) -> None:
    """One worker that takes 50 ms answers 20 calls a second at most: at 32, calls that are due wait longer and longer."""
    folder = write_function("slow", SLOW, {"examples.jsonl": '{"input": 1}\n'})
    code, told = loaded(tmp_path, folder, "--find-capacity", "--slo", "p95=600ms,errors=0", "--time", "3s")
    found = told["capacity"]
    assert code == (0 if found["kept_rps"] else 1)
    assert found["missed_rps"] <= 32
    assert found["steps"][0]["rps"] == 16
    assert not any(one["kept"] for one in found["steps"] if one["rps"] >= found["missed_rps"])
    assert all(one["row"]["p95_us"] <= 600_000 for one in found["steps"] if one["kept"])


@pytest.mark.slow
def test_on_a_terminal_it_tells_how_it_goes(tmp_path: Path, temporary: Path) -> None:
    above, below = pty.openpty()
    command = [sys.executable, "-m", "servelite", "loadtest", str(DOUBLE), "--time", "3s", "--users", "1"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=below, text=True) as process:
        os.close(below)
        seen, ends_s = b"", time.monotonic() + RUN_WITHIN_S
        while process.poll() is None and time.monotonic() < ends_s:
            if select.select([above], [], [], 0.1)[0]:
                try:
                    seen += os.read(above, 4096)
                except OSError:  # the other end is closed
                    break
        out, _ = process.communicate(timeout=RUN_WITHIN_S)
    os.close(above)
    assert process.returncode == 0
    assert b" of 3 s, " in seen
    assert b"\n" not in seen.strip()  # on one line
    assert ": 1 user; " in out


@pytest.mark.slow
def test_ctrl_c_ends_all_that_was_started(tmp_path: Path, temporary: Path) -> None:
    command = [sys.executable, "-m", "servelite", "loadtest", str(DOUBLE), "--time", "1h", "--processes", "2"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        started = until(lambda: everything_below(process.pid, least=6))  # a server with keeper and worker, a master with two workers
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=RUN_WITHIN_S)
    assert process.returncode == 1
    assert said.decode().strip() == "Aborted!"
    assert not [pid for pid in started if is_running(pid)]


def everything_below(pid: int, least: int) -> set[int]:
    """Return the processes that a process started, and those that they started; none while there are fewer."""
    found, new = set[int](), {pid}
    while new := {child for one in new for child in children(one)}:
        found |= new
    return found if len(found) >= least else set()


@pytest.mark.slow
def test_a_server_that_asks_for_a_key_is_shown_one(
    tmp_path: Path, start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start_server(DOUBLE, "--require-key")
    options = ["double", "--url", server.url, "--time", "1s", "--users", "1"]
    done = servelite("loadtest", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert "key" in done.stderr
    key = servelite("keys", "create", "--account", "acme", cwd=tmp_path).stdout.split()[0]
    monkeypatch.setenv("SERVELITE_KEY", key)
    code, told = loaded(tmp_path, *options)
    assert (code, told["errors"]) == (0, [])
