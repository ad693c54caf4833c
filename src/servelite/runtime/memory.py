"""The memory of a process and all that it started, read from /proc."""

import os
from collections.abc import Iterator


def memory_kib(pid: int, suspicious_kib: int) -> int:
    """Return the memory of a process and its descendants, 0 where it is gone.

    That is their resident sets (30 to 90 µs); where these are above `suspicious_kib` it is their proportional
    ones, which do not count a shared page twice and take longer to add up the larger they are.
    """
    pids = list(tree(pid))
    resident = sum(map(_resident_kib, pids))
    return resident if resident <= suspicious_kib else sum(map(_proportional_kib, pids))


def peak_kib(pid: int) -> int:
    """Return the largest resident memory of a process so far, 0 where it is gone.

    Its own `ru_maxrss` would begin with what its parent had when it was started.
    """
    for line in _read(f"/proc/{pid}/status").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def tree(pid: int) -> Iterator[int]:
    """Yield a process and its descendants."""
    yield pid
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # noqa: PTH208  as below
    except OSError:  # it ended meanwhile
        return
    for thread in threads:
        for child in _read(f"/proc/{pid}/task/{thread}/children").split():
            yield from tree(int(child))


def _resident_kib(pid: int) -> int:
    fields = _read(f"/proc/{pid}/statm").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") // 1024 if fields else 0


def _proportional_kib(pid: int) -> int:
    for line in _read(f"/proc/{pid}/smaps_rollup").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return _resident_kib(pid)  # not ours to read, or gone


def _read(file: str) -> str:
    try:
        with open(file, encoding="utf-8") as content:  # noqa: PTH123  a Path costs as much as the look
            return content.read()
    except OSError:  # the process ended meanwhile
        return ""
