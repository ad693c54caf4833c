"""What the race was run on, and with which versions."""

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from contestants import Contestant


def about(field: Iterable[Contestant], venvs: Path, rounds: int, seconds: float) -> dict[str, Any]:
    """Return what is measured on, as JSON-able data."""
    homes = {one.name: venvs / one.home for one in field}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cpu": cpu_model(Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        "cores": len(os.sched_getaffinity(0)),
        "ram_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "rounds": rounds,
        "seconds": seconds,
        "packages": {name: packages(home) for name, home in homes.items()},
    }


def cpu_model(cpuinfo: str) -> str:
    """Return the processor's name from /proc/cpuinfo."""
    names = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def packages(venv: Path) -> dict[str, str]:
    """Return the packages of an environment with their versions, without pip and setuptools, which come with every one."""
    found = {}
    for info in venv.glob("lib/python*/site-packages/*.dist-info"):
        name, _, version = info.name.removesuffix(".dist-info").rpartition("-")
        found[name.lower().replace("_", "-")] = version
    return {name: version for name, version in sorted(found.items()) if name not in {"pip", "setuptools"}}
