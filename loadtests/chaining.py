"""Figures of pipelines: what a chain of functions costs beside one of them, with one client and with many."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from load import Load
from servers import servelite
from serving import MANY, Bench, Bystanders, failed, take_loads
from table import Figure

MOST = 3.2
"""Three calls and a little for holding them together."""

ONE, CHAIN = "echo", "chain"


def chain_figures(chain: Path, bench: Bench) -> Iterator[Figure]:
    """Measure a pipeline of three echo functions beside one of them, on one server, with its ledger."""
    with servelite(chain, bench.work) as whole:
        servers = {ONE: replace(whole, path=f"/functions/{ONE}"), CHAIN: whole}
        taken: list[Load] = []
        others = Bystanders([whole])
        for clients in (1, MANY):
            loads = take_loads(servers, chain, clients, bench)
            taken += [load for column in loads.values() for load in column]
            yield from _ratio(clients, loads)
        yield others.figure()
    yield failed(taken)


def _ratio(clients: int, loads: dict[str, list[Load]]) -> Iterator[Figure]:
    each = {name: [clients * 1e6 / load.per_s for load in column] for name, column in loads.items()}
    samples = [chain / one for one, chain in zip(each[ONE], each[CHAIN], strict=True)]
    at = f"{clients} client{'s' * (clients > 1)}"
    yield Figure(f"pipeline: a chain of 3 echoes / one echo, {at}", median(each[CHAIN]) / median(each[ONE]), "times", MOST, samples=samples)
    yield Figure.of("  one echo", each[ONE], "µs")
    yield Figure.of("  the chain", each[CHAIN], "µs")
