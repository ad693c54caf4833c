"""One HTTP connection: uvicorn's own protocol, with each response made and written in one go."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

Message = MutableMapping[str, Any]


class Connection(HttpToolsProtocol):
    """Sends whole responses its own way, and leaves those in pieces to uvicorn.

    uvicorn writes head and body one after the other, and matches each header against two patterns:
    together a fifth of what the gateway spends on a call.
    """

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        cycle.send = _sender(cycle)  # type: ignore[method-assign,assignment]
        super()._start_asgi_task(cycle, app)


def _sender(cycle: RequestResponseCycle) -> Callable[[Any], Awaitable[None]]:
    """Make the `send` of one request."""
    in_pieces = cycle.send
    start: Message | None = None

    async def send(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            start = message
            return
        if start is None or message.get("more_body") or cycle.scope["method"] == "HEAD":
            if start is not None:
                await in_pieces(start)  # type: ignore[arg-type]
                start = None
            await in_pieces(message)  # type: ignore[arg-type]
        elif not cycle.disconnected:
            if cycle.flow.write_paused:
                await cycle.flow.drain()
            _write_whole(cycle, start, message.get("body", b""))
        vars(cycle).pop("send", None)  # else cycle and sender would hold each other, and be garbage

    return send


def _write_whole(cycle: RequestResponseCycle, start: Message, body: bytes) -> None:
    lines = [STATUS_LINE[start["status"]]]
    for name, value in (*cycle.default_headers, *start["headers"]):
        if name == b"connection":
            cycle.keep_alive = False  # the only value an answer of ours has is "close"
        elif name != b"content-length":
            lines.append(b"%b: %b\r\n" % (name, value))
    if not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
    lines.append(b"content-length: %d\r\n" % len(body))
    head = b"".join(lines)
    if head.count(b"\n") != len(lines):
        raise RuntimeError("A header of a response holds a line end.")
    cycle.transport.write(b"%b\r\n%b" % (head, body))
    cycle.response_started = cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
