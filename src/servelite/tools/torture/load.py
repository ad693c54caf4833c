"""Load that ends by itself: clients that ask again and again, or so many requests a second whatever the server does."""

import asyncio
import time
from collections.abc import Sequence

from servelite.tools.torture.client import Reply
from servelite.tools.torture.target import Target

MOST_OPEN = 400
"""Requests that are under way at the same time: enough to see a queue grow, and within everyone's file descriptors."""


async def keep_asking(target: Target, clients: int, seconds: float) -> list[Reply]:
    """Have some clients send the good call, each its next one when the last is answered."""
    end_s = time.monotonic() + seconds

    async def client() -> list[Reply]:
        replies = []
        while time.monotonic() < end_s:
            replies.append(await target.call())
        return replies

    return [reply for replies in await asyncio.gather(*(client() for _ in range(clients))) for reply in replies]


async def flood(target: Target, per_s: float, seconds: float, within_s: float) -> list[tuple[float, Reply]]:
    """Send so many good calls a second, at most MOST_OPEN at a time; return when each was answered, and how.

    A call that is not answered `within_s` after it was sent is given up.
    """
    begun_s, answered, under_way = time.monotonic(), list[tuple[float, Reply]](), set[asyncio.Task[None]]()

    async def call() -> None:
        reply = await target.call(within_s=within_s)
        answered.append((time.monotonic() - begun_s, reply))

    for number in range(int(per_s * seconds)):
        if time.monotonic() - begun_s > seconds:
            break
        await asyncio.sleep(begun_s + number / per_s - time.monotonic())
        if len(under_way) < MOST_OPEN:
            task = asyncio.create_task(call())
            under_way.add(task)
            task.add_done_callback(under_way.discard)
    await asyncio.gather(*under_way)
    return answered


def p99(times_s: Sequence[float]) -> float:
    """Return the time within which 99 of 100 fall; 0 of none."""
    return sorted(times_s)[int(len(times_s) * 0.99)] if times_s else 0.0
