"""One HTTP request and its response, as an ASGI application sees them."""

import asyncio
from http import HTTPStatus
from typing import Protocol

from servelite.adapters.asgi import Headers, Message, Scope
from servelite.adapters.call_heads import Reading

STATUS_LINES = {status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus}


class Wire(Protocol):
    """What an exchange needs of its connection."""

    @property
    def date_line(self) -> bytes:
        """The Date header's line."""
        ...

    @property
    def is_writable(self) -> bool:
        """Whether the client has read most of what was sent before."""
        ...

    def write(self, data: bytes) -> None:
        """Send bytes."""
        ...

    def resume_reading(self) -> None:
        """Let more of the body come."""
        ...

    async def writable(self) -> None:
        """Wait until the client has read most of what was sent before."""
        ...

    def go_on(self, exchange: "Exchange") -> None:
        """Go on to what follows an exchange; hang up if it is not answered."""
        ...

    def answer_later(self, exchange: "Exchange", status: int, fields: bytes, body: bytes) -> None:
        """Respond once the client reads again, and go on."""
        ...


class Exchange:
    """Collects a request's body as it arrives; writes the response in one piece once it is whole.

    `reading` is what a call takes from its head, once that is read.

    An application that waits for something is an ASGI one, with `receive` and `send`; one that has what it needs takes
    the body with `whole_body` and gives its response to `answer`.
    """

    __slots__ = (
        "_chunks",
        "_expects_continue",
        "_pieces",
        "_start",
        "_waiter",
        "_wire",
        "is_answered",
        "is_received",
        "keep_alive",
        "reading",
        "scope",
    )

    def __init__(
        self, wire: Wire, scope: Scope, *, keep_alive: bool, expects_continue: bool = False, reading: Reading | None = None
    ) -> None:
        self.scope = scope
        self.reading = reading
        self.keep_alive = keep_alive
        self.is_received = False
        self.is_answered = False
        self._wire = wire
        self._expects_continue = expects_continue
        self._chunks: list[bytes] = []
        self._waiter: asyncio.Future[None] | None = None
        self._start: Message | None = None
        self._pieces: list[bytes] = []

    def take(self, chunk: bytes) -> None:
        """Keep a piece of the body for the application; dropped if it has answered already."""
        if not self.is_answered:
            self._chunks.append(chunk)
            self._wake()

    def end(self) -> None:
        """Say that the request is complete."""
        self.is_received = True
        self._wake()

    async def receive(self) -> Message:
        """Return what has come of the body since the last time; waits for some, or for its end."""
        if self._expects_continue:
            self._expects_continue = False
            self._wire.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self._chunks and not self.is_received:
            self._waiter = asyncio.get_running_loop().create_future()
            self._wire.resume_reading()
            await self._waiter
        chunks, self._chunks = self._chunks, []
        return {"type": "http.request", "body": b"".join(chunks), "more_body": not self.is_received}

    def whole_body(self) -> bytes:
        """Return the body of a request that has come whole."""
        chunks, self._chunks = self._chunks, []
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def send(self, message: Message) -> None:
        """Take the response's head or a piece of its body; the last piece sends it."""
        if message["type"] == "http.response.start":
            self._start = message
            return
        self._pieces.append(message.get("body", b""))
        if not message.get("more_body"):
            assert self._start is not None
            await self._wire.writable()
            start, pieces, self._start, self._pieces = self._start, self._pieces, None, []  # a connection keeps its last exchange
            self.respond(start["status"], field_lines(start["headers"]), b"".join(pieces))

    def answer(self, status: int, fields: bytes, body: bytes) -> None:
        """Send the whole response, as soon as the client reads, and let what follows have its turn; see `respond`."""
        if self._wire.is_writable:
            self.respond(status, fields, body)
            self._wire.go_on(self)
        else:
            self._wire.answer_later(self, status, fields, body)

    def give_up(self) -> None:
        """Hang up where there will be no response."""
        self._wire.go_on(self)

    def respond(self, status: int, fields: bytes, body: bytes) -> None:
        """Write the whole response; `fields` are the lines of its headers, as `field_lines` makes them."""
        if not self.keep_alive or not self.is_received:
            self.keep_alive = False  # what is left of the body is not waited for
            fields += b"connection: close\r\n"
        elif self.scope["http_version"] == "1.0":
            fields += b"connection: keep-alive\r\n"
        sent = b"" if self.scope["method"] == "HEAD" else body
        self._wire.write(b"%b%bcontent-length: %d\r\n%b\r\n%b" % (STATUS_LINES[status], self._wire.date_line, len(body), fields, sent))
        self.is_answered = True

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


def field_lines(headers: Headers) -> bytes:
    """Write headers as lines, but for the body's length, which the response knows; ValueError where one holds a line end."""
    lines = [b"%b: %b\r\n" % header for header in headers if header[0] != b"content-length"]
    fields = b"".join(lines)
    if fields.count(b"\n") != len(lines):
        raise ValueError("A header of a response holds a line end.")
    return fields
