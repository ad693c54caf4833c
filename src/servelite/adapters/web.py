"""The HTTP server: connections on a listening socket, their deadlines looked at once a second, an orderly close."""

import asyncio
import contextlib
import socket
from collections.abc import Callable
from email.utils import formatdate

from servelite.adapters.asgi import App
from servelite.adapters.connection import Connection
from servelite.adapters.host import BeginAtOnce
from servelite.adapters.known_heads import KnownHeads

BACKLOG = 2048
"""Connections the kernel holds while the gateway is busy."""

SWEEP_S = 1.0
"""How often deadlines are looked at, and the Date header made anew."""

SEND_S = 5.0
"""Seconds that clients have to read their last answers at the end."""


class WebServer:
    """Serves an ASGI application over HTTP/1.1, but for what `begin` takes: requests that have come whole and need no task of their own."""

    def __init__(self, application: App, new_id: Callable[[], str], begin: BeginAtOnce = lambda _: None) -> None:
        self.application = application
        self.begin = begin
        self.heads = KnownHeads()
        self._new_id = new_id
        self.connections: set[Connection] = set()
        self.is_closing = False
        self.loop = asyncio.get_running_loop()

    def new_id(self) -> str:
        """Return a request id, for what is refused before it reaches the application."""
        return self._new_id()

    async def start(self, listener: socket.socket) -> None:
        """Begin to accept connections."""
        self._sweep()
        self._server = await self.loop.create_server(lambda: Connection(self), sock=listener, backlog=BACKLOG)

    async def close(self) -> None:
        """Accept no more, close idle connections, and wait until the others have had their answers."""
        self.is_closing = True
        self._server.close()
        for connection in list(self.connections):
            connection.close()
        self._is_empty = asyncio.Event()
        self._note_if_empty()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_empty.wait(), SEND_S)
        for connection in list(self.connections):
            connection.abort()
        self._sweeper.cancel()

    def forget(self, connection: Connection) -> None:
        """Take note that a connection is closed."""
        self.connections.discard(connection)
        if self.is_closing:
            self._note_if_empty()

    def _note_if_empty(self) -> None:
        if not self.connections:
            self._is_empty.set()

    def _sweep(self) -> None:
        self.date_line = f"date: {formatdate(usegmt=True)}\r\n".encode()
        now = self.loop.time()
        for connection in list(self.connections):
            connection.look(now)
        self._sweeper = self.loop.call_later(SWEEP_S, self._sweep)
