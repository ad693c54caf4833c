"""Answers as the tortured function does, and misbehaves in a call for which a file orders it.

`servelite torture` writes this file and `stage.json` into a folder of its own, and then the orders: `one.exit` hits one call, the
first that sees it, and hits it again if that call is run again; `all.slow` hits every call. A file's text is the fault's measure.
"""

import ctypes
import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from servelite import Context, function
from servelite.worker.loader import load

STAGE = json.loads(Path(__file__).with_name("stage.json").read_text(encoding="utf-8"))
ORDERS, RUNS = Path(STAGE["orders"]), Path(STAGE["runs"])
CHUNK = 4 * 2**20

loaded = load(Path(STAGE["original"]))
original = loaded.handler
batched, wants_context = original.signature.batched, original.signature.wants_context
kept: list[bytes] = []


def hang_python(_: str) -> None:
    while True:
        pass


def hang_native(seconds: str) -> None:
    ctypes.PyDLL(None).sleep(int(seconds))  # PyDLL: a call through it keeps the interpreter's lock


def leave(code: str) -> None:
    os._exit(int(code))


def segfault(_: str) -> None:
    ctypes.string_at(0)


def abort(_: str) -> None:
    os.abort()


def fail(secret: str) -> None:
    raise RuntimeError(f"could not log in with password={secret} at /srv/keys/private.pem")


def slow(seconds: str) -> None:
    time.sleep(float(seconds))


def leak(mib: str) -> None:
    """Keep memory, every page of it touched."""
    for _ in range(0, int(mib) * 2**20, CHUNK):
        kept.append(b"x" * CHUNK)  # noqa: PERF401  chunk by chunk, for it may be stopped between two


def allocate(mib: str) -> None:
    """Take memory and hold it for a while, as a large intermediate result is held."""
    leak(mib)
    time.sleep(3)
    kept.clear()


FAULTS: dict[str, Callable[[str], None]] = {
    one.__name__: one for one in (hang_python, hang_native, leave, segfault, abort, fail, slow, leak, allocate)
}


def orders_for(request_id: str) -> Iterator[tuple[str, str]]:
    """Yield the faults that are ordered for a call, with their measures."""
    for order in sorted(ORDERS.iterdir()):
        whom, _, fault = order.name.partition(".")
        if whom == "one":
            order, whom = claim(order, request_id)  # noqa: PLW2901  it has a new name now
        if whom in ("all", request_id):
            yield fault, order.read_text(encoding="utf-8")


def claim(order: Path, request_id: str) -> tuple[Path, str]:
    """Take an order for one call; another worker may have been faster."""
    try:
        return order.rename(order.with_name(f"{request_id}{order.suffix}")), request_id
    except FileNotFoundError:
        return order, "another"


def obey(calls: list[Context]) -> None:
    """Note the run, one line of request ids, and do what is ordered; the warm-up is nobody's call."""
    ids = [call.request_id for call in calls if call.request_id != "warm-up"]
    if not ids:
        return
    with RUNS.open("a", encoding="ascii") as runs:
        runs.write(" ".join(ids) + "\n")
    for request_id in ids:
        for fault, measure in orders_for(request_id):
            FAULTS[fault](measure)


def tortured(values: Any, contexts: Any) -> Any:
    obey(contexts if batched else [contexts])
    return original.run(values, contexts) if wants_context else original.run(values)


def listed(kind: Any) -> Any:
    return list[kind] if batched else kind


tortured.__annotations__ = {
    "values": listed(original.signature.input_type),
    "contexts": listed(Context),
    "return": listed(original.signature.output_type),
}
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a crash that is wanted leaves no core file
handler = function(**{**asdict(loaded.limits), **STAGE["limits"]})(tortured)
