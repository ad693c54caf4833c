"""One HTTP/1.1 connection: what arrives is parsed by llhttp and held to the door's limits; one request at a time is answered.

A whole server's worth of layers between socket and application cost 14 µs a call where this costs 7.
"""

import asyncio
import logging
from collections import deque
from typing import Protocol, cast
from urllib.parse import unquote

import httptools

from servelite.adapters.asgi import App, Headers, Scope
from servelite.adapters.exchange import STATUS_LINES, Exchange
from servelite.adapters.problems import MEDIA_TYPE, problem
from servelite.core.errors import BadRequest, HeadersTooLarge, ServeliteError

HEAD_BYTES = 32 * 1024
"""Largest request line and headers, together; common servers allow 8 to 64 KiB."""

HEAD_LINES = 100
"""Most header lines, as in Apache."""

URL_BYTES = 8 * 1024
"""Longest URL: what RFC 9110 asks servers to support at least."""

SLOW_S = 10.0
"""Seconds a client has for a request's head, and then for each PROGRESS_BYTES of its body."""

PROGRESS_BYTES = 4 * 1024

IDLE_S = 75.0
"""Seconds a connection may be kept open between requests, as in nginx."""

LINGER_S = 2.0
"""Seconds that what a refused client still sends is read and dropped, so that it gets to read the refusal."""

LINGER_BYTES = 16 * 1024 * 1024
"""How much of it at most."""

logger = logging.getLogger("servelite.http")


class Host(Protocol):
    """What a connection needs of its server."""

    loop: asyncio.AbstractEventLoop
    application: App
    connections: "set[Connection]"
    is_closing: bool
    date_line: bytes

    def new_id(self) -> str:
        """Return a request id."""
        ...

    def forget(self, connection: "Connection") -> None:
        """Take note that a connection is closed."""
        ...


class Connection(asyncio.Protocol):
    """Parses requests, gives them to the application in turn, and closes in an orderly way."""

    def __init__(self, server: Host) -> None:
        self._server = server
        self._loop = server.loop
        self._parser = httptools.HttpRequestParser(self)
        self._exchange: Exchange | None = None
        self._parsed: Exchange | None = None
        self._pipelined: deque[Exchange] = deque()
        self._task: asyncio.Task[None] | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_reading = True
        self._is_lingering = False
        self._progress = 0
        self.deadline = self._loop.time() + SLOW_S

    # the socket

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)
        self._peer = transport.get_extra_info("peername")
        self._local = transport.get_extra_info("sockname")
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """End; a call that still waits is not run for a client that is gone."""
        self._server.forget(self)
        self._pipelined.clear()
        self.resume_writing()
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        if self._is_lingering:
            self._progress += len(data)
            if self._progress > LINGER_BYTES:
                self._transport.abort()
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._pause_reading()  # the offer is not taken up: the request is answered as it is, and the connection ends
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, ServeliteError) else BadRequest("The request's URL can't be read."))
        except httptools.HttpParserError as error:
            self._refuse(BadRequest(f"Not HTTP/1.1 as it should be: {error}."))

    def pause_writing(self) -> None:
        """Hold the next response: the client does not read."""
        self._drained = self._loop.create_future()

    def resume_writing(self) -> None:
        """Go on writing."""
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    # the parser

    def on_message_begin(self) -> None:
        """A request begins."""
        self._url = b""
        self._headers: Headers = []
        self._head_bytes = 0
        self._hosts = 0
        self._expects_continue = False
        self._progress = 0
        if self._exchange is None:
            self.deadline = self._loop.time() + SLOW_S

    def on_url(self, url: bytes) -> None:
        """A piece of the URL."""
        self._url += url
        if len(self._url) > URL_BYTES:
            raise BadRequest(f"The URL is longer than {URL_BYTES} bytes.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        name = name.lower()
        self._headers.append((name, value))
        self._head_bytes += len(name) + len(value)
        if name == b"host":
            self._hosts += 1
        elif name == b"expect":
            self._expects_continue = value.lower() == b"100-continue"
        if self._head_bytes > HEAD_BYTES or len(self._headers) > HEAD_LINES:
            raise HeadersTooLarge(f"The headers have more than {HEAD_BYTES} bytes or {HEAD_LINES} lines. Send less in them.")

    def on_headers_complete(self) -> None:
        """The head is complete: the application may begin, and decide whether it wants the body."""
        version = self._parser.get_http_version()
        if self._hosts != 1 and (version == "1.1" or self._hosts):
            raise BadRequest(f"The request has {self._hosts} Host headers; HTTP/1.1 wants exactly one.")
        if self._parser.should_upgrade() and any(name in (b"content-length", b"transfer-encoding") for name, _ in self._headers):
            raise BadRequest("A request with a body can't offer an upgrade here. Send it as plain HTTP/1.1, without an Upgrade header.")
        keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade() and not self._server.is_closing
        exchange = Exchange(self, self._scope(version), keep_alive=keep_alive, expects_continue=self._expects_continue)
        self._parsed = exchange
        if self._exchange is None:
            self._begin(exchange)
        else:
            self._pipelined.append(exchange)
            self._pause_reading()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        assert self._parsed is not None
        self._parsed.take(body)
        self._progress += len(body)
        if self._progress >= PROGRESS_BYTES:
            self._progress = 0
            self.deadline = self._loop.time() + SLOW_S

    def on_message_complete(self) -> None:
        """The request is complete."""
        assert self._parsed is not None
        self._parsed.end()
        self.deadline = float("inf")

    # the application

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self._transport.write(data)

    async def writable(self) -> None:
        """Wait until the client has read most of what was sent before."""
        if self._drained is not None:
            await self._drained

    def resume_reading(self) -> None:
        """Let more come."""
        if not self._is_reading:
            self._is_reading = True
            self._transport.resume_reading()

    def close(self) -> None:
        """Close at once if nothing is being answered, else after the answer."""
        if self._exchange is None:
            self._transport.close()
        else:
            self._exchange.keep_alive = False

    def abort(self) -> None:
        """Cut it off."""
        self._transport.abort()

    @property
    def date_line(self) -> bytes:
        """The Date header's line."""
        return self._server.date_line

    def _begin(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._task = self._loop.create_task(self._answer(exchange))

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._server.application(exchange.scope, exchange.receive, exchange.send)
        except Exception:  # the gateway's outer edge: the log gets the reason
            logger.exception("%s %s failed in the gateway", exchange.scope["method"], exchange.scope["path"])
        self._task = self._exchange = None
        if not exchange.is_answered:
            self._transport.abort()
        elif not exchange.keep_alive:
            self._hang_up(exchange.is_received)
        elif self._pipelined:
            self._begin(self._pipelined.popleft())
        else:
            self.deadline = self._loop.time() + IDLE_S
            self.resume_reading()

    def _hang_up(self, is_received: bool) -> None:  # noqa: FBT001  a state, not an option
        """Close; a client that is still sending is let finish for a while, else it would never read the answer."""
        if is_received:
            self._transport.close()
            return
        self._is_lingering, self._progress = True, 0
        self.deadline = self._loop.time() + LINGER_S
        self.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _refuse(self, error: ServeliteError) -> None:
        """Answer what is no request, and hang up."""
        if self._exchange is not None or self._is_lingering:
            self._transport.abort()
            return
        request_id = self._server.new_id()
        body = problem(error, request_id)
        lines = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nx-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        self._transport.write(STATUS_LINES[error.status] + self.date_line + lines.encode() + body)
        self._hang_up(is_received=False)

    def _pause_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()

    def _scope(self, version: str) -> Scope:
        url = self._url if self._url.startswith(b"/") else _origin_form(self._url)
        raw_path, _, query = url.partition(b"?")
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
            "client": self._peer,
            "server": self._local,
        }


def _origin_form(url: bytes) -> bytes:
    """Return path and query of a URL that names its host too, as to a proxy."""
    parsed = httptools.parse_url(url)
    if not parsed.path:
        raise BadRequest("The request's target has no path.")
    path: bytes = parsed.path
    return path + (b"?" + parsed.query if parsed.query else b"")
