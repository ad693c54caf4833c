"""One worker process as the gateway sees it: start it, hand it a batch, end it, say how it died."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence

from servelite.core import frames
from servelite.core.call import BatchReply, Call, Question, Told
from servelite.core.errors import DefinitionError, FrameError, NoWorker, ServeliteError, TimedOut, WorkerDied, WorkerKilled
from servelite.core.frames import Kind
from servelite.core.function import Description
from servelite.runtime.link import Link
from servelite.runtime.memory import memory_kib, tree

EXIT_GRACE_S = 0.1
"""A worker whose socket closed is gone within this time, or is killed."""

START_LIMIT_S = 300.0
"""A worker that is not ready after this time is killed: large models take a minute or two from a cold disk."""

READ_GRACE_S = 0.005
"""After a time limit, how long an answer that has already arrived may take to be read."""

STOP_GRACE_S = 2.0
"""A worker that was told to stop may run its exit handlers for this long."""

KILLED_WITHIN_S = 10.0
"""A process that was killed is gone within this time, even from a crowded machine, or hangs in a system call."""


class WorkerProcess:
    """The `Worker` port over a Unix socket pair; a batch past the function's `timeout_s` kills the process."""

    def __init__(self, command: Callable[[int], Sequence[str]], environment: Mapping[str, str], function: str) -> None:
        """Take what makes a worker's command of the file descriptor of its end of the socket."""
        self._command = command
        self._environment = environment
        self._function = function
        self.on_end: Callable[[], None] = lambda: None
        self.on_ask: Callable[[Question], None] = lambda _: None
        self._link = Link(self._ended, self._asked, self._at_fault)
        self._process: asyncio.subprocess.Process | None = None
        self._spawning: asyncio.Task[None] | None = None
        self._timeout_s = float("inf")
        self._verdict: ServeliteError | None = None

    @property
    def pid(self) -> int:
        """The process, 0 before its start."""
        return self._process.pid if self._process else 0

    @property
    def is_alive(self) -> bool:
        """Whether the process is connected; it may just be dying."""
        return not self._link.is_lost and self._verdict is None

    async def start(self) -> Description:
        """Start the process and wait until it is ready.

        Raises:
            DefinitionError: the function can't be loaded.
            WorkerDied: the process ended while it loaded the function.
        """
        self._loop = asyncio.get_running_loop()
        if self._verdict is not None:
            raise self._verdict
        self._spawning = asyncio.create_task(self._spawn())
        try:
            await asyncio.shield(self._spawning)  # given up half-way, it would leave a process that nobody knows; see `stop`
        except OSError as error:  # no processes, memory or file descriptors left
            raise NoWorker(f"No worker of {self._function} can be started: {error.strerror}. Try again later.") from error
        if self._verdict is not None:
            self.kill(self._verdict)
        limit = self._loop.call_later(START_LIMIT_S, self.kill, TimedOut(f"{self._function} was not ready after {START_LIMIT_S:g} s."))
        try:
            kind, payloads = await self._answer(self._link.first())
        finally:
            limit.cancel()
        if kind is Kind.BROKEN:
            await self.stop()
            raise DefinitionError(payloads[0].decode())
        return self._ready(payloads[0])

    async def _spawn(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as cleanup:
            cleanup.callback(ours.close)
            self._process = await asyncio.create_subprocess_exec(
                *self._command(theirs.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=dict(self._environment),
                start_new_session=True,  # Ctrl-C goes to a whole terminal; the gateway ends its workers itself
            )
            self._exit = asyncio.create_task(self._process.wait())
            self._watch = asyncio.create_task(self._hang_up_when_gone())
            await self._loop.create_connection(lambda: self._link, sock=ours)
            cleanup.pop_all()

    def _ready(self, payload: bytes) -> Description:
        try:
            description = Description.from_dict(json.loads(payload))
        except (ValueError, KeyError, TypeError) as error:
            self._kill()
            raise WorkerDied(f"The worker of {self._function} was ended: its description can't be read.") from error
        self._timeout_s = description.limits.timeout_s
        return description

    async def run(self, calls: Sequence[Call]) -> BatchReply:
        """Have a batch answered.

        Raises:
            TimedOut: the batch ran past `timeout_s`; the process was killed.
            WorkerDied: the process ended by itself.
            ServeliteError: it was killed with this error.
        """
        timer = self._loop.call_later(self._timeout_s, self._expire)
        try:
            _, payloads = await self._answer(self._link.exchange(frames.pack_batch(calls)))
        except asyncio.CancelledError:
            self._kill()  # nobody waits for this batch any more
            raise
        finally:
            timer.cancel()
        try:
            return frames.unpack_reply(payloads, len(calls))
        except FrameError as error:
            self._at_fault(error)
            raise self._death() from error

    def tell(self, told: Told) -> None:
        """Answer a question of the batch that it runs."""
        self._link.send(frames.pack_told(told))

    def memory_kib(self, suspicious_kib: int) -> int:
        """Return the memory of the process and those that it started; see `memory.memory_kib`."""
        return memory_kib(self.pid, suspicious_kib) if self.pid and self.is_alive else 0

    def kill(self, error: ServeliteError) -> None:
        """Kill the process and what it started; what it was asked fails with this error."""
        if self._verdict is None:
            self._verdict = error
        self._kill()
        self._link.close()

    async def stop(self) -> None:
        """Hang up, and wait until the process is gone; one that stays is killed, and at once what it started outside its session."""
        if self._spawning is not None:
            await asyncio.wait([self._spawning])
        self._link.close()
        if self._process is not None and self._process.returncode is None:
            _kill_each([pid for pid in tree(self.pid) if _session(pid) != self.pid])
        await self._gone(STOP_GRACE_S)

    async def _answer(self, asked: Awaitable[tuple[Kind, list[bytes]]]) -> tuple[Kind, list[bytes]]:
        try:
            return await asked
        except ConnectionError as error:
            if self._verdict is None:  # a caller need not wait until all memory of a killed process is given back
                await self._gone(EXIT_GRACE_S)
            raise self._death() from error

    async def _gone(self, grace_s: float) -> None:
        if self._process is None:
            return
        await asyncio.wait([self._exit], timeout=grace_s)
        if not self._exit.done():
            self._verdict = self._verdict or WorkerDied(f"The worker of {self._function} hung up, did not end, and was killed.")
            self._kill()
            await asyncio.wait([self._exit], timeout=KILLED_WITHIN_S)  # one that hangs in a system call ends when that does

    async def _hang_up_when_gone(self) -> None:
        """End the link and all that the process started with it: a child that it left behind may hold the socket open."""
        await asyncio.wait([self._exit])
        with contextlib.suppress(OSError):  # nothing is left of it, or what is left is not ours to kill
            os.killpg(self.pid, signal.SIGKILL)
        await asyncio.sleep(EXIT_GRACE_S)  # what it sent last may still be read
        self._link.close()

    def _ended(self) -> None:
        self.on_end()

    def _asked(self, question: Question) -> None:
        self.on_ask(question)

    def _at_fault(self, error: FrameError) -> None:
        self.kill(WorkerDied(f"The worker of {self._function} was ended: {error.detail}"))

    def _expire(self) -> None:
        """Look once more after what has arrived is read: if this process itself was late, the answer may be there."""
        self._loop.call_later(READ_GRACE_S, self._kill_late, self._link.exchanges)

    def _kill_late(self, exchange: int) -> None:
        if self._link.is_waiting and self._link.exchanges == exchange:
            self.kill(
                TimedOut(f"{self._function} ran past its limit of {self._timeout_s:g} s and was stopped. Send less, or raise timeout_s.")
            )

    def _kill(self) -> None:
        """Kill the process and what it started; it leads a session of its own, which some of that may have left."""
        if self._process is not None and self._process.returncode is None:
            elsewhere = [pid for pid in tree(self.pid) if _session(pid) != self.pid]
            with contextlib.suppress(OSError):  # as above
                os.killpg(self.pid, signal.SIGKILL)
            _kill_each(elsewhere)

    def _death(self) -> ServeliteError:
        if self._verdict is not None:
            return self._verdict
        code = self._process.returncode if self._process else None
        kind = WorkerKilled if code == -signal.SIGKILL else WorkerDied
        return kind(f"The worker of {self._function} {_ending(code)}.")


def _session(pid: int) -> int:
    """Return the session that a process belongs to, 0 where it is gone."""
    try:
        return os.getsid(pid)
    except OSError:
        return 0


def _kill_each(pids: Sequence[int]) -> None:
    for pid in pids:
        with contextlib.suppress(OSError):  # it ended meanwhile, or is not ours to kill
            os.kill(pid, signal.SIGKILL)


def _ending(code: int | None) -> str:
    """Say how a process ended by its exit code, which is negative for a signal."""
    if code is None or code >= 0:
        return f"exited with code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"
