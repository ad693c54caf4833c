"""A small HTTP/1.1 client that does as it is told: it sends any bytes, waits only so long, and may hang up."""

import asyncio
import json
import time
from dataclasses import dataclass, field

from servelite.core.receipts import read_receipt
from servelite.tools.servers import HOST

ANSWER_WITHIN_S = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered, header names in lower case, and after how long; status 0 where no answer came."""

    took_s: float
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def code(self) -> str:
        """The error's code, empty where the body is no problem document."""
        return str(self._problem().get("code", ""))

    @property
    def detail(self) -> str:
        """The error's sentence."""
        return str(self._problem().get("detail", ""))

    @property
    def compute_us(self) -> int:
        """The compute time of the receipt, 0 without one."""
        return read_receipt(self.headers.get("servelite-receipt", "")).compute_us

    def __str__(self) -> str:
        return f"{self.status} {self.code}".strip() if self.status else "no answer"

    def _problem(self) -> dict[str, object]:
        try:
            told = json.loads(self.body) if "problem" in self.headers.get("content-type", "") else {}
        except ValueError:
            return {}
        return told if isinstance(told, dict) else {}


class Line:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._sent_s = time.monotonic()

    def send(self, request: bytes) -> None:
        """Send bytes, and start the watch."""
        self._sent_s = time.monotonic()
        self._writer.write(request)

    async def reply(self, within_s: float = ANSWER_WITHIN_S) -> Reply:
        """Read one answer."""
        try:
            async with asyncio.timeout(within_s):
                status, headers = await self._head()
                length = headers.get("content-length")
                body = await (self._reader.read() if length is None else self._reader.readexactly(int(length)))
        except (OSError, EOFError, ValueError, IndexError, asyncio.LimitOverrunError):  # TimeoutError is an OSError
            return Reply(time.monotonic() - self._sent_s)
        return Reply(time.monotonic() - self._sent_s, status, headers, body)

    async def ask(self, request: bytes, within_s: float = ANSWER_WITHIN_S) -> Reply:
        """Send bytes and read one answer."""
        self.send(request)
        return await self.reply(within_s)

    async def is_cut(self, within_s: float) -> bool:
        """Wait for the server to hang up; an answer before that is read away."""
        try:
            async with asyncio.timeout(within_s):
                while await self._reader.read(65536):
                    pass
        except TimeoutError:
            return False
        except OSError:
            return True
        return True

    def hang_up(self) -> None:
        """Close, whatever is still to come."""
        self._writer.transport.abort()

    async def _head(self) -> tuple[int, dict[str, str]]:
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        return int(first.split(" ")[1]), headers


async def dial(port: int) -> Line:
    """Connect; OSError where nobody listens."""
    return Line(*await asyncio.open_connection(HOST, port))


async def ask(port: int, request: bytes, within_s: float = ANSWER_WITHIN_S) -> Reply:
    """Send bytes on a connection of their own, and read one answer."""
    begun_s = time.monotonic()
    try:
        line = await dial(port)
    except OSError:
        return Reply(time.monotonic() - begun_s)
    try:
        return await line.ask(request, within_s)
    finally:
        line.hang_up()
