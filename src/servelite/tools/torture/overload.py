"""The trial of overload: ten times as much is asked as can be done; what can be done is done, the rest is told at once."""

import asyncio
import time
from dataclasses import dataclass, field

from servelite.tools.torture.client import Reply
from servelite.tools.torture.load import flood, keep_asking, p99
from servelite.tools.torture.stage import Scene, Stage
from servelite.tools.torture.verdict import Finding, finding

TIMES = 10
CALL_S = 0.025
"""What a call is slowed to: 40 a second and worker, which leaves this machine time to ask for ten times that."""

PROMISED_S = 0.5
"""The time limit, and with it the longest wait that is promised, for a function that takes no time itself."""

WORKERS = 2
LEAST_GOODPUT = 0.85
MOST_GROWTH_MB = 50.0
LIVEZ_WITHIN_S = 0.1
RECOVERED_WITHIN_S = 1.0
CLIENTS = 8
WARM_UP_S = 1.5
"""Load before the capacity is measured: the server may start more workers."""


@dataclass(slots=True)
class Sights:
    """What was seen of a flood: when each call was answered and how, and of the gateway meanwhile."""

    capacity: float
    load_s: float
    wait_s: float
    answered: list[tuple[float, Reply]] = field(default_factory=list)
    recovered_s: float = 0.0
    livez_s: list[float] = field(default_factory=list)
    gateway_mib: list[float] = field(default_factory=list)

    @property
    def growth_mb(self) -> float:
        """How much larger the gateway became."""
        return (max(self.gateway_mib) - self.gateway_mib[0]) * 2**20 / 1e6


async def overload(stage: Stage) -> Finding:
    """Measure what the server can do, then ask for ten times that."""
    wait_s = stage.timeout_s(PROMISED_S)
    async with stage.serve(timeout_s=wait_s, max_workers=WORKERS, max_batch=stage.max_batch(4)) as scene:
        scene.order("slow", CALL_S, whom="all")
        await keep_asking(scene.target, CLIENTS, WARM_UP_S)
        sights = Sights(await _capacity(scene, stage.load_s / 2), stage.load_s, wait_s)
        end = asyncio.Event()
        watching = asyncio.create_task(_watch(scene, sights, end))
        flooding = asyncio.create_task(flood(scene.target, TIMES * sights.capacity, stage.load_s, within_s=4 * wait_s))
        await asyncio.sleep(stage.load_s)
        sights.recovered_s = await _recovery(scene)
        sights.answered = await flooding
        end.set()
        await watching
        return judge(sights)


async def _capacity(scene: Scene, seconds: float) -> float:
    begun_s = time.monotonic()
    replies = await keep_asking(scene.target, CLIENTS, seconds)
    return sum(reply.status == 200 for reply in replies) / (time.monotonic() - begun_s)  # the last answers come after `seconds`


async def _watch(scene: Scene, sights: Sights, end: asyncio.Event) -> None:
    """Look at the gateway ten times a second."""
    while not end.is_set():
        sights.gateway_mib.append(scene.server.gateway_mib())
        reply = await scene.target.get("/livez")
        sights.livez_s.append(reply.took_s if reply.status == 200 else float("inf"))
        await asyncio.sleep(0.1)


async def _recovery(scene: Scene) -> float:
    """Return how long after the flood a normal call is answered."""
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < 10 * RECOVERED_WITHIN_S:
        if (await scene.target.call()).status == 200:
            break
        await asyncio.sleep(0.05)
    return time.monotonic() - begun_s


def judge(sights: Sights) -> Finding:
    """Hold what was seen against what is promised."""
    replies = [reply for _, reply in sights.answered]
    accepted_s = [reply.took_s for reply in replies if reply.status == 200]
    in_time = sum(reply.status == 200 and at_s <= sights.load_s for at_s, reply in sights.answered)
    goodput = in_time / sights.load_s / sights.capacity if sights.capacity else 0.0
    refused = [reply for reply in replies if reply.status == 429]
    others = len(replies) - len(accepted_s) - len(refused)
    bare = sum("retry-after" not in reply.headers for reply in refused)
    return finding(
        f"{goodput:.0%}",
        (f"goodput {goodput:.0%} of {sights.capacity:.0f}/s", goodput >= LEAST_GOODPUT),
        (f"p99 {p99(accepted_s):.2f} s", bool(accepted_s) and p99(accepted_s) <= 2 * sights.wait_s),
        (f"{len(refused):,} got 429", bool(refused)),
        (f"{bare} without Retry-After", not bare),
        (f"{others} other ends", not others),
        (f"{sights.growth_mb:+.0f} MB", sights.growth_mb < MOST_GROWTH_MB),
        (f"/livez at most {max(sights.livez_s) * 1000:.0f} ms", max(sights.livez_s) < LIVEZ_WITHIN_S),
        (f"a normal answer {sights.recovered_s:.2f} s after", sights.recovered_s < RECOVERED_WITHIN_S),
    )
