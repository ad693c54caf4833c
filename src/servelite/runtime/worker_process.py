"""One worker process as the gateway sees it: start it, hand it a batch, end it, say how it died."""

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import cast

from servelite.core import frames
from servelite.core.call import BatchReply, Call
from servelite.core.errors import DefinitionError, FrameError, FunctionError, TimedOut, WorkerDied
from servelite.core.frames import FrameReader, Kind
from servelite.core.function import Description

EXIT_GRACE_S = 0.1
"""A worker whose socket closed is gone within this time, or is killed."""

STOP_GRACE_S = 2.0
"""A worker that was told to stop may run its exit handlers for this long."""


class WorkerProcess:
    """The `Worker` port over a Unix socket pair; a batch past the function's `timeout_s` kills the process."""

    def __init__(self, command: Callable[[int], Sequence[str]], environment: Mapping[str, str], function: str) -> None:
        """Take what makes a worker's command of the file descriptor of its end of the socket."""
        self._command = command
        self._environment = environment
        self._function = function
        self.on_end: Callable[[], None] = lambda: None
        self._link = _Link(self._ended)
        self._process: asyncio.subprocess.Process | None = None
        self._timeout_s = float("inf")
        self._is_late = False

    @property
    def is_alive(self) -> bool:
        """Whether the process is connected; it may just be dying."""
        return not self._link.is_lost

    async def start(self) -> Description:
        """Start the process and wait until it is ready.

        Raises:
            DefinitionError: the function can't be loaded.
            WorkerDied: the process ended while it loaded the function.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=self._environment,
                start_new_session=True,  # Ctrl-C goes to a whole terminal; the gateway ends its workers itself
            )
        self._loop = asyncio.get_running_loop()
        await self._loop.create_connection(lambda: self._link, sock=ours)
        self._watch = asyncio.create_task(self._hang_up_when_gone(self._process))
        kind, payload = await self._exchange(b"")
        if kind is Kind.BROKEN:
            await self.stop()
            raise DefinitionError(payload.decode())
        description = Description.from_dict(json.loads(payload))
        self._timeout_s = description.limits.timeout_s
        return description

    async def run(self, calls: Sequence[Call]) -> BatchReply:
        """Have a batch answered.

        Raises:
            TimedOut: the batch ran past `timeout_s`; the process was killed.
            WorkerDied: the process ended by itself.
        """
        timer = self._loop.call_later(self._timeout_s, self._expire)
        try:
            _, payload = await self._exchange(frames.pack_batch(calls))
        except asyncio.CancelledError:
            self._kill()  # nobody waits for this batch any more
            raise
        finally:
            timer.cancel()
        try:
            return frames.unpack_reply(payload)
        except FrameError as error:
            self._link.close()
            raise WorkerDied(f"The worker of {self._function} was ended: {error.detail}") from error

    async def stop(self) -> None:
        """Hang up, and wait until the process is gone; one that stays is killed."""
        self._link.close()
        await self._gone(STOP_GRACE_S)

    async def _exchange(self, sent: bytes) -> tuple[Kind, bytes]:
        try:
            return await self._link.exchange(sent)
        except ConnectionError as error:
            await self._gone(EXIT_GRACE_S)
            raise self._death() from error

    async def _gone(self, grace_s: float) -> None:
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._process.wait(), grace_s)
        except TimeoutError:
            self._kill()
            await self._process.wait()

    async def _hang_up_when_gone(self, process: asyncio.subprocess.Process) -> None:
        """End the link with the process: a child that it left behind may hold the socket open."""
        await process.wait()
        await asyncio.sleep(EXIT_GRACE_S)  # what it sent last may still be read
        self._link.close()

    def _ended(self) -> None:
        self.on_end()

    def _expire(self) -> None:
        self._is_late = True
        self._kill()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._process is not None:
                self._process.kill()

    def _death(self) -> FunctionError:
        if self._is_late:
            return TimedOut(f"{self._function} ran past its limit of {self._timeout_s:g} s and was stopped.")
        return WorkerDied(f"The worker of {self._function} {_ending(self._process.returncode if self._process else None)}.")


def _ending(code: int | None) -> str:
    """Say how a process ended by its exit code, which is negative for a signal."""
    if code is None or code >= 0:
        return f"exited with code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


class _Link(asyncio.Protocol):
    """The gateway's end of the socket pair: one question at a time, each answered by one frame."""

    def __init__(self, on_lost: Callable[[], None]) -> None:
        self.is_lost = False
        self._on_lost = on_lost
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[Kind, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one, but not a subclass

    async def exchange(self, sent: bytes) -> tuple[Kind, bytes]:
        """Send bytes and return the next frame; ConnectionError where the other side is gone."""
        if self.is_lost or self._transport is None:
            raise ConnectionError
        self._answer = self._loop.create_future()
        self._transport.write(sent)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._reader.feed(data):
                if self._answer is None or self._answer.done():
                    raise FrameError("A worker sent a frame that nobody asked for.")
                self._answer.set_result(frame)
        except FrameError:
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError())
        self._on_lost()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()
