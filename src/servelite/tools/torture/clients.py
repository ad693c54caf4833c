"""Trials of clients: slow ones, ones that leave, and many at once that must each get their own answer."""

import asyncio
import time

from servelite.tools.servers import until
from servelite.tools.torture.client import Line, Reply, dial
from servelite.tools.torture.stage import ROOMY_TIMEOUT_S, Stage
from servelite.tools.torture.target import Target
from servelite.tools.torture.verdict import Finding, finding

CUT_WITHIN_S = 15.0
DRIP_S = 0.5
SLOW_EACH = 10
GOOD_WITHIN_S = 1.0
"""What a good call may take while slow clients hang on; a busy machine's pauses are in it."""

ABANDONED, MOST_COMPUTED = 50, 2
NEXT_WITHIN_S = 0.2
CLIENTS, CALLS_EACH = 16, 25


async def slow_clients(target: Target) -> Finding:
    """Let many clients send next to nothing, for ever."""
    head, _, body = target.request(target.body + b" " * 100).partition(b"\r\n\r\n")
    starts = {
        "says nothing": (b"", b""),
        "drips its head": (head[:20], b"x"),
        "drips its body": (head + b"\r\n\r\n", b" "),
        "stops in its body": (head + b"\r\n\r\n" + body[: len(body) // 2], b""),
    }
    slow = [_dawdle(target, *how) for how in starts.values() for _ in range(SLOW_EACH)]
    patience = asyncio.gather(*slow)
    good = await _ask_until(patience, target)
    cut = await patience
    late = [kind for number, kind in enumerate(starts) if None in cut[number * SLOW_EACH : (number + 1) * SLOW_EACH]]
    longest_s = max([after_s for after_s in cut if after_s is not None], default=0.0)
    worst_s = max(reply.took_s for reply in good)
    bad = sum(reply.status != 200 for reply in good)
    return finding(
        f"{longest_s:.1f} s",
        (f"not cut: who {' or '.join(late)}" if late else f"{len(cut)} cut within {longest_s:.1f} s", not late),
        (f"{len(good)} good calls meanwhile, {bad} failed, the slowest {worst_s:.2f} s", not bad and worst_s < GOOD_WITHIN_S),
        await target.is_well(),
    )


async def _dawdle(target: Target, start: bytes, drip: bytes) -> float | None:
    """Return after how many seconds a slow client was cut off, None where it was not."""
    line, begun_s = await dial(target.port), time.monotonic()
    try:
        line.send(start)
        while time.monotonic() - begun_s < CUT_WITHIN_S:
            if await line.is_cut(DRIP_S):
                return time.monotonic() - begun_s
            line.send(drip)
    finally:
        line.hang_up()
    return None


async def _ask_until(end: "asyncio.Future[list[float | None]]", target: Target) -> list[Reply]:
    replies = [await target.call()]
    while not end.done():
        replies.append(await target.call())
        await asyncio.sleep(DRIP_S / 5)
    return replies


async def disconnects(stage: Stage) -> Finding:
    """Let clients leave while their calls wait behind a slow one, on a server whose runs can be counted."""
    async with stage.serve(timeout_s=ROOMY_TIMEOUT_S, max_workers=1) as scene:
        scene.order("slow", 0.05, whom="all")
        scene.order("slow", 1)
        first = asyncio.create_task(scene.target.call())
        await until(lambda: scene.is_claimed("slow"), within_s=5)
        await _abandon(scene.target)
        held = await first
        good = await scene.target.call()
        ran = {request_id for run in scene.runs() for request_id in run}
        computed = len(ran) - 2  # the held one and the good one
        return finding(
            f"{computed} of {ABANDONED}",
            (f"{computed} of {ABANDONED} abandoned calls computed", computed <= MOST_COMPUTED),
            (f"the call that ran {held}", held.status == 200),
            (f"next call {good} after {good.took_s:.3f} s", good.status == 200 and good.took_s < NEXT_WITHIN_S),
            await scene.target.is_well(),
        )


async def leaving(target: Target) -> Finding:
    """Let clients leave, on a server that can't be looked into."""
    before = await target.call()
    await _abandon(target)
    good = await target.call()
    later_s = good.took_s - before.took_s
    return finding(
        f"{later_s * 1000:+.0f} ms",
        (f"next call {good} after {good.took_s:.3f} s", good.status == 200 and later_s < NEXT_WITHIN_S),
        await target.is_well(),
    )


async def _abandon(target: Target) -> None:
    lines = await target.dial(ABANDONED)
    for line in lines:
        line.send(target.request())
    await target.has_read()
    for line in lines:
        line.hang_up()
    await target.has_read()


async def crossed(target: Target) -> Finding:
    """Let many clients ask different things at the same time over connections that they keep."""
    own = {body: (await target.call(body)).body for body in target.bodies}
    told = [pair for pairs in await asyncio.gather(*(_client(target, number) for number in range(CLIENTS))) for pair in pairs]
    others = {body: {answer for answer in own.values() if answer != own[body]} for body in own}
    crossings = sum(reply.body in others[body] for body, reply in told)
    ids = {reply.headers.get("x-request-id") for _, reply in told} - {None}
    bad = sum(reply.status != 200 for _, reply in told)
    return finding(
        f"{crossings} of {len(told):,}",
        (f"{crossings} of {len(told):,} answers belong to another of {len(own)} inputs", not crossings),
        (f"{len(ids):,} different request ids", len(ids) == len(told)),
        (f"{bad} failed", not bad),
        await target.is_well(),
    )


async def _client(target: Target, number: int) -> list[tuple[bytes, Reply]]:
    """Ask for each body in turn, beginning with another one than one's neighbour."""
    bodies = [target.bodies[(number + turn) % len(target.bodies)] for turn in range(CALLS_EACH)]
    line: Line = await dial(target.port)
    try:
        return [(body, await line.ask(target.request(body), within_s=10)) for body in bodies]
    finally:
        line.hang_up()
