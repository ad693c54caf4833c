"""What this machine, or the container that it is, has for workers: cores and memory."""

import contextlib
import os
import time
from pathlib import Path


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))


def default_memory_bytes() -> int:
    """Return what workers may use together by default: four fifths of the memory of this machine, or of its container."""
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # not in a container, or not limited ("max")
            total = min(total, int(Path(file).read_text()))
    return total * 4 // 5


def process_age_us() -> int:
    """Return how long this process has lived, to a hundredth of a second, as the kernel counts."""
    after_name = Path("/proc/self/stat").read_bytes().rpartition(b")")[2].split()
    started_s = int(after_name[19]) / os.sysconf("SC_CLK_TCK")  # the 22nd of the fields in proc(5), whose second is the name
    return int((time.clock_gettime(time.CLOCK_BOOTTIME) - started_s) * 1_000_000)
