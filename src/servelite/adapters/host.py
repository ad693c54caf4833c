"""What a connection needs of its server, and what answers its requests."""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from servelite.adapters.asgi import App
from servelite.adapters.exchange import Exchange
from servelite.adapters.known_heads import KnownHeads

Running = asyncio.Future[Any]
"""What answers a request; cancelled when the client leaves."""

BeginAtOnce = Callable[[Exchange], Running | None]
"""Begins to answer a request that has come whole, without a task of its own; None where it is for the application."""


class Host(Protocol):
    """What a connection needs of its server."""

    loop: asyncio.AbstractEventLoop
    application: App
    begin: BeginAtOnce
    heads: KnownHeads
    connections: set[Any]
    is_closing: bool
    date_line: bytes

    def new_id(self) -> str:
        """Return a request id."""
        ...

    def forget(self, connection: Any) -> None:
        """Take note that a connection is closed."""
        ...
