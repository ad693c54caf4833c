"""Trials of limits and crashes: one call misbehaves; it is told so in time, its worker is replaced, and nobody else notices."""

import asyncio
from collections.abc import Sequence

from servelite.tools.servers import are_running, resident_mib, until
from servelite.tools.torture.client import Reply
from servelite.tools.torture.stage import ROOMY_TIMEOUT_S, Scene, Stage
from servelite.tools.torture.verdict import Finding, finding, skipped

LATE_S = 0.1
"""How long after its time limit a call is answered at the latest."""

DEATH_TOLD_S = 0.2
OUT_OF_MEMORY_TOLD_S = 1.0
LONG_S = 600
SECRET = "hunter2-7f3a-do-not-tell"  # noqa: S105  it is made up
MARGIN_MIB = 100
"""How far above what the idle worker has its memory limit is set."""

LEAKING_CALLS, LEAK_MIB = 60, 8
MATES = 8
GONE_WITHIN_S = 2.0


async def hang_python(stage: Stage) -> Finding:
    """Have a handler loop for ever."""
    return await _hang(stage, "hang_python")


async def hang_native(stage: Stage) -> Finding:
    """Have a handler wait in C with the interpreter's lock held."""
    return await _hang(stage, "hang_native")


async def _hang(stage: Stage, fault: str) -> Finding:
    limit_s = stage.timeout_s()
    async with stage.serve(timeout_s=limit_s, max_workers=1) as scene:
        workers = scene.server.workers()
        scene.order(fault, LONG_S)
        reply = await scene.target.call()
        late_s = reply.took_s - limit_s
        return finding(
            f"{late_s * 1000:+.0f} ms",
            _answered(reply, 504, "timed_out"),
            (f"{late_s:.3f} s past {limit_s:g} s", 0 <= late_s <= LATE_S),
            await _ended(workers),
            (f"metered {reply.compute_us / 1e6:.2f} s", reply.compute_us >= 0.95 * limit_s * 1e6),
            await _next(scene),
        )


async def batch_mates(stage: Stage) -> Finding:
    """Hang one call of a batch."""
    most = stage.max_batch(MATES)
    if most == 1:
        return skipped("max_batch is 1: a call has no mates")
    async with stage.serve(timeout_s=stage.timeout_s(), max_workers=1, max_batch=most) as scene:
        replies = await _together(scene, most, "hang_python")
        hung, mates = _apart(replies, 504)
        return finding(
            f"{len(mates)} mates",
            (f"a batch of {max(map(len, scene.runs()))}", max(map(len, scene.runs())) == most),
            (f"{len(hung)} got 504", len(hung) == 1),
            (f"mates {_counted(mates)}", _all_good(mates)),
            await _next(scene),
        )


async def leave(stage: Stage) -> Finding:
    """Exit in the middle of a call."""
    return await _crash(stage, "leave", "3", "code 3")


async def segfault(stage: Stage) -> Finding:
    """Read at address 0."""
    return await _crash(stage, "segfault", "", "SIGSEGV")


async def abort(stage: Stage) -> Finding:
    """Abort as a failed assertion in C does."""
    return await _crash(stage, "abort", "", "SIGABRT")


async def _crash(stage: Stage, fault: str, measure: str, named: str) -> Finding:
    async with stage.serve(timeout_s=ROOMY_TIMEOUT_S, max_batch=stage.max_batch(MATES)) as scene:
        scene.order(fault, measure)
        reply = await scene.target.call()
        follower = await _next(scene)
        crashed, others = _apart(await _together(scene, MATES, fault, measure), 502)
        return finding(
            f"{reply.took_s * 1000:.0f} ms",
            _answered(reply, 502, "worker_died"),
            (f"names {named}" if named in reply.detail else f"says '{reply.detail}'", named in reply.detail),
            (f"after {reply.took_s:.3f} s", reply.took_s <= DEATH_TOLD_S),
            follower,
            (f"of {MATES} together {len(crashed)} got 502, others {_counted(others)}", len(crashed) == 1 and _all_good(others)),
        )


async def secret(stage: Stage) -> Finding:
    """Raise an exception whose text is a secret."""
    async with stage.serve() as scene:
        scene.order("fail", SECRET)
        reply = await scene.target.call()
        told = f"{reply.headers} {reply.body!r}"
        leaks = [word for word in (SECRET, "private.pem", "Traceback", "RuntimeError") if word in told]
        return finding(
            f"{len(leaks)} leaks",
            _answered(reply, 500, "function_failed"),
            (f"tells {', '.join(leaks)}" if leaks else "tells nothing", not leaks),
            await _next(scene),
        )


async def allocation(stage: Stage) -> Finding:
    """Take more memory than the limit at once, and hold it."""
    async with stage.serve(timeout_s=ROOMY_TIMEOUT_S, memory_mib=stage.memory_mib + MARGIN_MIB, max_workers=1) as scene:
        workers = scene.server.workers()
        scene.order("allocate", 3 * MARGIN_MIB)
        reply = await scene.target.call()
        return finding(
            f"{reply.took_s * 1000:.0f} ms",
            _answered(reply, 507, "out_of_memory"),
            (f"after {reply.took_s:.2f} s", reply.took_s <= OUT_OF_MEMORY_TOLD_S),
            await _ended(workers),
            await _next(scene),
        )


async def leak(stage: Stage) -> Finding:
    """Keep a little memory in each call."""
    limit_mib = stage.memory_mib + MARGIN_MIB
    async with stage.serve(timeout_s=ROOMY_TIMEOUT_S, memory_mib=limit_mib, max_workers=1) as scene:
        scene.order("leak", LEAK_MIB, whom="all")
        scene.order("slow", 0.03, whom="all")
        replies, workers, most_mib = [], set[int](), 0.0
        for _ in range(LEAKING_CALLS):
            replies.append(await scene.target.call())
            workers |= scene.server.workers()
            most_mib = max([most_mib, *map(resident_mib, scene.server.workers())])
        return finding(
            f"{most_mib:.0f} MiB",
            (_counted(replies), _all_good(replies)),
            (f"{len(workers)} workers in turn", len(workers) > 1),
            (f"at most {most_mib:.0f} of {limit_mib} MiB", most_mib <= limit_mib),
        )


async def _together(scene: Scene, count: int, fault: str, measure: float | str = LONG_S) -> list[Reply]:
    """Send calls that wait together behind a slow one, one of them with a fault; return their replies."""
    scene.order("slow", 0.3)
    first = asyncio.create_task(scene.target.call())
    await until(lambda: scene.is_claimed("slow"), within_s=5)
    scene.order(fault, measure)
    replies = await asyncio.gather(*(scene.target.call() for _ in range(count)))
    await first
    return replies


async def _next(scene: Scene) -> tuple[str, bool]:
    reply = await scene.target.call()
    return f"next call {reply}", reply.status == 200


async def _ended(workers: set[int]) -> tuple[str, bool]:
    gone_s = await until(lambda: not are_running(workers), GONE_WITHIN_S)
    return ("its worker runs on", False) if gone_s is None else ("its worker ended", True)


def _answered(reply: Reply, status: int, code: str) -> tuple[str, bool]:
    return str(reply), (reply.status, reply.code) == (status, code)


def _apart(replies: Sequence[Reply], status: int) -> tuple[list[Reply], list[Reply]]:
    return [one for one in replies if one.status == status], [one for one in replies if one.status != status]


def _all_good(replies: Sequence[Reply]) -> bool:
    return all(reply.status == 200 for reply in replies)


def _counted(replies: Sequence[Reply]) -> str:
    kinds = sorted({str(reply) for reply in replies})
    return ", ".join(f"{sum(str(reply) == kind for reply in replies)} got {kind}" for kind in kinds) or "none"
