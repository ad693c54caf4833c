"""The door of a real server: who may ask, slow and idle and greedy clients, and crowds."""

import asyncio
import http.client
import itertools
import random
import re
import resource
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.adapters.problem import check_problem
from tests.cli.command import servelite
from tests.conftest import FolderWriter
from tests.functional.crowd import Crowd, calling
from tests.functional.promises import resident_mib
from tests.keys import bearer, make_key
from tests.server import Reply, Server, read_reply, until

MIB = 1024 * 1024
FUNCTIONS = Path(__file__).parent / "functions"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve to anyone on this machine, to pages of one other origin too, and under one other name."""
    yield from _serving(tmp_path_factory, "--allow-host", "models.example.org", "--allow-origin", "https://models.example.org")


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve to every machine, for a key."""
    yield from _serving(tmp_path_factory, "--require-key", "--host", "0.0.0.0")


@pytest.fixture(scope="module")
def key(locked: Server) -> str:
    """Return an admin key of the locked server, which knows it."""
    made = make_key(locked.cwd, is_admin=True)
    until(lambda: ask(locked, bearer(made)).status == 200)
    return made


def _serving(tmp_path_factory: pytest.TempPathFactory, *options: str) -> Iterator[Server]:
    folders = [FUNCTIONS / name for name in ("double", "shout", "flip", "tag")]
    started = Server(*folders, *options, cwd=tmp_path_factory.mktemp("door"))
    try:
        yield started.wait_ready()
    finally:
        started.kill()


def ask(server: Server, headers: dict[str, str], method: str = "POST", path: str = "/functions/double") -> Reply:
    return server.request(method, path, b"4" if method == "POST" else None, headers)


# who may ask


@pytest.mark.parametrize(
    ("host", "status"),
    [("localhost", 200), ("127.0.0.1:1", 200), ("[::1]", 200), ("models.example.org:443", 200), ("evil.example", 421), ("a@b", 400)],
)
def test_a_server_answers_to_its_names(server: Server, host: str, status: int) -> None:
    for method, path in [("POST", "/functions/double"), ("GET", "/functions"), ("GET", "/livez"), ("POST", "/nothing")]:
        reply = ask(server, {"Host": host}, method, path)
        if status != 200:
            check_problem(reply, status, "misdirected_host" if status == 421 else "bad_request")
        else:
            assert reply.status == (404 if path == "/nothing" else 200)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": "http://{here}"}, 200),
        ({"Origin": "https://models.example.org", "Sec-Fetch-Site": "cross-site"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
    ids=str,
)
def test_a_page_of_another_origin_can_not_call(server: Server, headers: dict[str, str], status: int) -> None:
    sent = {name: value.format(here=f"127.0.0.1:{server.port}") for name, value in headers.items()}
    reply = ask(server, {**sent, "Content-Type": "application/json"})
    assert reply.status == status
    if status == 403:
        check_problem(reply, 403, "forbidden")


@pytest.mark.parametrize("line", ["Host: evil.example", "Host: localhost\r\nOrigin: null"])
def test_a_stranger_is_refused_before_his_body_comes(server: Server, line: str) -> None:
    with server.socket() as connection:
        connection.sendall(f"POST /functions/double HTTP/1.1\r\n{line}\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n\r\n".encode())
        assert read_reply(connection).status in (403, 421)


@pytest.mark.parametrize(
    "path", ["/", "/functions", "/functions/double", "/functions/nothing", "/openapi.json", "/metrics", "/usage", "/nothing"]
)
def test_without_a_key_a_server_says_nothing_of_what_it_has(locked: Server, key: str, path: str) -> None:
    said = set()
    for method, authorization in itertools.product(("GET", "POST"), ("", f"Bearer {key}x", "Bearer", f"Basic {key}", key)):
        reply = ask(locked, {"Authorization": authorization} if authorization else {}, method, path)
        check_problem(reply, 401, "unauthorized")
        ours = [(name, value) for name, value in reply.headers.items() if name not in ("date", "x-request-id", "connection")]
        said.add((str(ours), re.sub(rb'"request_id": "[0-9a-f]{32}"', b"", reply.body)))
    assert len(said) == 1
    assert "('www-authenticate', 'Bearer')" in str(said)


@pytest.mark.parametrize("header", ["Content-Encoding: gzip", "X-Deadline-Ms: never", "Idempotency-Key: a b", "Content-Type: text/xml"])
def test_without_a_key_no_header_tells_which_functions_there_are(locked: Server, header: str) -> None:
    name, value = header.split(": ")
    for path in ("/functions/double", "/functions/nothing"):
        for locked.sends_whole in (False, True):
            check_problem(ask(locked, {name: value}, "POST", path), 401, "unauthorized")


def test_with_a_key_a_server_answers_whoever_names_it(locked: Server, key: str) -> None:
    for host in ("localhost", "whatever.example"):
        assert ask(locked, {"Host": host, **bearer(key)}).body == b"8"
    check_problem(ask(locked, {"Origin": "null", **bearer(key)}), 403, "forbidden")


def test_with_a_key_every_page_is_there_the_playground_too(locked: Server, key: str) -> None:
    for path in ("/", "/functions", "/functions/double", "/openapi.json", "/metrics", "/usage"):
        assert ask(locked, bearer(key), "GET", path).status == 200


def test_whoever_watches_a_server_needs_no_key_and_learns_no_names(locked: Server) -> None:
    assert locked.get("/livez").json() == {"status": "alive"}
    assert locked.get("/readyz").json() == {"status": "ready"}


@pytest.mark.parametrize(
    ("shown", "exit_code", "said"),
    [
        ("{key}", 0, "receipt: "),
        ("", 1, "The key is missing, wrong, expired or revoked."),
        ("x" * 40, 1, "The key is missing, wrong, expired or revoked."),
        ("x y", 2, "Put in what servelite keys create printed."),
    ],
    ids=["a valid key", "no key", "a wrong key", "what can't be a key"],
)
def test_the_command_line_shows_its_key(
    locked: Server, key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str, exit_code: int, said: str
) -> None:
    monkeypatch.setenv("SERVELITE_KEY", shown.format(key=key))
    done = servelite("call", "double", "4", "--url", locked.url, cwd=tmp_path)
    assert done.returncode == exit_code
    assert said in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "Add --require-key, or stay on --host 127.0.0.1."),
        (["--require-key", "--ledger", "none"], "finds its keys in the ledger, and --ledger none keeps nothing."),
        (["--allow-host", "http://a"], "Write for example models.example.org."),
        (["--allow-origin", "a.example"], "for example https://models.example.org."),
    ],
    ids=["beyond this machine without a key", "keys without a ledger", "a host that is none", "an origin that is none"],
)
def test_what_is_not_safe_is_not_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], said: str) -> None:
    monkeypatch.setenv("SERVELITE_KEY", "x" * 40)  # which is for clients
    done = servelite("run", FUNCTIONS / "double", "--port", "0", *options, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def test_a_handler_does_not_see_the_key(
    write_function: FolderWriter, start_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVELITE_KEY", "x" * 40)
    source = "import os\nfrom servelite import function\n\n@function\ndef look(name: str) -> bool:\n    return name in os.environ\n"
    served = start_server(write_function("look", source))
    assert [served.call("look", name).json() for name in ("PATH", "SERVELITE_KEY")] == [True, False]


# refusals


REFUSED = [
    ("/functions/nothing", "Accept: */*", 404),
    ("/nothing", "Accept: */*", 404),
    ("/livez", "Accept: */*", 405),
    ("/functions/double", "Content-Type: image/png", 415),
    ("/functions/double", "Origin: null", 403),
    ("/functions/double", "Content-Encoding: gzip", 415),
]


@pytest.mark.parametrize(("path", "line", "status"), REFUSED)
def test_a_refusal_costs_no_connection(server: Server, path: str, line: str, status: int) -> None:
    head = "POST {} HTTP/1.1\r\nHost: localhost\r\n{}\r\nContent-Length: 1\r\n\r\n4"
    with server.socket() as connection:
        for _ in range(3):
            connection.sendall(head.format(path, line).encode())
            reply = read_reply(connection)
            assert (reply.status, reply.headers["Connection"]) == (status, None)
        connection.sendall(head.format("/functions/double", "Accept: */*").encode())
        assert read_reply(connection).body == b"8"


@pytest.mark.parametrize(("path", "line", "status"), REFUSED)
def test_a_refusal_before_the_body_has_come_ends_the_connection(server: Server, path: str, line: str, status: int) -> None:
    with server.socket() as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{line}\r\nContent-Length: 1\r\n\r\n".encode())
        reply = read_reply(connection)
        assert (reply.status, reply.headers["Connection"]) == (status, "close")
        connection.sendall(b"4")
        assert connection.recv(1) == b""


@pytest.mark.parametrize("size", [6 * MIB + 1, 7 * MIB, 48 * MIB], ids=lambda size: f"{size} bytes")
def test_a_client_that_sends_everything_first_reads_its_413(server: Server, size: int) -> None:
    connection = server.connect()
    connection.request("POST", "/functions/flip", bytes(size), {"Content-Type": "application/octet-stream"})
    response = connection.getresponse()
    check_problem(Reply(response.status, response.headers, response.read()), 413, "payload_too_large")
    connection.close()


def test_a_client_that_sends_chunks_first_reads_its_413(server: Server) -> None:
    connection = server.connect()
    chunks = (bytes(MIB) for _ in range(12))
    connection.request("POST", "/functions/flip", chunks, {"Content-Type": "application/octet-stream"}, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_a_client_that_asks_first_need_not_send(server: Server) -> None:
    with server.socket() as connection:
        head = f"POST /functions/flip HTTP/1.1\r\nHost: localhost\r\nContent-Length: {7 * MIB}\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        check_problem(read_reply(connection), 413, "payload_too_large")


# crowds


@pytest.mark.slow
def test_a_thousand_idle_connections_do_no_harm(server: Server) -> None:
    before = _rss_bytes(server)
    with ExitStack() as open_ones:
        idle = [open_ones.enter_context(server.socket()) for _ in range(1000)]
        for connection in idle:
            connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_reply(connection).status == 200
        with calling(server, clients=4) as calls:
            until(lambda: len(calls.latencies) >= 1000)
        assert calls.errors == []
        assert (_rss_bytes(server) - before) / len(idle) < 16 * 1024
        assert select.select(idle, [], [], 0)[0] == []


def test_a_server_without_file_descriptors_lives_and_recovers(start_server: Callable[..., Server]) -> None:
    server = start_server(FUNCTIONS / "double", "--ledger", "none")
    resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (64, 64))
    with ExitStack() as open_ones:
        crowd = [open_ones.enter_context(server.socket()) for _ in range(100)]
        until(lambda: len(select.select(crowd, [], [], 0)[0]) > 30)  # turned away
        crowd[0].sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_reply(crowd[0]).status == 200
    assert until(lambda: _body_or_none(server)) == b"8"


@pytest.mark.slow
def test_200_slow_senders_are_cut_off_while_others_are_served(server: Server) -> None:
    head = b"POST /functions/double HTTP/1.1\r\nHost: localhost\r\n"
    begun = [b"", head, head + b"Content-Length: 1000\r\n\r\n", head + b"Transfer-Encoding: chunked\r\n\r\n400\r\n"]
    opened = time.monotonic()
    with ExitStack() as open_ones, calling(server, clients=4) as calls:
        slow = {open_ones.enter_context(server.socket()): begin for begin in begun * 50}
        for connection, begin in slow.items():
            connection.sendall(begin)
        while slow and time.monotonic() < opened + 60:
            for connection in select.select(list(slow), [], [], 1)[0]:
                assert _is_over(connection)
                del slow[connection]
            for connection in [one for one, begin in slow.items() if begin]:
                with suppress(OSError):
                    connection.send(b"x")
    assert not slow, f"{len(slow)} are left"
    assert calls.errors == []
    assert max(calls.latencies) < 5


@pytest.mark.slow
def test_clients_that_do_not_read_are_cut_off_and_cost_one_answer_each(server: Server) -> None:
    before, head = _rss_bytes(server), f"POST /functions/flip HTTP/1.1\r\nHost: localhost\r\nContent-Length: {6 * MIB}\r\n\r\n"
    with ExitStack() as open_ones:
        deaf = [open_ones.enter_context(socket.socket()) for _ in range(5)]
        for connection in deaf:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect(("127.0.0.1", server.port))
            connection.sendall(head.encode() + bytes(6 * MIB) + b"GET /functions HTTP/1.1\r\nHost: localhost\r\n\r\n" * 5000)
        asked = time.monotonic()
        with calling(server, clients=1) as calls:
            while time.monotonic() < asked + 60 and _connections(server) > 1:
                assert _rss_bytes(server) - before < len(deaf) * 32 * MIB
                select.select([], [], [], 0.1)
    assert time.monotonic() - asked < 50
    assert calls.errors == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1])
def test_20_000_mixed_calls_get_their_own_answers(server: Server, seed: int) -> None:
    crowd = Crowd(server.port, random.Random(seed))
    asyncio.run(crowd.call(count=20_000, connections=64))
    assert crowd.crossed == []
    assert crowd.kinds.keys() == {"double", "shout", "flip", "tag", "invalid", "malformed", "unknown", "misdirected"}
    assert len(crowd.ids) == sum(crowd.kinds.values()) == 20_000
    assert crowd.left_early > 100


def _is_over(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def _rss_bytes(server: Server) -> int:
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * resource.getpagesize()


def _connections(server: Server) -> int:
    """Count the connections that the server holds; the listening socket and those to its workers are none."""
    held = {str(path.readlink()) for path in Path(f"/proc/{server.process.pid}/fd").iterdir() if path.is_symlink()}
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(row[1].endswith(f":{server.port:04X}") and row[3] == "01" and f"socket:[{row[9]}]" in held for row in rows)


def _body_or_none(server: Server) -> bytes | None:
    try:
        return server.call("double", 4).body
    except (OSError, http.client.HTTPException):
        return None


@pytest.mark.slow
def test_answers_that_were_read_cost_no_memory(start_server: Callable[..., Server]) -> None:
    server = start_server(FUNCTIONS / "flip")
    body = bytes(1024 * 1024)
    assert server.post("flip", body, "application/octet-stream").status == 200
    before_mib = resident_mib(server.process.pid)
    for _ in range(100):
        assert server.post("flip", body, "application/octet-stream").status == 200
    assert resident_mib(server.process.pid) < before_mib + 30
