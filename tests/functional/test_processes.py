"""Which processes there are, what they have loaded, and that none is left."""

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.adapters.problem import check_problem
from tests.conftest import FolderWriter
from tests.server import Reply, Server, free_port, is_running, until

ROOT = Path(__file__).parents[2]
StartServer = Callable[..., Server]

HEAVY = ("numpy", "onnxruntime", "pydantic_core")


@pytest.fixture(scope="module")
def sentiment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(ROOT / "functions" / "sentiment", cwd=tmp_path_factory.mktemp("sentiment"))
    try:
        server.wait_ready()
        assert server.call("sentiment", {"text": "great film"}).status == 200
        for path in ("/", "/functions", "/functions/sentiment", "/openapi.json", "/livez", "/readyz", "/metrics", "/usage"):
            assert server.get(path).status == 200
        yield server
    finally:
        server.kill()


def mapped(pid: int) -> str:
    """Return the files that a process has mapped, its shared libraries among them."""
    return Path(f"/proc/{pid}/maps").read_text()


@pytest.mark.parametrize("package", HEAVY)
def test_the_gateway_has_not_loaded(sentiment: Server, package: str) -> None:
    assert package not in mapped(sentiment.process.pid)


@pytest.mark.parametrize("package", HEAVY)
def test_the_worker_has_loaded(sentiment: Server, package: str) -> None:
    (worker,) = sentiment.workers()
    assert re.search(rf"/{package}/.*\.so", mapped(worker))


def test_a_worker_of_a_plain_function_has_no_model_runtime(functions: Path, start_server: StartServer) -> None:
    server = start_server(functions / "double")
    (worker,) = server.workers()
    assert "onnxruntime" not in mapped(worker)
    assert "numpy" not in mapped(worker)


def test_the_gateway_fits_in_45_mib(sentiment: Server) -> None:
    rollup = Path(f"/proc/{sentiment.process.pid}/smaps_rollup").read_text()
    pss = re.search(r"^Pss: +(\d+) kB", rollup, re.MULTILINE)
    assert pss
    assert int(pss[1]) <= 45 * 1024


def test_importing_servelite_loads_nothing_heavy() -> None:
    command = [sys.executable, "-c", "import json, sys, servelite; print(json.dumps(sorted(sys.modules)))"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    roots = {name.partition(".")[0] for name in json.loads(done.stdout)}
    assert "servelite" in roots
    assert not roots & {"starlette", "uvicorn", "onnxruntime", "numpy", "rich", "pydantic", "pydantic_core", "click", "prometheus_client"}
    assert not roots & {"asyncio", "sqlite3", "uvloop", "httptools"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_ends_the_server_and_all_of_its_workers(functions: Path, start_server: StartServer, number: signal.Signals) -> None:
    server = start_server(functions / "double", functions / "tag", functions / "shout")
    workers = server.workers()
    assert len(workers) == 3
    idle = server.connect()
    idle.request("GET", "/livez")
    assert idle.getresponse().read()
    assert server.stop(number) == 0
    assert not [worker for worker in workers if is_running(worker)]
    assert server.troubles() == []
    idle.close()


def test_ctrl_c_in_a_terminal_reaches_all_and_ends_cleanly(functions: Path, start_server: StartServer) -> None:
    server = start_server(functions / "double")
    workers = server.workers()
    os.killpg(server.process.pid, signal.SIGINT)
    assert server.process.wait(timeout=30) == 0
    assert server.troubles() == []
    assert not [worker for worker in workers if is_running(worker)]


GATED = """
    import time
    from pathlib import Path
    from servelite import function

    def wait_for(name):
        while not Path(__file__).with_name(name).exists():
            time.sleep(0.005)

    if Path(__file__).with_name("slow").exists():
        wait_for("go")

    @function(timeout_s=20)
    def gated(text: str) -> str:
        Path(__file__).with_name("entered").touch()
        if text == "loop":
            while True:
                pass
        wait_for("go")
        return f"{text} done"
"""


class Asking(threading.Thread):
    """A call in a thread of its own."""

    def __init__(self, server: Server, text: str) -> None:
        super().__init__(daemon=True)
        self._server, self._text = server, text
        self.reply: Reply | None = None
        self.start()

    def run(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.reply = self._server.call("gated", self._text)

    def answer(self) -> Reply | None:
        self.join(timeout=30)
        assert not self.is_alive(), "no answer within 30 s"
        return self.reply


def is_listening(server: Server) -> bool:
    try:
        server.socket().close()
    except ConnectionRefusedError:
        return False
    return True


def test_running_and_waiting_calls_are_answered_before_the_server_ends(write_function: FolderWriter, start_server: StartServer) -> None:
    folder = write_function("gated", GATED)
    server = start_server(folder)
    running = Asking(server, "running")
    until((folder / "entered").exists)
    waiting = Asking(server, "waiting")
    until(lambda: 'servelite_queue_length{function="gated"} 1.0' in server.get("/metrics").body.decode())
    server.process.send_signal(signal.SIGTERM)
    until(lambda: not is_listening(server) or server.get("/readyz").status == 503)
    assert server.process.poll() is None
    (folder / "go").touch()
    assert [(asking.answer().status, asking.answer().body) for asking in (running, waiting)] == [
        (200, b"running done"),
        (200, b"waiting done"),
    ]
    assert server.process.wait(timeout=30) == 0
    assert server.troubles() == []


def test_a_new_call_to_a_draining_server_is_told_so(write_function: FolderWriter, start_server: StartServer) -> None:
    folder = write_function("gated", GATED)
    server = start_server(folder)
    opened = server.connect()
    opened.connect()
    running = Asking(server, "running")
    until((folder / "entered").exists)
    try:
        server.process.send_signal(signal.SIGTERM)
        until(lambda: not is_listening(server) or server.get("/readyz").status == 503)
        opened.request("POST", "/functions/gated", b"late", {"Content-Type": "text/plain"})
        response = opened.getresponse()
        problem = check_problem(Reply(response.status, response.headers, response.read()), 503, "shutting_down")
        assert int(response.headers["Retry-After"]) > 0
        assert problem["detail"]
    finally:
        (folder / "go").touch()
        opened.close()
    assert running.answer().status == 200


def test_a_signal_during_the_start_ends_it_cleanly(write_function: FolderWriter, tmp_path: Path) -> None:
    folder = write_function("gated", GATED, {"slow": ""})
    server = Server(folder, cwd=tmp_path)
    try:
        workers = until(server.workers)
        until(lambda: "python" in mapped(next(iter(workers))))
        until(lambda: _handles(server.process.pid, signal.SIGTERM))
        assert server.stop() == 0
        assert server.troubles() == []
        until(lambda: not [worker for worker in workers if is_running(worker)])
    finally:
        (folder / "go").touch()
        server.kill()


def _handles(pid: int, number: int) -> bool:
    """Tell whether a process has a handler of its own for a signal."""
    caught = re.search(r"^SigCgt:\s*([0-9a-f]+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)


@pytest.mark.parametrize("busy", [pytest.param(False, id="idle"), pytest.param(True, id="in an endless loop")])
def test_no_worker_outlives_a_killed_gateway(write_function: FolderWriter, start_server: StartServer, *, busy: bool) -> None:
    folder = write_function("gated", GATED)
    server = start_server(folder)
    (worker,) = server.workers()
    if busy:
        Asking(server, "loop")
        until((folder / "entered").exists)
    server.stop(signal.SIGKILL)
    try:
        until(lambda: not is_running(worker))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)


def test_a_stuck_call_does_not_keep_the_server_from_its_second_signal(write_function: FolderWriter, start_server: StartServer) -> None:
    folder = write_function("gated", GATED)
    server = start_server(folder)
    (worker,) = server.workers()
    Asking(server, "loop")
    until((folder / "entered").exists)
    server.process.send_signal(signal.SIGINT)
    until(lambda: not is_listening(server) or server.get("/readyz").status == 503)
    server.process.send_signal(signal.SIGINT)
    until(lambda: server.process.poll() is not None, within_s=15)  # before the 20 s of the call are over
    until(lambda: not is_running(worker))


def test_started_and_stopped_twice_in_a_row_both_work(functions: Path, start_server: StartServer) -> None:
    for _ in range(2):
        server = start_server(functions / "double")
        assert server.call("double", 4).body == b"8"
        assert server.stop() == 0


def test_the_same_port_is_free_again_at_once(functions: Path, start_server: StartServer) -> None:
    port = free_port()
    for _ in range(2):
        server = start_server(functions / "double", "--port", str(port))
        assert server.port == port
        assert server.call("double", 1).status == 200
        assert server.stop() == 0


def test_a_worker_killed_between_calls_is_replaced(functions: Path, start_server: StartServer) -> None:
    server = start_server(functions / "double")
    (first,) = server.workers()
    os.kill(first, signal.SIGKILL)
    until(lambda: not is_running(first))
    replies = until(lambda: (reply := server.call("double", 2)).status == 200 and [reply])
    assert replies[0].body == b"4"
    assert first not in until(server.workers)


def test_a_worker_killed_between_calls_costs_no_call(functions: Path, start_server: StartServer) -> None:
    server = start_server(functions / "double")
    (first,) = server.workers()
    os.kill(first, signal.SIGKILL)
    until(lambda: not is_running(first))
    assert server.call("double", 2).body == b"4"


def test_many_functions_start_together(write_function: FolderWriter, start_server: StartServer) -> None:
    source = "from servelite import function\n\n@function\ndef answer(number: int) -> int:\n    return number\n"
    folders = [write_function(f"f{number}", source) for number in range(24)]
    server = start_server(folders[0].parent)
    assert [server.call(folder.name, 7).json() for folder in folders] == [7] * len(folders)
    assert server.stop() == 0
