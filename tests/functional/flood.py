"""So many calls a second whatever the server does, on connections that are used again, and how each was answered."""

import asyncio
import time
from dataclasses import dataclass, field

from tests.functional.crowd import read_answer
from tests.server import Server

GIVEN_UP_S = 20.0


@dataclass(frozen=True, slots=True)
class Answered:
    """One call: when it was sent and answered, seconds after the flood began, and how; status 0 where no answer came."""

    sent_s: float
    at_s: float
    status: int
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def took_s(self) -> float:
        return self.at_s - self.sent_s


class Flood:
    """Sends one request again and again, each at its time."""

    def __init__(self, server: Server, request: bytes) -> None:
        self._port = server.port
        self._request = request
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self.answered: list[Answered] = []

    async def send(self, per_s: float, seconds: float) -> list[Answered]:
        """Send so many calls a second, and return how they were answered once all are."""
        self._begun_s = time.monotonic()
        calls = []
        for number in range(int(per_s * seconds)):
            await asyncio.sleep(self._begun_s + number / per_s - time.monotonic())
            calls.append(asyncio.create_task(self._call()))
        await asyncio.gather(*calls)
        self._hang_up()
        return self.answered

    async def keep_asking(self, clients: int, seconds: float) -> list[Answered]:
        """Have some clients call one after the other, without a pause but after a refusal."""
        self._begun_s = time.monotonic()
        await asyncio.gather(*(self._client(seconds) for _ in range(clients)))
        self._hang_up()
        return self.answered

    async def _client(self, seconds: float) -> None:
        while time.monotonic() < self._begun_s + seconds:
            if await self._call() != 200:
                await asyncio.sleep(0.1)

    async def _call(self) -> int:
        sent_s = time.monotonic() - self._begun_s
        status, headers = 0, dict[str, str]()
        try:
            async with asyncio.timeout(GIVEN_UP_S):
                line = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
                line[1].write(self._request)
                status, headers, _ = await read_answer(line[0])
                if "connection" not in headers:
                    self._free.append(line)
        except (OSError, EOFError):
            pass
        self.answered.append(Answered(sent_s, time.monotonic() - self._begun_s, status, headers))
        return status

    def _hang_up(self) -> None:
        for _, writer in self._free:
            writer.transport.abort()
        self._free.clear()
