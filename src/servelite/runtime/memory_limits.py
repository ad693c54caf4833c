"""The memory limit of a worker: beyond it, it is killed; growing towards it, it is replaced between calls."""

from collections.abc import Callable, Iterable

from servelite.core.errors import OutOfMemory
from servelite.runtime.lane import SETTLING_BATCHES, Lane
from servelite.runtime.waiting import FOREVER

IDLE_LOOK_US = 1_000_000
"""How often the memory of a worker is looked at that has nothing to do; one that has is looked at every time."""


def kill_those_beyond(lanes: Iterable[Lane], function: str, now_us: int) -> None:
    """Measure a function's workers, and kill those beyond their limit."""
    for lane in lanes:
        if lane.batch or lane.has_core or not lane.ready_us or now_us - lane.looked_us >= IDLE_LOOK_US:
            lane.looked_us, used_kib = now_us, lane.worker.memory_kib(lane.limit_kib)
            lane.memory_kib = used_kib if lane.ready_us else max(used_kib, lane.memory_kib)  # it will need what was kept for it
            if used_kib > lane.limit_kib:
                kill(lane, function, f"more than the {lane.limit_kib // 1024:,} MiB of memory_mib. Raise it, or send less at a time")


def check_first_size(lane: Lane, function: str, budget_kib: int) -> None:
    """Measure a worker that is ready; OutOfMemory where it is over its limit already, or over that of all workers."""
    lane.limit_kib = lane.description.limits.memory_mib * 1024
    lane.memory_kib = lane.worker.memory_kib(lane.limit_kib)
    needs = f"A worker of {function} needs {lane.memory_kib // 1024:,} MiB before its first call"
    if lane.memory_kib > lane.limit_kib:
        raise OutOfMemory(f"{needs}, and memory_mib is {lane.limit_kib // 1024:,}. Raise it.")
    if lane.memory_kib > budget_kib:
        raise OutOfMemory(f"{needs}, and all functions together may use less. Give more: --memory SIZE.")
    lane.settle()


def kill(lane: Lane, function: str, why: str) -> None:
    """Kill a worker in the middle of whatever it does."""
    lane.end = OutOfMemory.code
    lane.worker.kill(OutOfMemory(f"A worker of {function} was stopped: it used {lane.memory_kib // 1024:,} MiB, {why}."))


def look_after_batch(lane: Lane, replace: Callable[[Lane], None]) -> None:
    """See what a worker holds between calls; one that grows towards its limit is replaced before it gets there."""
    lane.memory_kib = lane.worker.memory_kib(FOREVER)
    if lane.batches <= SETTLING_BATCHES:
        lane.settle()
    if lane.is_full:
        lane.leave("recycled")
    elif lane.memory_kib > lane.recycle_kib and not lane.is_being_replaced:
        replace(lane)
