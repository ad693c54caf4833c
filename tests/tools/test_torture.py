"""`servelite torture` on real servers, and on bad ones that it must not let pass."""

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from servelite.core.function import Description, Limits
from servelite.tools.torture.stage import Scene, Stage
from servelite.tools.torture.trials import TRIALS, hold
from servelite.tools.torture.verdict import Verdict
from tests.cli.command import servelite, servelite_here
from tests.server import Server, children, is_running, until

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "tests" / "functional" / "functions"
SENTIMENT = ROOT / "functions" / "sentiment"

HELD = [trial.name for trial in TRIALS if trial.name != "overload"]
"""All but the one whose verdict is about speed, which is the machine's too."""


def only(*names: str) -> list[str]:
    return [part for name in names for part in ("--only", name)]


def verdicts(done: "subprocess.CompletedProcess[str]") -> dict[str, dict[str, str]]:
    """Return what `--json` printed, by trial."""
    return {one["trial"]: one for one in json.loads(done.stdout)}


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Have temporary folders made where the test can see that none is left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    yield folder
    assert not list(folder.glob("servelite-*"))


def test_a_new_function_keeps_what_is_promised(tmp_path: Path) -> None:
    servelite("new", "hello", cwd=tmp_path)
    before = {file: file.read_bytes() for file in (tmp_path / "hello").iterdir()}
    names = ["hang_python", "exit", "secret", "crossed", "kill_gateway"]
    done = servelite("torture", "hello", *only(*names), cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 passed, 0 failed, 0 skipped" in done.stdout
    assert done.stderr == ""
    for name in names:
        assert any(line.startswith(name) and "PASS" in line for line in done.stdout.splitlines())
    assert {file: file.read_bytes() for file in (tmp_path / "hello").iterdir() if file.is_file()} == before


def test_a_call_without_mates_is_no_trial_for_them(tmp_path: Path) -> None:
    done = servelite("torture", FUNCTIONS / "double", *only("batch_mates"), "--json", cwd=tmp_path)
    assert (done.returncode, verdicts(done)["batch_mates"]["result"]) == (0, "skip")


@pytest.mark.slow
@pytest.mark.alone
def test_the_sentiment_function_keeps_what_is_promised(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "servelite", "torture", str(SENTIMENT), *only(*HELD), "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert [(name, one["seen"]) for name, one in verdicts(done).items() if one["result"] != "pass"] == []
    assert (done.returncode, len(verdicts(done))) == (0, len(HELD))


def test_a_running_server_is_held_to_what_needs_no_faults(tmp_path: Path, start_server: Callable[..., Server]) -> None:
    server = start_server(FUNCTIONS / "double")
    done = servelite("torture", "double", "--url", server.url, *only("crossed", "disconnects", "segfault"), "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {name: one["result"] for name, one in verdicts(done).items()} == {"crossed": "pass", "disconnects": "pass", "segfault": "skip"}


def test_ctrl_c_ends_the_server_too_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "servelite", "torture", str(FUNCTIONS / "double"), *only("slow_clients")]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as torture:
        servers = until(lambda: children(torture.pid))
        workers = until(lambda: {worker for server in servers for worker in children(server)})
        torture.send_signal(signal.SIGINT)
        assert torture.wait(timeout=30) != 0
    until(lambda: not [pid for pid in servers | workers if is_running(pid)])


class Lax(Stage):
    """A stage whose server does not keep to the limits that the trials count on."""

    def serve(self, **limits: Any) -> AbstractAsyncContextManager[Scene]:
        return super().serve(**{**limits, "timeout_s": limits["timeout_s"] + 0.5, "memory_mib": 8192})


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize(
    ("name", "seen"),
    [
        pytest.param("hang_python", "✗ 0.5", id="an answer half a second late"),
        pytest.param("allocation", "✗ 200", id="memory without end", marks=pytest.mark.slow),
        pytest.param("leak", "✗ 1 workers in turn", id="a leak without end", marks=pytest.mark.slow),
    ],
)
def test_a_lax_server_fails(tmp_path: Path, name: str, seen: str) -> None:
    async def held() -> Verdict:
        stage = Lax(FUNCTIONS / "double", tmp_path, None, load_s=1)
        await stage.look()
        return (await hold([trial for trial in TRIALS if trial.name == name], stage))[0]

    verdict = asyncio.run(held())
    assert verdict.result == "fail"
    assert seen in verdict.seen


ECHO = Description("echo", "Says it again.", Limits(), ("application/json",), "application/json", {"type": "string"}, {"type": "string"})


class Careless(BaseHTTPRequestHandler):
    """A server that answers what it is asked, but badly; `last` is what it was asked before."""

    protocol_version = "HTTP/1.1"
    last = b""

    def do_GET(self) -> None:
        examples = [{"input": word} for word in ("one", "two", "three")]
        self.answer(200, json.dumps({**ECHO.to_dict(), "examples": examples}).encode())

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 1000))
        try:
            json.loads(body)
        except ValueError:
            self.answer(500, b"Traceback")
        else:
            self.answer(200, self.choose(body))

    def choose(self, body: bytes) -> bytes:
        return body

    def answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Request-Id", "always the same")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002  its own name
        """Keep quiet."""


class Mixing(Careless):
    """Now and then it answers with what somebody else is to get."""

    def choose(self, body: bytes) -> bytes:
        before, Mixing.last = Mixing.last, body
        return before or body


class Quiet(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what this is about."""


@contextlib.contextmanager
def serving(kind: type[Careless]) -> Iterator[str]:
    """Serve badly, and return the URL."""
    with Quiet(("127.0.0.1", 0), kind) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


@pytest.mark.slow
@pytest.mark.alone
@pytest.mark.parametrize(
    ("kind", "trial", "seen"),
    [
        pytest.param(
            Careless,
            "malformed",
            ["ends too early: 500 instead of 400", "unknown Host: 200 instead of 421"],
            id="500 to bad JSON, any Host",
        ),
        pytest.param(Careless, "crossed", ["✗ 1 different request ids"], id="one id for all"),
        pytest.param(Mixing, "crossed", ["answers belong to another"], id="crossed answers"),
    ],
)
def test_a_bad_server_fails(tmp_path: Path, kind: type[Careless], trial: str, seen: list[str]) -> None:
    with serving(kind) as url:
        done = servelite_here("torture", "echo", "--url", url, *only(trial), "--json", cwd=tmp_path)
    verdict = verdicts(done)[trial]
    assert (done.returncode, verdict["result"]) == (1, "fail")
    assert [words for words in seen if words not in verdict["seen"]] == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere"], "There is no folder nowhere"),
        ([str(FUNCTIONS / "double"), "--input", '"x"'], "answers 422 invalid_input"),
        ([str(FUNCTIONS / "anything")], "no examples.jsonl"),
        ([str(FUNCTIONS / "double"), "--only", "nonsense"], "'nonsense' is not one of"),
        (["double", "--url", "http://example.com:8080"], "is not on this machine"),
        (["double", "--url", "https://127.0.0.1:8080"], "is not on this machine"),
        (["double", "--url", "http://127.0.0.1.example.com"], "is not on this machine"),
    ],
    ids=["no folder", "a bad input", "no input", "an unknown trial", "a server elsewhere", "https", "a name that looks like here"],
)
def test_what_can_not_be_tortured_is_wrong_usage(tmp_path: Path, arguments: list[str], told: str) -> None:
    done = servelite_here("torture", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr


def test_no_server_is_a_failed_call(tmp_path: Path) -> None:
    done = servelite_here("torture", "double", "--url", "http://127.0.0.1:1", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "Is servelite running there?" in done.stderr
