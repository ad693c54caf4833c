"""`GET /metrics` for Prometheus, made from the pools' counters when it is asked for; a call pays nothing."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from servelite.runtime.engine import Engine
from servelite.runtime.statistics import Histogram

MEDIA_TYPE = CONTENT_TYPE_LATEST

STATES = ("starting", "idle", "busy", "waiting", "leaving")
"""What a worker may be doing; see `Lane.state`."""


def exposition(engine: Engine) -> bytes:
    """Return the metrics as Prometheus text."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Pools(engine))
    return generate_latest(registry)


class _Pools(Collector):
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def collect(self) -> Iterator[Metric]:
        seen = {name: pool.statistics for name, pool in self._engine.pools.items()}
        yield _by("servelite_calls", "Calls answered, by code", "code", {name: one.calls for name, one in seen.items()})
        yield _by("servelite_worker_ends", "Workers that ended, by reason", "reason", {n: one.worker_ends for n, one in seen.items()})
        yield _histogram("servelite_worker_start_duration_seconds", "Starts of workers", {n: one.start_s for n, one in seen.items()})
        yield _sum("servelite_cold_calls", "Calls that waited for a worker to start", {n: one.cold_calls for n, one in seen.items()})
        yield _sum("servelite_compute_seconds", "Time workers were occupied", {n: one.compute_us / 1e6 for n, one in seen.items()})
        yield _sum("servelite_cpu_seconds", "CPU time of workers", {n: one.cpu_us / 1e6 for n, one in seen.items()})
        yield _histogram("servelite_batch_size", "Calls a batch", {n: one.batch for n, one in seen.items()})
        yield _histogram("servelite_batch_duration_seconds", "Time a batch took", {n: one.compute_s for n, one in seen.items()})
        yield _histogram("servelite_queue_duration_seconds", "Time calls waited", {n: one.queue_s for n, one in seen.items()})
        refused = CounterMetricFamily("servelite_refusals", "Requests that reached no worker, by code", labels=["code"])
        for code, count in self._engine.refused.items():
            refused.add_metric([code], count)
        yield refused
        waiting = GaugeMetricFamily("servelite_queue_length", "Calls that wait for a worker", labels=["function"])
        memory = GaugeMetricFamily("servelite_workers_memory_bytes", "Memory of all workers, as last measured", labels=["function"])
        workers = GaugeMetricFamily("servelite_workers", "Workers, by state", labels=["function", "state"])
        for name, pool in self._engine.pools.items():
            waiting.add_metric([name], pool.queue_length)
            memory.add_metric([name], pool.workers.memory_kib * 1024)
            states = Counter(lane.state for lane in pool.workers.lanes)
            for state in STATES:
                workers.add_metric([name, state], states[state])
        yield from (waiting, memory, workers)


def _by(name: str, help_: str, label: str, counts: dict[str, dict[str, int]]) -> Metric:
    family = CounterMetricFamily(name, help_, labels=["function", label])
    for function, by_label in counts.items():
        for value, count in by_label.items():
            family.add_metric([function, value], count)
    return family


def _sum(name: str, help_: str, totals: dict[str, float]) -> Metric:
    family = CounterMetricFamily(name, help_, labels=["function"])
    for function, total in totals.items():
        family.add_metric([function], total)
    return family


def _histogram(name: str, help_: str, histograms: dict[str, Histogram]) -> Metric:
    family = HistogramMetricFamily(name, help_, labels=["function"])
    for function, histogram in histograms.items():
        family.add_metric([function], buckets=_cumulative(histogram), sum_value=histogram.total)
    return family


def _cumulative(histogram: Histogram) -> list[tuple[str, float]]:
    total, buckets = 0, []
    for bound, count in zip([*histogram.bounds, float("inf")], histogram.counts, strict=True):
        total += count
        buckets.append(("+Inf" if bound == float("inf") else f"{float(bound)}", float(total)))
    return buckets
