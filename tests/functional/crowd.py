"""Clients in numbers: good ones beside whom others misbehave, and a crowd whose calls can each have one answer only."""

import asyncio
import http.client
import itertools
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.server import Server

Kind = tuple[str, bytes, Any]
"""What a call is, the request, and what its answer must be: status and body, or status and what the body holds."""

MOST_PIPELINED = 8


class Crowd:
    """Calls several functions at once, pipelines, errs, and leaves without waiting."""

    def __init__(self, port: int, dice: random.Random) -> None:
        self.crossed: list[Any] = []
        self.kinds: Counter[str] = Counter()
        self.ids: set[str] = set()
        self.left_early = 0
        self._port = port
        self._dice = dice

    async def call(self, count: int, connections: int) -> None:
        """Make so many calls on so many connections, which share them as they are able to."""
        numbers = iter(range(count))
        await asyncio.gather(*(self._client(numbers) for _ in range(connections)))

    async def _client(self, numbers: Iterator[int]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while kinds := list(map(self._kind, itertools.islice(numbers, self._dice.randint(1, MOST_PIPELINED)))):
            writer.write(b"".join(request for _, request, _ in kinds))
            for kind in kinds:
                self._check(kind, *await read_answer(reader))
            if self._dice.random() < 0.05:
                await self._leave_early()
        writer.close()

    async def _leave_early(self) -> None:
        """Send a request, or the half of one, and hang up."""
        self.left_early += 1
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        _, request, _ = self._kind(-self.left_early)
        writer.write(request[: self._dice.choice([len(request), len(request) // 2])])
        await writer.drain()
        writer.transport.abort()

    def _kind(self, number: int) -> Kind:
        text = f"call {number} " + "x" * self._dice.choice([0, 10, 1000, 20_000])
        name, path, body, expected = self._dice.choice(
            [
                ("double", "double", number, (200, str(2 * number))),
                ("shout", "shout", text, (200, f"{text.upper()}!")),
                ("flip", "flip", text, (200, json.dumps(text)[::-1])),
                ("tag", "tag", text, (200, text)),
                ("invalid", "tag", f"refused {number}", (422, "refused by the handler")),
                ("malformed", "double", text, (422, "integer")),
                ("unknown", f"none-{number}", number, (404, f"'none-{number}'")),
                ("misdirected", "double", number, (421, f"'host-{number}.example'")),
            ]
        )
        host = f"host-{number}.example" if name == "misdirected" else "localhost"
        media = "application/octet-stream" if name == "flip" else "application/json"
        sent = json.dumps(body).encode()
        head = f"POST /functions/{path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {media}\r\nContent-Length: {len(sent)}\r\n\r\n"
        return name, head.encode() + sent, expected

    def _check(self, kind: Kind, status: int, headers: dict[str, str], body: bytes) -> None:
        name, _, expected = kind
        self.kinds[name] += 1
        self.ids.add(headers["x-request-id"])
        told = body.decode()
        found = json.loads(told)["payload"] if name == "tag" else told
        is_own = found == expected[1] if status == 200 else expected[1] in found and headers["x-request-id"] in found
        if status != expected[0] or not is_own:
            self.crossed.append((name, expected, status, told))


async def read_answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:-2])
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


class Calls:
    """What some good clients saw."""

    def __init__(self) -> None:
        self.latencies: list[float] = []
        self.errors: list[Any] = []
        self.is_over = threading.Event()

    def make(self, server: Server, numbers: Iterator[int]) -> None:
        """Call one after the other on one connection until it is over."""
        connection = server.connect()
        while not self.is_over.is_set():
            number, begun = next(numbers), time.monotonic()
            try:
                connection.request("POST", "/functions/double", str(number).encode())
                body = connection.getresponse().read()
            except (OSError, http.client.HTTPException) as error:
                body = repr(error).encode()
            if body != str(2 * number).encode():
                self.errors.append(body)
            self.latencies.append(time.monotonic() - begun)
            self.is_over.wait(0.01)
        connection.close()


@contextmanager
def calling(server: Server, clients: int) -> Iterator[Calls]:
    """Let good clients call meanwhile."""
    calls, numbers = Calls(), itertools.count()
    threads = [threading.Thread(target=calls.make, args=(server, numbers)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield calls
    finally:
        calls.is_over.set()
        for thread in threads:
            thread.join()
