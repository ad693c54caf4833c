"""One HTTP/1.1 connection: what arrives is parsed by llhttp and held to the door's limits; one request at a time is answered.

A whole server's worth of layers between socket and application costs twice what this does; a head that came before costs next to nothing.
"""

import asyncio
import logging
from collections import deque
from typing import cast

import httptools

from servelite.adapters.exchange import STATUS_LINES, Exchange
from servelite.adapters.head import Head
from servelite.adapters.host import Host, Running
from servelite.adapters.patience import EMPTY_BYTES, IDLE_S, LINGER_BYTES, LINGER_S, PROGRESS_BYTES, SLICE_BYTES, SLOW_S
from servelite.adapters.problems import MEDIA_TYPE, problem
from servelite.core.errors import BadRequest, HeadersTooLarge, ServeliteError

logger = logging.getLogger("servelite.http")


class Connection(asyncio.Protocol):
    """Parses requests, gives them to the application in turn, and closes in an orderly way."""

    def __init__(self, server: Host) -> None:
        self._server = server
        self._loop = server.loop
        self._head = Head()
        self.on_url, self.on_header = self._head.take_url, self._head.take_header
        self._parser = httptools.HttpRequestParser(self)
        self._exchange: Exchange | None = None
        self._parsed: Exchange | None = None
        self._pipelined: deque[Exchange] = deque()
        self._unparsed = b""
        self._refusal: ServeliteError | None = None
        self._running: Running | None = None
        self._drained: asyncio.Future[None] | None = None
        self._is_reading = True
        self._is_lingering = False
        self._is_lost = False
        self._progress = 0
        self._empty_bytes = 0
        self._unread_bytes = 0
        self._read_deadline = 0.0
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
        self._is_lost, self._unparsed = True, b""
        self._pipelined.clear()
        self._parsed = None
        self.resume_writing()
        if self._running is not None:
            self._running.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless it is known; what can't be answered soon waits unparsed."""
        if self._is_lingering:
            self._drop(data)
        elif len(data) > SLICE_BYTES or not self._is_reading:
            self._unparsed += data
            self._parse_slices()
        elif self._exchange is not None or self._head.is_begun:
            self._parse(data)
        elif (known := self._server.heads.find(data)) is None:
            self._parse(data)
            self._learn(data)
        else:
            self.deadline, self._empty_bytes = float("inf"), 0
            self._exchange = Exchange(self, known.scope, keep_alive=not self._server.is_closing, reading=known.reading)
            self._exchange.take(data[known.head_bytes :])
            self._exchange.end()
            self._begin(self._exchange)

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
        self._head.begin()
        self._progress = self._empty_bytes = 0
        if self._exchange is None:
            self.deadline = self._loop.time() + SLOW_S

    def on_headers_complete(self) -> None:
        """The head is complete; once what has arrived is parsed it is answered, perhaps before the body is there."""
        scope = self._head.scope(self._parser, self._peer, self._local)
        keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade() and not self._server.is_closing
        self._parsed = Exchange(self, scope, keep_alive=keep_alive, expects_continue=self._head.expects_continue)
        if self._exchange is None:
            self._exchange = self._parsed
        else:
            self._pipelined.append(self._parsed)
            self._pause_reading()

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        assert self._parsed is not None
        self._parsed.take(body)
        self._empty_bytes = 0
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
        """Send bytes; none to a client that has left."""
        if not self._is_lost:
            self._transport.write(data)

    @property
    def is_writable(self) -> bool:
        """Whether the client has read most of what was sent before."""
        return self._drained is None

    async def writable(self) -> None:
        """Wait until the client has read most of what was sent before."""
        if self._drained is not None:
            await self._drained

    def resume_reading(self) -> None:
        """Let more come, and first what waits unparsed."""
        if not self._is_reading:
            self._is_reading = True
            self._parse_slices()
            if self._is_reading:
                self._transport.resume_reading()

    def close(self) -> None:
        """Close at once if nothing is being answered, else after the answer."""
        if self._exchange is None:
            self._transport.close()
        else:
            self._exchange.keep_alive = False

    def look(self, now: float) -> None:
        """Cut off a client that is late: with reading what was sent to it, else with sending."""
        unread = self._transport.get_write_buffer_size()
        if not unread or not self._unread_bytes - PROGRESS_BYTES < unread <= self._unread_bytes:  # it has read some, or was sent more
            self._unread_bytes, self._read_deadline = unread, now + SLOW_S
        if now > (self._read_deadline if unread else self.deadline):
            self._transport.abort()

    def abort(self) -> None:
        """Cut it off."""
        self._transport.abort()

    @property
    def date_line(self) -> bytes:
        """The Date header's line."""
        return self._server.date_line

    def go_on(self, exchange: Exchange) -> None:
        """Go on to what follows an exchange: another one, the end, or waiting."""
        self._running = self._exchange = None
        if self._is_lost:
            return
        if not exchange.is_answered:
            self._transport.abort()
        elif not exchange.keep_alive:
            self._hang_up(exchange.is_received and self._refusal is None)
        elif self._pipelined:
            following = self._exchange = self._pipelined.popleft()
            self.deadline = float("inf") if following.is_received else self._loop.time() + SLOW_S
            self._begin(following)
        elif self._refusal is not None:
            self._tell(self._refusal)
        else:
            self.deadline = self._loop.time() + (SLOW_S if self._head.is_begun else IDLE_S)
            self.resume_reading()

    def answer_later(self, exchange: Exchange, status: int, fields: bytes, body: bytes) -> None:
        """Respond once the client reads again, and go on."""

        async def respond() -> None:
            await self.writable()
            exchange.respond(status, fields, body)
            self.go_on(exchange)

        self._running = self._loop.create_task(respond())

    def _begin(self, exchange: Exchange) -> None:
        if exchange.is_received:
            self._running = self._server.begin(exchange)
        if self._running is None:
            self._running = self._loop.create_task(self._answer(exchange))

    async def _answer(self, exchange: Exchange) -> None:
        try:
            scope = {**exchange.scope, "client": self._peer, "server": self._local}  # a known head has neither
            await self._server.application(scope, exchange.receive, exchange.send)
        except Exception:  # the gateway's outer edge: the log gets the reason
            logger.exception("%s %s failed in the gateway", exchange.scope["method"], exchange.scope["path"])
        self.go_on(exchange)

    def _hang_up(self, is_received: bool) -> None:  # noqa: FBT001  a state, not an option
        """Close; a client that is still sending is let finish for a while, else it would never read the answer."""
        if is_received:
            self._transport.close()
            return
        self._is_lingering, self._progress, self._unparsed = True, 0, b""
        self.deadline = self._loop.time() + LINGER_S
        self.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _learn(self, data: bytes) -> None:
        """Remember the head of a call that came whole and alone."""
        exchange = self._exchange
        if exchange is not None and exchange.reading is not None and exchange.keep_alive and self._head.says_all:
            self._server.heads.learn(data, exchange.scope, exchange.reading)

    def _parse_slices(self) -> None:
        data, self._unparsed = self._unparsed, b""
        begin = 0
        while begin < len(data) and self._is_reading and not self._is_lingering:
            self._parse(data[begin : begin + SLICE_BYTES])
            begin += SLICE_BYTES
        self._unparsed = data[begin:]

    def _parse(self, data: bytes) -> None:
        self._empty_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._pause_reading()  # the offer is not taken up: the request is answered as it is, and the connection ends
        except httptools.HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, ServeliteError) else BadRequest("The request can't be read."))
        except httptools.HttpParserError as error:
            self._refuse(BadRequest(f"Not HTTP/1.1 as it should be: {error}."))
        else:
            if self._empty_bytes > EMPTY_BYTES:
                self._refuse(HeadersTooLarge(f"{EMPTY_BYTES} bytes have come without a whole head or any body. Send less around them."))
        if self._exchange is not None and self._running is None:
            self._begin(self._exchange)

    def _refuse(self, error: ServeliteError) -> None:
        """Answer what is no request when it is its turn, and hang up."""
        if self._parsed is not None and not self._parsed.is_received:
            self._withdraw(self._parsed)
        if self._exchange is None:
            self._tell(error)
        else:
            self._refusal = error
            self._pause_reading()

    def _withdraw(self, exchange: Exchange) -> None:
        """Forget a request whose body turned out to be none."""
        if exchange is not self._exchange:
            self._pipelined.pop()
        elif not exchange.is_answered:
            if self._running is not None:
                self._running.cancel()
            self._running = self._exchange = None

    def _tell(self, error: ServeliteError) -> None:
        request_id = self._server.new_id()
        body = problem(error, request_id)
        lines = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nx-request-id: {request_id}\r\nconnection: close\r\n\r\n"
        self._transport.write(STATUS_LINES[error.status] + self.date_line + lines.encode() + body)
        self._hang_up(is_received=False)

    def _drop(self, data: bytes) -> None:
        self._progress += len(data)
        if self._progress > LINGER_BYTES:
            self._transport.abort()

    def _pause_reading(self) -> None:
        if self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()
