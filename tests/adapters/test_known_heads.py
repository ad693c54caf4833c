import asyncio
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.adapters.call_heads import Reading, read_head
from servelite.adapters.connection import Connection
from servelite.adapters.exchange import Exchange
from servelite.adapters.known_heads import MOST_BYTES, MOST_HEADS, KnownHeads
from tests.adapters.test_connection import Host, Transport

POST = b"POST /functions/echo HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b"
SCOPE = {"path": "/functions/echo", "headers": []}

REQUESTS = [
    *(POST % (len(body), body) for body in (b"", b"a", b"b", b"\r\n\r\n", b"POST / HTTP/1.1\r\n\r\n")),
    b"POST /functions/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    b"POST /functions/echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /functions/echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\na",
    b"POST /functions/echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nConnection: close\r\n\r\na",
    b"POST /functions/echo HTTP/1.1\r\nHost: h\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
    b"POST /functions/echo HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\na",
    b"POST /functions/echo HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /page HTTP/1.1\r\nHost: h\r\n\r\n",
    b"nonsense\r\n\r\n",
]


class Forgetful(KnownHeads):
    def find(self, data: bytes) -> None:
        return None


class Calls(Host):
    """A server that answers calls which have come whole at once, with their bodies."""

    def __init__(self, heads: KnownHeads) -> None:
        super().__init__()
        self.heads = heads

    def begin(self, exchange: Exchange) -> "asyncio.Future[Any] | None":
        if exchange.scope["method"] != "POST":
            return None
        if exchange.reading is None:
            exchange.reading = read_head("echo", exchange.scope["headers"])
        body = exchange.whole_body()
        answer: asyncio.Future[Any] = self.loop.create_future()
        answer.add_done_callback(lambda _: exchange.answer(200, b"x-path: %b\r\n" % exchange.scope["path"].encode(), body))
        answer.set_result(None)
        return answer


async def talk(heads: KnownHeads, pieces: list[bytes]) -> tuple[bytes, str]:
    transport = Transport()
    connection = Connection(Calls(heads))
    connection.connection_made(transport)  # type: ignore[arg-type]
    for piece in pieces:
        if transport.state == "open":
            connection.data_received(piece)
        for _ in range(12):
            await asyncio.sleep(0)
    return transport.sent, transport.state


def learnt(*requests: bytes) -> KnownHeads:
    heads = KnownHeads()
    asyncio.run(talk(heads, list(requests)))
    return heads


@given(
    requests=st.lists(st.sampled_from(REQUESTS), min_size=2, max_size=8),
    cuts=st.lists(st.floats(0, 1), max_size=4),
    is_whole=st.booleans(),
)
def test_a_remembered_head_means_what_it_meant_when_it_was_parsed(requests: list[bytes], cuts: list[float], is_whole: bool) -> None:
    sent = b"".join(requests)
    edges = sorted({0, len(sent), *(round(cut * len(sent)) for cut in cuts)})
    pieces = requests if is_whole else [sent[begin:end] for begin, end in itertools.pairwise(edges)]
    assert asyncio.run(talk(KnownHeads(), pieces)) == asyncio.run(talk(Forgetful(), pieces))


def test_a_whole_call_is_found_again_with_another_body():
    found = learnt(POST % (2, b"ab")).find(POST % (2, b"cd"))
    assert found is not None
    assert found.reading == Reading("echo", body_bytes=2)
    assert found.scope["path"] == "/functions/echo"


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(POST % (2, b"c"), id="a body that is not all there"),
        pytest.param(POST % (2, b"cde"), id="more than the body"),
        pytest.param(POST % (3, b"cde"), id="another head"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"POST", id="no head"),
    ],
)
def test_what_is_not_one_whole_call_with_that_head_is_parsed(request_):
    assert learnt(POST % (2, b"ab")).find(request_) is None


@pytest.mark.parametrize("request_", [one for one in REQUESTS if b"POST /f" in one and not one.startswith(POST[:60])])
def test_a_head_that_does_not_say_all_is_parsed_each_time(request_):
    is_said = b"Transfer" not in request_ and b"Expect" not in request_ and b"1.0" not in request_ and b"Connection" not in request_
    assert (learnt(request_).find(request_) is not None) == is_said


def test_a_head_that_came_with_others_is_not_remembered():
    assert learnt(POST % (1, b"a") + POST % (1, b"b")).find(POST % (1, b"a")) is None


def test_a_head_with_a_trace_of_its_own_is_not_remembered():
    traced = POST.replace(b"Host", b"traceparent: 00-1-2-3\r\nHost") % (1, b"a")
    assert learnt(traced).find(traced) is None


def test_line_ends_between_calls_add_up_to_nothing():
    pieces = [POST % (1, b"a"), b"\r\n" * 7000] * 12
    sent, state = asyncio.run(talk(KnownHeads(), pieces))
    assert (sent.count(b"HTTP/1.1 200"), state) == (12, "open")


def test_there_is_an_end_to_what_is_remembered():
    heads = KnownHeads()
    for number in range(MOST_HEADS + 1):
        heads.learn(b"POST /%d\r\n\r\n" % number, SCOPE, Reading("echo"))
    assert heads.find(b"POST /0\r\n\r\n") is None
    assert heads.find(b"POST /1\r\n\r\n") is not None
    assert heads.find(b"POST /%d\r\n\r\n" % MOST_HEADS) is not None
    long = b"POST /%b\r\n\r\n" % (b"x" * MOST_BYTES)
    heads.learn(long, SCOPE, Reading("echo"))
    assert heads.find(long) is None
