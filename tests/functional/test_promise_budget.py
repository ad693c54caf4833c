"""Promise 6, memory: all workers together keep to --memory; the function that was idle longest makes room."""

from pathlib import Path

import pytest

from tests.conftest import FolderWriter
from tests.functional.promises import StartServer
from tests.server import Server, command_of, until

pytestmark = pytest.mark.slow

LARGE = """
    from servelite import function

    ballast = b"x" * (60 << 20)

    @function(memory_mib=400)
    def {name}(number: int) -> int:
        return number + len(ballast) - (60 << 20)
"""


def working(server: Server) -> set[str]:
    """Return the functions that have a worker."""
    return {Path(part).name for pid in server.workers() for part in command_of(pid) if "/functions/" in part}


def test_the_function_that_was_idle_longest_makes_room(write_function: FolderWriter, start_server: StartServer) -> None:
    folders = [write_function(name, LARGE.format(name=name)) for name in ("one", "two", "three")]
    server = start_server(*folders, "--memory", "190MiB")
    assert server.get("/readyz").status == 200
    for name in ("one", "two"):
        assert server.call(name, 7).body == b"7"
    until(lambda: working(server) == {"one", "two"})
    reply = server.call("three", 7)
    assert (reply.body, reply.receipt["cold"]) == (b"7", True)
    until(lambda: working(server) == {"two", "three"})
    assert server.call("two", 7).receipt["cold"] is False
    assert '"reason": "evicted"' in server.errors()
    assert server.stop() == 0


def test_a_function_that_can_not_fit_is_told_and_the_others_are_served(write_function: FolderWriter, start_server: StartServer) -> None:
    small = write_function("small", "from servelite import function\n\n@function\ndef small(number: int) -> int:\n    return number\n")
    large = write_function("large", LARGE.format(name="large").replace("60 << 20", "300 << 20").replace("400", "900"))
    server = start_server(small, large, "--memory", "150MiB")
    assert server.call("small", 7).body == b"7"
    assert server.call("large", 7).status in {503, 507}
    assert server.call("small", 7).body == b"7"
