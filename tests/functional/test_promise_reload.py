"""Promise 7: an edit is served without a dropped call, and a broken one not at all."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import FolderWriter
from tests.server import Reply, Server, until

pytestmark = pytest.mark.slow

StartServer = Callable[..., Server]

EDITS = 20
CLIENTS = 8

VERSION = """
from servelite import function

@function(max_batch=8)
def version(numbers: list[int]) -> list[int]:
    return [{version} for _ in numbers]
"""


class Load:
    """Clients that call again and again until they are told to stop; what they were answered."""

    def __init__(self, server: Server) -> None:
        self._is_over = False
        self.replies: list[Reply] = []
        self._threads = [threading.Thread(target=self._call, args=[server], daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _call(self, server: Server) -> None:
        connection = server.connect()
        while not self._is_over:
            connection.request("POST", "/functions/version", b"1", {"Content-Type": "application/json"})
            response = connection.getresponse()
            self.replies.append(Reply(response.status, response.headers, response.read()))
        connection.close()

    def stop(self) -> None:
        self._is_over = True
        for thread in self._threads:
            thread.join(timeout=30)
            assert not thread.is_alive(), "a call was not answered"


def save(folder: Path, version: int) -> None:
    (folder / "handler.py").write_text(VERSION.format(version=version))


def test_twenty_edits_under_load_cost_no_call(write_function: FolderWriter, start_server: StartServer) -> None:
    folder = write_function("version", VERSION.format(version=0))
    server = start_server(folder, "--reload")
    load = Load(server)
    for version in range(1, EDITS + 1):
        save(folder, version)
        until(lambda version=version: server.call("version", 1).body == b"%d" % version)
    load.stop()
    assert {reply.status for reply in load.replies} == {200}
    assert {int(reply.body) for reply in load.replies} <= set(range(EDITS + 1))
    until(lambda: len(server.workers()) == 1)


def test_a_broken_edit_keeps_the_old_version_and_says_why(write_function: FolderWriter, start_server: StartServer) -> None:
    folder = write_function("version", VERSION.format(version=1))
    server = start_server(folder, "--reload")
    (folder / "handler.py").write_text("broken(")
    until(lambda: "The version before goes on." in server.errors())
    assert "handler.py:1" in server.errors()
    assert server.call("version", 1).body == b"1"
    assert server.get("/readyz").status == 200
    save(folder, 2)
    until(lambda: server.call("version", 1).body == b"2")


def test_an_edit_that_hangs_stops_no_other(write_function: FolderWriter, start_server: StartServer) -> None:
    folder = write_function("version", VERSION.format(version=1))
    server = start_server(folder, "--reload")
    (old,) = server.workers()
    (folder / "handler.py").write_text("import time\ntime.sleep(1000)\n")
    until(lambda: len(server.workers()) == 2)
    save(folder, 2)
    until(lambda: server.call("version", 1).body == b"2")
    until(lambda: len(server.workers()) == 1 and old not in server.workers())


def test_an_edit_that_is_refused_changes_nothing(write_function: FolderWriter, start_server: StartServer) -> None:
    folder = write_function("version", VERSION.format(version=1))
    server = start_server(folder, "--reload")
    before = server.get("/functions/version").json()
    edited = VERSION.format(version=2).replace("max_batch=8", "max_batch=4, memory_mib=5")
    (folder / "handler.py").write_text(edited)
    until(lambda: "Raise it." in server.errors())
    assert server.get("/functions/version").json() == before
    assert server.call("version", 1).body == b"1"


def test_a_saved_artefact_is_an_edit_and_bytecode_is_none(write_function: FolderWriter, start_server: StartServer) -> None:
    source = """
        from pathlib import Path
        from servelite import function

        labels = Path(__file__).with_name("labels.txt").read_text()

        @function
        def version(number: int) -> str:
            return labels
    """
    folder = write_function("version", source, {"labels.txt": "old"})
    server = start_server(folder, "--reload")
    (folder / "__pycache__").mkdir(exist_ok=True)
    (folder / "__pycache__" / "x.pyc").write_bytes(b"")
    (folder / ".hidden").write_text("")
    (folder / "labels.txt").write_text("new")
    until(lambda: server.call("version", 1).body == b"new")
    assert server.errors().count("is served as it was saved") == 1
