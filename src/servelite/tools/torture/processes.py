"""Trials of ends: a worker killed under load, the gateway killed, and an orderly stop with calls in flight."""

import asyncio
import signal

from servelite.tools.servers import are_running, kill_all, send, until
from servelite.tools.torture.load import keep_asking
from servelite.tools.torture.stage import ROOMY_TIMEOUT_S, Scene, Stage
from servelite.tools.torture.verdict import Finding, finding

KILLS = 2
IN_FLIGHT = 100
ORPHANED_S = 1.0
STOPPED_WITHIN_S = 60.0


async def kill_worker(stage: Stage) -> Finding:
    """Kill a worker twice while clients keep asking."""
    async with stage.serve(timeout_s=ROOMY_TIMEOUT_S, max_batch=stage.max_batch(8)) as scene:
        scene.order("slow", 0.01, whom="all")
        asking = asyncio.create_task(keep_asking(scene.target, clients=8, seconds=stage.load_s))
        killed = await _kill_workers(scene, stage.load_s / (KILLS + 1))
        replies = await asking
        lost = sum(reply.status != 200 for reply in replies)
        return finding(
            f"{lost} of {len(replies):,}",
            (f"{killed} killed", killed == KILLS),
            (f"{lost} of {len(replies):,} calls failed", not lost),
            await scene.target.is_well(),
        )


async def _kill_workers(scene: Scene, pause_s: float) -> int:
    killed = 0
    for _ in range(KILLS):
        await asyncio.sleep(pause_s)
        await until(scene.server.workers, within_s=10)
        for worker in list(scene.server.workers())[:1]:
            send(signal.SIGKILL, worker)
            killed += 1
    return killed


async def kill_gateway(stage: Stage) -> Finding:
    """Kill the gateway while a worker is in native code, and others may be idle."""
    async with stage.serve(timeout_s=ROOMY_TIMEOUT_S) as scene:
        scene.order("hang_native", 60)
        hanging = asyncio.create_task(scene.target.call())
        await until(lambda: scene.is_claimed("hang_native"), within_s=5)
        workers, family = scene.server.workers(), scene.server.family()
        scene.server.send_signal(signal.SIGKILL)
        gone_s = await until(lambda: not are_running(workers), within_s=3 * ORPHANED_S)
        left = are_running(workers)
        await kill_all(family)  # the keeper of its ledger is among them, and ends when it is done
        await hanging
        return finding(
            "never" if gone_s is None else f"{gone_s * 1000:.0f} ms",
            (f"{len(left)} of {len(workers)} workers left", bool(workers) and not left),
            ("never gone" if gone_s is None else f"gone after {gone_s:.2f} s", gone_s is not None and gone_s <= ORPHANED_S),
        )


async def stop(stage: Stage) -> Finding:
    """Send SIGTERM while calls run and wait."""
    async with stage.serve(timeout_s=ROOMY_TIMEOUT_S) as scene:
        scene.order("slow", 0.01, whom="all")
        family = scene.server.family()
        lines = await scene.target.dial(IN_FLIGHT)
        for line in lines:
            line.send(scene.target.request())
        await scene.target.has_read()
        family |= scene.server.family()
        scene.server.send_signal(signal.SIGTERM)
        replies = await asyncio.gather(*(line.reply() for line in lines))
        code = await asyncio.wait_for(scene.server.process.wait(), STOPPED_WITHIN_S)
        await until(lambda: not are_running(family), within_s=2)
        lost, left = sum(reply.status != 200 for reply in replies), are_running(family)
        return finding(
            f"{lost} of {IN_FLIGHT}",
            (f"{lost} of {IN_FLIGHT} calls lost", not lost),
            (f"exit code {code}", code == 0),
            (f"{len(left)} processes left", not left),
        )
