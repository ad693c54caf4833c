"""The gateway's end of the socket pair to a worker: questions go out as frames, answers come back as frames."""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from servelite.core.call import Question
from servelite.core.errors import FrameError
from servelite.core.frames import FrameReader, Kind, unpack_ask

logger = logging.getLogger("servelite.worker")


class Link(asyncio.Protocol):
    """One exchange at a time: what is sent is answered by one frame, or by parts and a last one; before it the worker may ask back.

    on_lost   called when the other side is gone
    on_ask    called with what the worker asks; what it raises is a fault of the worker's
    on_fault  called when the worker sent what it may not
    """

    def __init__(self, on_lost: Callable[[], None], on_ask: Callable[[Question], None], on_fault: Callable[[FrameError], None]) -> None:
        self.is_lost = False
        self.exchanges = 0
        self._on_lost = on_lost
        self._on_ask = on_ask
        self._on_fault = on_fault
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[Kind, list[bytes]]] | None = None
        self._payloads: list[bytes] = []

    @property
    def is_waiting(self) -> bool:
        """Whether an answer is awaited."""
        return self._answer is not None and not self._answer.done()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self._answer = self._loop.create_future()  # the worker speaks first, perhaps before anybody listens
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but not a subclass

    async def first(self) -> tuple[Kind, list[bytes]]:
        """Return what the worker says of itself; ConnectionError where it ended without a word."""
        if self._answer is None:
            raise ConnectionError
        return await self._answer

    async def exchange(self, sent: bytes) -> tuple[Kind, list[bytes]]:
        """Send bytes and return the answer's kind and payloads; ConnectionError where the other side is gone."""
        if self.is_lost or self._transport is None:
            raise ConnectionError
        self.exchanges += 1
        self._payloads = []
        self._answer = self._loop.create_future()
        self._transport.write(sent)
        return await self._answer

    def send(self, sent: bytes) -> None:
        """Send bytes in the middle of an exchange; nothing where the other side is gone."""
        if not self.is_lost and self._transport is not None:
            self._transport.write(sent)

    def data_received(self, data: bytes) -> None:
        try:
            for kind, payload in self._reader.feed(data):
                self._take(kind, payload)
        except FrameError as error:
            logger.error("a worker is ended: %s", error.detail)
            self._on_fault(error)
            self.close()

    def _take(self, kind: Kind, payload: bytes) -> None:
        if self._answer is None or self._answer.done():
            raise FrameError("It sent a frame that nobody asked for.")
        if kind is Kind.ASK:
            if not self.exchanges:
                raise FrameError("It asked for another function before it was ready.")
            self._on_ask(unpack_ask(payload))
            return
        self._payloads.append(payload)
        if kind is not Kind.PART:
            self._answer.set_result((kind, self._payloads))

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError())
            self._answer.exception()  # who was to wait for it may have left
        self._on_lost()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
