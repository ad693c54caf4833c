"""Figures of running servers under load: memory, and throughput and latency beside in-process serving."""

import json
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TypeVar

from load import Load, send_load
from servers import Server, first_input, in_process, inputs, machine_busy_s, pss_mib, servelite
from table import Figure

Sample = TypeVar("Sample")

MANY = 64
"""Clients under load; also tiny's max_batch."""

WARM_UP_S = 1.0
PROCESSES = 2
CLOSE = 1e-5
"""How far probabilities may differ: in float32 a batch adds up in another order than a single row."""


@dataclass(frozen=True, slots=True)
class Bench:
    """How to measure: rounds of some seconds; `work` is where ledgers and bodies go."""

    rounds: int
    seconds: float
    work: Path

    def body_of(self, function: Path) -> Path:
        """Return a file with a function's first example."""
        file = self.work / f"{function.name}.json"
        file.write_bytes(first_input(function))
        return file

    def alternate(self, samples: Mapping[str, Callable[[], Sample]]) -> dict[str, list[Sample]]:
        """Take samples in turn, A B A B, so that what else the machine does meets all alike."""
        taken = [{name: take() for name, take in samples.items()} for _ in range(self.rounds)]
        return {name: [one[name] for one in taken] for name in samples}


class Bystanders:
    """What others used of the machine while some servers were measured: above a quarter of a core, measure again later."""

    def __init__(self, servers: Sequence[Server]) -> None:
        self._servers = servers
        self._began_s, self._others_s = time.monotonic(), self._read_s()

    def figure(self) -> Figure:
        """Return the cores that others used since."""
        cores = (self._read_s() - self._others_s) / (time.monotonic() - self._began_s)
        return Figure("  cores that others used meanwhile", max(0.0, cores))

    def _read_s(self) -> float:
        own = os.times()
        return machine_busy_s() - sum(own[:4]) - sum(server.cpu_so_far_s() for server in self._servers)


UVICORN, OWN = "in-process on uvicorn", "in-process on our server"


def memory_figures(function: Path, bench: Bench) -> Iterator[Figure]:
    """Measure what the processes hold after load."""
    with servelite(function, bench.work) as server:
        load = send_load(server.url, bench.body_of(function), MANY, bench.seconds)
        held = [pss_mib(pid) for pid in server.family()]
    yield Figure("gateway's memory after load (PSS)", held[0], "MiB", 45)
    yield Figure(f"  all {len(held)} processes of {function.name}", sum(held), "MiB")
    yield Figure(f"  answers a second at {MANY} clients", load.per_s, "req/s")
    yield failed([load])


def tiny_figures(tiny: Path, bench: Bench) -> Iterator[Figure]:
    """Measure servelite with its ledger beside in-process serving: throughput, and latency of a single client."""
    with (
        servelite(tiny, bench.work) as ours,
        in_process(tiny, bench.work, PROCESSES, "uvicorn") as bare,
        in_process(tiny, bench.work, PROCESSES, "own") as same,
    ):
        servers = {"servelite": ours, UVICORN: bare, OWN: same}
        yield Figure("tiny: answers that differ from in-process", _differing(ours, bare, tiny), asked=0, is_timing=False)
        others = Bystanders([ours, bare, same])
        many = take_loads(servers, tiny, MANY, bench)
        one = take_loads(servers, tiny, 1, bench)
        used = others.figure()
    yield from _throughput(many)
    yield from _latency(one)
    yield used
    yield failed([load for loads in (many, one) for column in loads.values() for load in column])


def _throughput(loads: Mapping[str, list[Load]]) -> Iterator[Figure]:
    ours = [load.per_s for load in loads["servelite"]]
    for other in (UVICORN, OWN):
        bare = [load.per_s for load in loads[other]]
        name = f"tiny: req/s at {MANY} clients, servelite / {other}"
        yield Figure(name, median(ours) / median(bare), asked=0.9, at_least=True, samples=[a / b for a, b in zip(ours, bare, strict=True)])
        yield Figure.of(f"  {other}, {PROCESSES} processes", bare, "req/s")
    yield Figure.of("  servelite, gateway and 1 worker", ours, "req/s")


def _latency(loads: Mapping[str, list[Load]]) -> Iterator[Figure]:
    ours = [load.p50_us / 1000 for load in loads["servelite"]]
    for other in (UVICORN, OWN):
        bare = [load.p50_us / 1000 for load in loads[other]]
        name = f"tiny: p50 at 1 client, servelite - {other}"
        yield Figure(name, median(ours) - median(bare), "ms", 0.25, samples=[a - b for a, b in zip(ours, bare, strict=True)])
        yield Figure.of(f"  {other}", bare, "ms")
    yield Figure.of("  servelite", ours, "ms")


def take_loads(servers: Mapping[str, Server], function: Path, clients: int, bench: Bench) -> dict[str, list[Load]]:
    """Load servers in turn with a function's first example, when they are warm."""
    body = bench.body_of(function)
    for server in servers.values():
        send_load(server.url, body, clients, WARM_UP_S)
    return bench.alternate({name: _sampler(server, body, clients, bench.seconds) for name, server in servers.items()})


def _sampler(server: Server, body: Path, clients: int, seconds: float) -> Callable[[], Load]:
    return lambda: send_load(server.url, body, clients, seconds)


def _differing(ours: Server, bare: Server, function: Path) -> int:
    return sum(not _alike(json.loads(ours.ask(body)), json.loads(bare.ask(body))) for body in inputs(function))


def _alike(one: dict[str, list[float]], other: dict[str, list[float]]) -> bool:
    pairs = zip(one["probabilities"], other["probabilities"], strict=True)
    return all(math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE) for a, b in pairs)


def failed(loads: list[Load]) -> Figure:
    """Count the answers that were none."""
    total = sum(load.requests for load in loads)
    return Figure(f"  not 2xx, of {total:,} answers", sum(load.failed for load in loads), asked=0, is_timing=False)
