"""Figures of a handler's calls: what one costs beside the same call over HTTP."""

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from load import send_load
from servers import Server, first_input, servelite
from serving import MANY, WARM_UP_S, Bench, Bystanders
from table import Figure

CALLS = 2000
THREADS = 16


def calling_figures(caller: Path, tiny: Path, bench: Bench) -> Iterator[Figure]:
    """Measure a call that a handler makes of tiny beside one that a lone client makes over HTTP."""
    body = bench.body_of(tiny)
    with servelite(caller, bench.work, str(tiny)) as server:
        door = Server(server.port, f"/functions/{tiny.name}", server.pids)
        send_load(door.url, body, MANY, WARM_UP_S)
        others = Bystanders([server])
        took = bench.alternate(
            {
                "handler": lambda: _of_a_handler(server, caller, threads=1),
                "client": lambda: _of_a_client(door, body, bench.seconds),
                "threads": lambda: _of_a_handler(server, caller, threads=THREADS),
            }
        )
        used = others.figure()
    for what, unit in ((0, "time"), (1, "CPU")):
        seen = {who: [sample[what] for sample in samples] for who, samples in took.items()}
        ratios = [one / other for one, other in zip(seen["handler"], seen["client"], strict=True)]
        yield Figure(f"{unit} of a handler's call / a lone client's over HTTP", median(ratios), samples=ratios)
        yield Figure.of("  a handler's call of tiny", seen["handler"], "µs")
        yield Figure.of("  a lone client's call of tiny over HTTP", seen["client"], "µs")
        yield Figure.of(f"  a handler's call of tiny, in {THREADS} threads", seen["threads"], "µs")
    yield used


def _of_a_handler(server: Server, caller: Path, threads: int) -> tuple[float, float]:
    """Return the median time of a call, and the CPU time of all the server's processes a call, µs."""
    order = {**json.loads(first_input(caller)), "calls": CALLS, "threads": threads}
    before_s = server.cpu_when_done_s()
    median_us = float(server.ask(json.dumps(order).encode()))
    return median_us, (server.cpu_when_done_s() - before_s) * 1e6 / CALLS


def _of_a_client(door: Server, body: Path, seconds: float) -> tuple[float, float]:
    before_s = door.cpu_when_done_s()
    load = send_load(door.url, body, 1, seconds)
    return load.p50_us, (door.cpu_when_done_s() - before_s) * 1e6 / load.requests
