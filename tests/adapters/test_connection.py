"""The door: one HTTP connection, driven byte by byte over a fake transport and a fake clock."""

import asyncio
import itertools
import json
import random
from collections.abc import Callable
from typing import Any

import pytest

from servelite.adapters.connection import Connection
from servelite.adapters.exchange import Exchange
from servelite.adapters.head import HEAD_BYTES, HEAD_LINES, URL_BYTES
from servelite.adapters.known_heads import KnownHeads
from servelite.adapters.patience import EMPTY_BYTES, IDLE_S, LINGER_BYTES, LINGER_S, SLICE_BYTES, SLOW_S

pytestmark = pytest.mark.anyio

GET = b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: here\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


class Clock:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.now = 1000.0

    def time(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


class Transport:
    """Keeps what is written."""

    def __init__(self) -> None:
        self.sent = b""
        self.state = "open"
        self.is_reading = True
        self.unread = 0

    def write(self, data: bytes) -> None:
        self.sent += data

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.state = "half closed"

    def pause_reading(self) -> None:
        self.is_reading = False

    def resume_reading(self) -> None:
        self.is_reading = True

    def get_write_buffer_size(self) -> int:
        return self.unread

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1)


class Host:
    """The server of one connection; its application answers with the method, the path and the body."""

    def __init__(self) -> None:
        self.loop: Any = Clock(asyncio.get_running_loop())
        self.connections: set[Connection] = set()
        self.heads = KnownHeads()
        self.is_closing = False
        self.date_line = b"date: today\r\n"
        self.door = asyncio.Event()
        self.door.set()
        self.seen: list[str] = []

    def new_id(self) -> str:
        return "id"

    def begin(self, exchange: Exchange) -> None:
        """Leave all to the application."""

    def forget(self, connection: Connection) -> None:
        self.connections.discard(connection)

    async def application(self, scope: Any, receive: Callable[..., Any], send: Callable[..., Any]) -> None:
        self.seen.append(scope["path"])
        await self.door.wait()
        body = b""
        if scope["path"] != "/unread":
            more = True
            while more:
                message = await receive()
                body += message["body"]
                more = message["more_body"]
        said = f"{scope['method']} {scope['path']}?{scope['query_string'].decode()} ".encode() + body
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
        await send({"type": "http.response.body", "body": said})


class Rig:
    def __init__(self) -> None:
        self.host = Host()
        self.transport = Transport()
        self.connection = Connection(self.host)
        self.connection.connection_made(self.transport)  # type: ignore[arg-type]

    async def send(self, *pieces: bytes) -> bytes:
        """Let bytes arrive, and return what is sent back."""
        self.transport.sent = b""
        for piece in pieces:
            self.connection.data_received(piece)
            for _ in range(6):
                await asyncio.sleep(0)
        return self.transport.sent


@pytest.fixture
async def rig() -> Rig:
    return Rig()


def bodies(sent: bytes) -> list[bytes]:
    """Split responses by their lengths."""
    found = []
    while sent:
        head, _, sent = sent.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        found.append(sent[:length])
        sent = sent[length:]
    return found


async def test_a_request_is_answered_in_one_piece(rig):
    sent = await rig.send(GET)
    assert sent.startswith(b"HTTP/1.1 200 OK\r\ndate: today\r\ncontent-length: 11\r\ncontent-type: text/plain\r\n\r\n")
    assert bodies(sent) == [b"GET /page? "]
    assert rig.transport.state == "open"


async def test_a_request_may_come_byte_by_byte(rig):
    request = b"POST /a%20b?x=1 HTTP/1.1\r\nHost: here\r\nContent-Length: 4\r\n\r\nbody"
    sent = await rig.send(*(bytes([byte]) for byte in request))
    assert bodies(sent) == [b"POST /a b?x=1 body"]


async def test_chunks_are_put_together(rig):
    request = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    assert bodies(await rig.send(request)) == [b"POST /? abcde"]


async def test_pipelined_requests_are_answered_in_order(rig):
    requests = [b"GET /%d HTTP/1.1\r\nHost: h\r\n\r\n" % number for number in range(5)]
    assert bodies(await rig.send(b"".join(requests), b"", b"", b"")) == [b"GET /%d? " % number for number in range(5)]
    assert rig.transport.is_reading


async def test_pipelined_requests_pause_reading_while_one_is_answered(rig):
    rig.host.door.clear()
    await rig.send(GET + GET)
    assert not rig.transport.is_reading
    assert rig.host.seen == ["/page"]
    rig.host.door.set()
    assert len(bodies(await rig.send(b"", b""))) == 2


async def test_head_is_answered_without_a_body(rig):
    sent = await rig.send(b"HEAD /page HTTP/1.1\r\nHost: h\r\n\r\n")
    assert b"content-length: 12\r\n" in sent
    assert sent.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("request_", "line", "state"),
    [
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", b"connection: close\r\n", "closed", id="1.0"),
        pytest.param(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", b"connection: keep-alive\r\n", "open", id="1.0 keep-alive"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", b"connection: close\r\n", "closed", id="1.1 close"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n", b"", "open", id="1.1"),
    ],
)
async def test_a_connection_is_kept_as_its_client_asks(rig, request_, line, state):
    sent = await rig.send(request_)
    assert line in sent
    assert (b"connection" in sent) == bool(line)
    assert rig.transport.state == state


async def test_a_body_is_asked_for_only_when_it_is_wanted(rig):
    rig.host.door.clear()
    head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"
    assert await rig.send(head) == b""
    rig.host.door.set()
    assert await rig.send(b"") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert bodies(await rig.send(b"ok")) == [b"POST /? ok"]


async def test_an_offer_to_upgrade_is_ignored_and_the_connection_ends(rig):
    sent = await rig.send(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n")
    assert bodies(sent) == [b"GET /? "]
    assert rig.transport.state == "closed"


async def test_a_url_with_its_host_is_read(rig):
    assert bodies(await rig.send(b"GET http://here:80/page?x=1 HTTP/1.1\r\nHost: here\r\n\r\n")) == [b"GET /page?x=1 "]


@pytest.mark.parametrize(
    ("request_", "status", "code"),
    [
        pytest.param(b"NONSENSE\r\n\r\n", 400, "bad_request", id="no HTTP"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, "bad_request", id="no Host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_request", id="two Hosts"),
        pytest.param(b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, "bad_request", id="a space before the colon"),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\nok",
            400,
            "bad_request",
            id="an upgrade with a body",
        ),
        pytest.param(b"GET /" + b"x" * URL_BYTES + b" HTTP/1.1\r\nHost: a\r\n\r\n", 400, "bad_request", id="a long URL"),
        pytest.param(b"CONNECT here:80 HTTP/1.1\r\nHost: here\r\n\r\n", 400, "bad_request", id="CONNECT"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * HEAD_BYTES + b"\r\n\r\n", 431, "headers_too_large", id="a long header"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (HEAD_LINES + 2), 431, "headers_too_large", id="many headers"),
    ],
)
async def test_what_is_no_request_is_refused_with_a_problem(rig, request_, status, code):
    sent = await rig.send(request_)
    (body,) = bodies(sent)
    assert sent.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close\r\n" in sent
    assert b"x-request-id: id\r\n" in sent
    assert (json.loads(body)["status"], json.loads(body)["code"]) == (status, code)
    assert rig.host.seen == []
    assert rig.transport.state == "half closed"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(POST + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\na", id="two lengths"),
        pytest.param(POST + b"Content-Length: 1\r\nContent-Length: 1\r\n\r\na", id="the same length twice"),
        pytest.param(POST + b"Content-Length: 1, 1\r\n\r\na", id="a list of lengths"),
        pytest.param(POST + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="both lengths"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", id="both lengths, turned"),
        pytest.param(POST + b"Content-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(POST + b"Content-Length: +1\r\n\r\na", id="a length with a plus"),
        pytest.param(POST + b"Content-Length: 0x1\r\n\r\na", id="a hexadecimal length"),
        pytest.param(POST + b"Content-Length: 99999999999999999999\r\n\r\n", id="a length beyond 64 bits"),
        pytest.param(POST + b"Content-Length:\r\n\r\n", id="an empty length"),
        pytest.param(POST + b"Content-Length:\r\n 1\r\n\r\na", id="a folded length"),
        pytest.param(POST + b"X: a\r\n b\r\n\r\n", id="a folded header"),
        pytest.param(POST + b"X: a\n\r\n", id="a bare LF"),
        pytest.param(POST + b"X: a\rY: b\r\n\r\n", id="a bare CR"),
        pytest.param(POST + b"X: a\0b\r\n\r\n", id="a NUL"),
        pytest.param(POST + b"Transfer-Encoding: gzip\r\n\r\n", id="an encoding that is not chunked"),
        pytest.param(POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="two encodings"),
        pytest.param(POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", id="an encoding like chunked"),
        pytest.param(POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunked twice"),
        pytest.param(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", id="chunks in HTTP/1.0"),
        pytest.param(b"GET / HTTP/0.9\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
        pytest.param(bytes.fromhex("1603010200010001fc0303"), id="TLS"),
        pytest.param(b"GET http://evil/ HTTP/1.1\r\nHost: here\r\n\r\n", id="a target of another host"),
        pytest.param(b"GET http://a:b@here/ HTTP/1.1\r\nHost: here\r\n\r\n", id="a target with a password"),
    ],
)
async def test_what_could_be_read_in_two_ways_is_refused(rig, request_):
    sent = await rig.send(request_)
    assert sent.startswith(b"HTTP/1.1 400 ")
    assert rig.host.seen == []
    assert rig.transport.state == "half closed"


@pytest.mark.parametrize(
    ("rest", "status"),
    [
        pytest.param(b"FFFFFFFFFFFFFFFFF\r\n", 400, id="a size beyond 64 bits"),
        pytest.param(b"-1\r\n", 400, id="a negative size"),
        pytest.param(b"0x1\r\na\r\n", 400, id="a size with 0x"),
        pytest.param(b"1\na\r\n", 400, id="a bare LF"),
        pytest.param(b"1\r\nab\r\n", 400, id="more than the size"),
        pytest.param(b"0\r\nContent-Length: 5\r\n\r\n", 400, id="a length behind it"),
        pytest.param(b"0\r\n" + b"X: y\r\n" * (HEAD_LINES + 2), 431, id="many trailers"),
        pytest.param(b"0\r\nX: " + b"y" * HEAD_BYTES + b"\r\n\r\n", 431, id="a long trailer"),
        pytest.param(b"1;" + b"x" * 2 * EMPTY_BYTES, 431, id="an extension without end"),
    ],
)
@pytest.mark.parametrize("is_at_once", [True, False], ids=["at once", "later"])
async def test_chunks_that_go_wrong_are_refused_though_the_call_has_begun(rig, rest, status, is_at_once):
    sent = await (rig.send(CHUNKED + rest) if is_at_once else rig.send(CHUNKED + b"1\r\na\r\n", rest))
    assert sent.startswith(b"HTTP/1.1 %d " % status)
    assert len(bodies(sent)) == 1
    assert rig.transport.state == "half closed"


async def test_trailers_are_no_headers(rig):
    scopes = []
    answer = rig.host.application
    rig.host.application = lambda scope, *rest: scopes.append(scope) or answer(scope, *rest)
    assert bodies(await rig.send(CHUNKED + b"1\r\na\r\n0\r\nOrigin: evil\r\n\r\n")) == [b"POST /? a"]
    assert b"origin" not in dict(scopes[0]["headers"])


@pytest.mark.parametrize(
    "begun",
    [b"GET / HTTP/1.1\r\nHost: h\r\nX: ", b"GET / HTTP/1.1\r\nHost: h\r\n", CHUNKED + b"1\r\na\r\n0\r\nX: "],
    ids=["a value", "a name", "a trailer"],
)
async def test_what_never_ends_is_refused_while_it_comes(rig, begun):
    assert await rig.send(begun, b"x" * (EMPTY_BYTES - 1000)) == b""
    assert (await rig.send(b"x" * 2000)).startswith(b"HTTP/1.1 431 ")


async def test_a_url_is_refused_while_it_comes(rig):
    assert await rig.send(b"GET /", b"x" * (URL_BYTES - 1)) == b""
    assert (await rig.send(b"x")).startswith(b"HTTP/1.1 400 ")


async def test_what_comes_before_nonsense_is_answered_first(rig):
    sent = await rig.send(GET + GET + b"nonsense\r\n\r\n", b"", b"")
    assert bodies(sent)[:2] == [b"GET /page? "] * 2
    assert json.loads(bodies(sent)[2])["status"] == 400
    assert rig.transport.state == "half closed"


async def test_a_pipelined_request_with_bad_chunks_costs_the_others_nothing(rig):
    sent = await rig.send(GET + CHUNKED + b"-1\r\n", b"", b"")
    assert bodies(sent)[0] == b"GET /page? "
    assert json.loads(bodies(sent)[1])["status"] == 400
    assert rig.host.seen == ["/page"]


async def test_a_flood_of_pipelined_requests_waits_as_bytes(rig):
    rig.host.door.clear()
    await rig.send(GET * 10_000)
    assert len(rig.connection._pipelined) <= SLICE_BYTES // len(GET) + 1
    assert not rig.transport.is_reading
    rig.host.door.set()
    sent = rig.transport.sent
    while not rig.transport.is_reading:
        sent += await rig.send(b"")
    assert bodies(sent) == [b"GET /page? "] * 10_000


async def test_a_body_that_waited_behind_a_flood_arrives(rig):
    body = b"x" * 3 * SLICE_BYTES
    post = b"POST /post HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (2 * len(body))
    sent = await rig.send(GET * 100 + post + body)
    while not bodies(sent)[99:]:
        sent += await rig.send(b"")
    assert bodies(sent + await rig.send(b"", body))[100:] == [b"POST /post? " + 2 * body]


async def test_an_answer_before_the_body_has_come_ends_the_connection_gently(rig):
    sent = await rig.send(b"POST /unread HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\nx")
    assert b"connection: close\r\n" in sent
    assert rig.transport.state == "half closed"
    assert rig.connection.deadline == rig.host.loop.now + LINGER_S
    assert await rig.send(b"x" * 1000) == b""
    assert rig.transport.state == "half closed"
    await rig.send(b"x" * LINGER_BYTES)
    assert rig.transport.state == "aborted"


async def test_a_head_has_a_deadline_that_dribbling_does_not_move(rig):
    deadline = rig.connection.deadline
    assert deadline == rig.host.loop.now + SLOW_S
    await rig.send(b"GET / HT")
    rig.host.loop.now += 5
    await rig.send(b"TP/1.1\r\n")
    assert rig.connection.deadline == deadline


async def test_a_body_that_makes_progress_may_take_its_time(rig):
    await rig.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n")
    began = rig.connection.deadline
    rig.host.loop.now += 9
    await rig.send(b"x")
    assert rig.connection.deadline == began
    await rig.send(b"x" * 4096)
    assert rig.connection.deadline == began + 9


async def test_a_connection_may_idle_between_requests_and_while_it_is_answered(rig):
    rig.host.door.clear()
    await rig.send(GET)
    assert rig.connection.deadline == float("inf")
    rig.host.door.set()
    await rig.send(b"")
    assert rig.connection.deadline == rig.host.loop.now + IDLE_S


async def test_a_call_of_a_client_that_left_is_cancelled(rig):
    rig.host.door.clear()
    await rig.send(GET + GET)
    rig.connection.connection_lost(None)
    rig.host.door.set()
    assert await rig.send() == b""
    await asyncio.sleep(0)
    assert rig.transport.sent == b""
    assert rig.host.seen == ["/page"]
    assert rig.host.connections == set()


async def test_a_closing_server_lets_a_running_answer_be_the_last(rig):
    rig.host.door.clear()
    await rig.send(GET)
    rig.connection.close()
    assert rig.transport.state == "open"
    rig.host.door.set()
    assert b"connection: close\r\n" in await rig.send(b"")
    assert rig.transport.state == "closed"


async def test_a_client_that_does_not_read_gets_no_more_until_it_does(rig):
    rig.connection.pause_writing()
    assert await rig.send(GET) == b""
    rig.connection.resume_writing()
    assert bodies(await rig.send(b"")) == [b"GET /page? "]


async def test_a_client_that_stops_reading_is_cut_off_in_time(rig):
    await rig.send(GET)
    rig.transport.unread = 100_000
    rig.connection.look(rig.host.loop.now)
    rig.connection.look(rig.host.loop.now + SLOW_S)
    assert rig.transport.state == "open"
    rig.connection.look(rig.host.loop.now + SLOW_S + 1)
    assert rig.transport.state == "aborted"


async def test_a_client_that_reads_slowly_is_not(rig):
    await rig.send(GET)
    for second in range(200):
        rig.transport.unread = 1_000_000 - 1000 * second
        rig.connection.look(rig.host.loop.now + second)
    assert rig.transport.state == "open"


async def test_a_client_that_has_read_everything_may_idle(rig):
    await rig.send(GET)
    for second, unread in [(0, 100), (20, 0), (40, 50)]:
        rig.transport.unread = unread
        rig.connection.look(rig.host.loop.now + second)
    assert rig.transport.state == "open"
    rig.transport.unread = 0
    rig.connection.look(rig.host.loop.now + IDLE_S + 1)
    assert rig.transport.state == "aborted"


@pytest.mark.parametrize("begun", [b"GET / HT", POST + b"Content-Length: 9\r\n\r\n"], ids=["a head", "a body"])
async def test_a_pipelined_request_has_its_deadline_too(rig, begun):
    rig.host.door.clear()
    await rig.send(GET + begun)
    rig.host.door.set()
    await rig.send(b"")
    assert rig.connection.deadline == rig.host.loop.now + SLOW_S


@pytest.mark.parametrize("seed", range(20))
async def test_how_the_bytes_are_cut_changes_no_answer(seed):
    dice = random.Random(seed)
    posts = [POST + b"Content-Length: 3\r\n\r\nabc", CHUNKED + b"3;x\r\nabc\r\n0\r\nX: y\r\n\r\n", GET, GET * 2000, CHUNKED + b"0\r\n\r\n"]
    last = dice.choice([b"", b"nonsense\r\n", CHUNKED + b"3\r\nabcd\r\n", GET.replace(b"\r", b""), POST + b"X: " + b"x" * 2 * EMPTY_BYTES])
    stream = b"".join(dice.choices(posts, k=5)) + last
    cuts = sorted({0, len(stream), *dice.choices(range(len(stream)), k=dice.choice([0, 1, 50]))})
    whole, cut = await answers(stream), await answers(*(stream[begin:end] for begin, end in itertools.pairwise(cuts)))
    assert whole == cut
    assert whole.count(b"HTTP/1.1 4") == bool(last)


async def answers(*pieces: bytes) -> bytes:
    """Return everything that is sent back, the client sending as fast as it is let."""
    rig, sent = Rig(), b""
    for piece in pieces:
        while not rig.transport.is_reading:
            sent += await rig.send(b"")
        sent += await rig.send(piece)
    while more := await rig.send(b""):
        sent += more
    return sent


async def test_a_client_that_has_left_is_told_nothing_any_more(rig):
    """Its call may be answered in the very turn of the loop in which its connection is lost."""
    taken: list[Exchange] = []
    answering: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    answering.set_result(None)
    rig.host.begin = lambda exchange: (taken.append(exchange), answering)[1]
    await rig.send(GET)
    rig.connection.connection_lost(None)
    rig.transport.write = pytest.fail
    taken[0].answer(200, b"", b"late")
    assert rig.transport.state == "open"  # it is closed already


async def test_a_request_without_a_response_is_hung_up_on(rig):
    taken: list[Exchange] = []
    rig.host.begin = lambda exchange: (taken.append(exchange), asyncio.get_running_loop().create_future())[1]
    await rig.send(GET)
    taken[0].give_up()
    assert rig.transport.state == "aborted"


async def test_a_slow_reader_gets_its_next_response_when_it_reads(rig):
    taken: list[Exchange] = []
    rig.host.begin = lambda exchange: (taken.append(exchange), asyncio.get_running_loop().create_future())[1]
    rig.connection.pause_writing()
    await rig.send(GET)
    taken[0].answer(200, b"x-a: b\r\n", b"body")
    assert await rig.send() == b""
    rig.connection.resume_writing()
    assert bodies(await rig.send(GET)) == [b"body"]
    assert len(taken) == 2
