"""The one road every call takes, whatever door it came through: find, admit, read, run, meter, answer."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from servelite.core.call import Answer, Call, call_id
from servelite.core.errors import FunctionNotFound, PayloadTooLarge, ShuttingDown, UnsupportedMediaType
from servelite.core.function import Description
from servelite.core.ports import Ledger
from servelite.runtime.pool import Pool

MIB = 1024 * 1024


STARTS_AT_ONCE = 4
"""Workers that are started at the same time: enough to overlap reading and importing on a few cores."""


class Engine:
    """Answers calls to a set of functions."""

    def __init__(
        self,
        pools: Mapping[str, Pool],
        ledger: Ledger,
        *,
        now_s: Callable[[], float],
        random_bits: Callable[[int], int],
        max_body_bytes: int = 6 * MIB,
    ) -> None:
        self.pools = pools
        self.max_body_bytes = max_body_bytes
        self._ledger = ledger
        self._now_s = now_s
        self._random_bits = random_bits
        self._running = 0
        self._is_draining = False
        self._drained = asyncio.Event()

    async def start(self) -> None:
        """Start a worker for each function, STARTS_AT_ONCE at the same time.

        Raises:
            DefinitionError: a function can't be loaded.
        """
        turn = asyncio.Semaphore(STARTS_AT_ONCE)

        async def start(pool: Pool) -> None:
            async with turn:
                await pool.start()

        for outcome in await asyncio.gather(*map(start, self.pools.values()), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def call(self, call: Call, read_body: Callable[[], Awaitable[bytes]] | None = None) -> Answer:
        """Answer a call; its body is read only once it is admitted.

        What the function did, its errors too, is an Answer with a receipt. What never reached a worker
        is raised, and has no row in the ledger.

        Raises:
            CallerError: there is no such function, or it does not take such a body.
            ServiceError: the call could not be run or recorded.
        """
        pool = self._find(call.function)
        if self._is_draining:
            raise ShuttingDown(f"The server is ending; {call.function} was not run. Try again.")
        _admit(pool.description, call)
        self._running += 1
        try:
            if read_body is not None:
                call.body = await read_body()
            if len(call.body) > self.max_body_bytes:
                raise too_large(self.max_body_bytes)
            return await pool.answer(call)
        finally:
            self._running -= 1
            if self._is_draining and not self._running:
                self._drained.set()

    def new_id(self) -> str:
        """Return a request id that no other call has."""
        return call_id(int(self._now_s() * 1000), self._random_bits(80))

    def describe(self, name: str) -> Description:
        """Return what may be known of a function; FunctionNotFound where there is none."""
        return self._find(name).description

    def unready(self) -> list[str]:
        """Return the functions that can't be called at the moment: without a worker, or all while draining."""
        return [name for name, pool in self.pools.items() if self._is_draining or not pool.is_ready]

    @property
    def longest_s(self) -> float:
        """The largest time limit of the functions that are served."""
        return max(pool.description.limits.timeout_s for pool in self.pools.values())

    async def drain(self) -> None:
        """Refuse new calls, and wait until those that run are answered."""
        self._is_draining = True
        if self._running:
            await self._drained.wait()

    async def stop(self) -> None:
        """End all workers and close the ledger."""
        try:
            await asyncio.gather(*(pool.stop() for pool in self.pools.values()))
        finally:
            self._ledger.close()

    def _find(self, name: str) -> Pool:
        pool = self.pools.get(name)
        if pool is None:
            raise FunctionNotFound(f"No function named '{name}'. Functions here: {', '.join(sorted(self.pools))}.")
        return pool


def too_large(limit: int) -> PayloadTooLarge:
    """Return the error for a body over the limit, in bytes."""
    return PayloadTooLarge(f"The body is longer than {limit:,} bytes. Send less, or have the server started with a larger --max-body.")


def _admit(function: Description, call: Call) -> None:
    if not function.accepts(call.media_type):
        raise UnsupportedMediaType(f"{function.name} does not take '{call.media_type}'. Send Content-Type: {' or '.join(function.takes)}.")
    if not call.media_type:
        call.media_type = function.takes[0]
