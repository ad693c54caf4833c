"""The gateway's end of the socket pair to a worker: questions go out as frames, answers come back as frames."""

import asyncio
import logging
from collections.abc import Callable
from typing import cast

from servelite.core.errors import FrameError
from servelite.core.frames import FrameReader, Kind

logger = logging.getLogger("servelite.worker")


class Link(asyncio.Protocol):
    """One question at a time, each answered by one frame, or by parts and a last one."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self.is_lost = False
        self.questions = 0
        self._on_lost = on_lost
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
        self.questions += 1
        self._payloads = []
        self._answer = self._loop.create_future()
        self._transport.write(sent)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        try:
            for kind, payload in self._reader.feed(data):
                if self._answer is None or self._answer.done():
                    raise FrameError("It sent a frame that nobody asked for.")
                self._payloads.append(payload)
                if kind is not Kind.PART:
                    self._answer.set_result((kind, self._payloads))
        except FrameError as error:
            logger.error("a worker is ended: %s", error.detail)
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError())
        self._on_lost()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
