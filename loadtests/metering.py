"""Figures of metering: the CPU time of all processes a request, with a ledger, with keys and quotas too, and with nothing."""

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from load import send_load
from servers import Server, new_key, servelite
from serving import MANY, WARM_UP_S, Bench, Bystanders
from table import Figure

ACCOUNT = "acme"
SETTINGS = f"[accounts.{ACCOUNT}]\ncredit_micro = 1_000_000_000\ncalls_per_s = 1_000_000\nconcurrent_calls = 10_000\n"
"""Limits of every kind, none of which is met."""


def row_figures(tiny: Path, bench: Bench) -> Iterator[Figure]:
    """Measure what a ledger row costs, and what it costs with a key and a quota for each call."""
    body = bench.body_of(tiny)
    (bench.work / "limits.toml").write_text(SETTINGS, encoding="utf-8")
    with_keys = "--require-key", "--ledger", "book.db", "--config", "limits.toml"
    key = new_key(bench.work, ACCOUNT, "book.db")
    with (
        servelite(tiny, bench.work) as kept,
        servelite(tiny, bench.work, *with_keys, key=key) as metered,
        servelite(tiny, bench.work, "--ledger", "none") as none,
    ):
        servers = {"kept": kept, "metered": metered, "none": none}
        for server in servers.values():
            send_load(server.url, body, MANY, WARM_UP_S, server.key)
        others = Bystanders(list(servers.values()))
        cpu = bench.alternate({name: lambda server=server: _cpu_us(server, body, bench) for name, server in servers.items()})  # type: ignore[misc]
        used = others.figure()
    yield _more("CPU of a ledger row", cpu["kept"], cpu["none"], 30)
    yield _more("CPU of a row, a key and a quota", cpu["metered"], cpu["none"], 60)
    yield Figure.of("  a request with the ledger", cpu["kept"], "µs CPU")
    yield Figure.of("  a request with key, quota and ledger", cpu["metered"], "µs CPU")
    yield Figure.of("  a request with --ledger none", cpu["none"], "µs CPU")
    yield used


def _more(name: str, cpu: list[float], less: list[float], asked: float) -> Figure:
    return Figure(name, median(cpu) - median(less), "µs", asked, samples=[a - b for a, b in zip(cpu, less, strict=True)])


def _cpu_us(server: Server, body: Path, bench: Bench) -> float:
    before_s = server.cpu_when_done_s()
    load = send_load(server.url, body, MANY, bench.seconds, server.key)
    if load.failed:
        raise RuntimeError(f"{load.failed} of {load.requests} answers of {server.url} were not 2xx.")
    spent_s = server.cpu_when_done_s() - before_s
    return spent_s * 1e6 / load.requests
