"""`GET /readyz` and `/livez` while a worker is being replaced."""

from collections.abc import Callable

from tests.conftest import FolderWriter
from tests.server import Server, until

FRAGILE = """
    from pathlib import Path
    from servelite import function

    if Path(__file__).with_name("broken").exists():
        raise RuntimeError("broken now")

    @function
    def fragile(text: str) -> str:
        raise KeyboardInterrupt
"""


def test_a_function_without_a_worker_is_named_until_it_has_one_again(
    write_function: FolderWriter, start_server: Callable[..., Server]
) -> None:
    folder = write_function("fragile", FRAGILE)
    server = start_server(folder)
    assert server.get("/readyz").status == 200
    (folder / "broken").touch()
    assert server.call("fragile", "go").json()["code"] == "worker_died"
    reply = until(lambda: (reply := server.get("/readyz")).status == 503 and reply)
    why = {"code": "definition_error", "detail": "It can't be loaded; the server's log says why."}
    assert reply.json() == {"status": "unready", "unready": {"fragile": why}}
    assert server.get("/livez").status == 200
    assert server.call("fragile", "go").json()["code"] == "no_worker"
    (folder / "broken").unlink()
    until(lambda: server.get("/readyz").status == 200)
