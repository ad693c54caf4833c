"""`GET /metrics`: what Prometheus reads agrees with the calls that were made."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.adapters.conftest import FUNCTIONS
from tests.server import Reply, Server

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, list[Reply]]]:
    """Return a server and all that it has answered to a mix of calls."""
    folders = [FUNCTIONS / name for name in ("double", "misbehave", "tag")]
    server = Server(*folders, cwd=tmp_path_factory.mktemp("metrics"))
    try:
        server.wait_ready()
        said = [server.call("double", number) for number in range(7)]
        said += [server.call("double", "x"), server.call("double", "y"), server.post("double", b"{")]
        said += [server.call("misbehave", deed) for deed in ("behave", "fail", "exit_hard", "loop", "behave")]
        with ThreadPoolExecutor(16) as threads:
            said += threads.map(lambda number: server.call("tag", f"{number}"), range(64))
        yield server, said
    finally:
        server.kill()


def samples(server: Server) -> Samples:
    reply = server.get("/metrics")
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(reply.body.decode())
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


@pytest.mark.parametrize(
    ("function", "code", "count"),
    [
        ("double", "ok", 7),
        ("double", "invalid_input", 2),
        ("double", "malformed_json", 1),
        ("misbehave", "ok", 2),
        ("misbehave", "function_failed", 1),
        ("misbehave", "worker_died", 1),
        ("misbehave", "timed_out", 1),
        ("tag", "ok", 64),
    ],
)
def test_calls_are_counted_by_code(replies: tuple[Server, list[Reply]], function: str, code: str, count: int) -> None:
    assert value(samples(replies[0]), "servelite_calls_total", function=function, code=code) == count


def test_all_counts_together_are_the_calls_made(replies: tuple[Server, list[Reply]]) -> None:
    server, said = replies
    found = samples(server)
    assert sum(number for (name, _), number in found.items() if name == "servelite_calls_total") == len(said)
    assert sum(number for (name, _), number in found.items() if name == "servelite_queue_duration_seconds_count") == len(said)
    assert sum(number for (name, _), number in found.items() if name == "servelite_batch_size_sum") == len(said)


@pytest.mark.parametrize(("metric", "key"), [("servelite_compute_seconds_total", "compute-us"), ("servelite_cpu_seconds_total", "cpu-us")])
def test_the_sums_are_those_of_the_receipts(replies: tuple[Server, list[Reply]], metric: str, key: str) -> None:
    server, said = replies
    total = sum(number for (name, _), number in samples(server).items() if name == metric)
    assert round(total * 1e6) == sum(reply.receipt[key] for reply in said)


def test_workers_starts_ends_and_cold_calls_are_counted(replies: tuple[Server, list[Reply]]) -> None:
    server, said = replies
    found = samples(server)
    assert value(found, "servelite_worker_start_duration_seconds_count", function="misbehave") == 3
    assert value(found, "servelite_worker_ends_total", function="misbehave", reason="worker_died") == 1
    assert value(found, "servelite_worker_ends_total", function="misbehave", reason="timed_out") == 1
    cold = sum(number for (name, _), number in found.items() if name == "servelite_cold_calls_total")
    assert cold == sum(reply.receipt["cold"] for reply in said) == 2


def test_histograms_are_cumulative_and_end_with_infinity(replies: tuple[Server, list[Reply]]) -> None:
    families = text_string_to_metric_families(replies[0].get("/metrics").body.decode())
    histograms = [family for family in families if family.type == "histogram"]
    assert {"servelite_batch_size", "servelite_batch_duration_seconds", "servelite_queue_duration_seconds"} <= {
        one.name for one in histograms
    }
    for family in histograms:
        for function in ("double", "misbehave", "tag"):
            mine = [one for one in family.samples if one.labels["function"] == function]
            buckets = [one for one in mine if one.name.endswith("_bucket")]
            counts = [one.value for one in buckets]
            assert counts == sorted(counts)
            assert buckets[-1].labels["le"] == "+Inf"
            assert [one.value for one in mine if one.name.endswith("_count")] == counts[-1:]


def test_nothing_waits_when_nobody_calls(replies: tuple[Server, list[Reply]]) -> None:
    assert value(samples(replies[0]), "servelite_queue_length", function="tag") == 0


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/functions"])
def test_looking_is_not_a_call(replies: tuple[Server, list[Reply]], path: str) -> None:
    server, _ = replies
    before = {key: number for key, number in samples(server).items() if key[0] == "servelite_calls_total"}
    server.get(path)
    assert {key: number for key, number in samples(server).items() if key[0] == "servelite_calls_total"} == before


def test_workers_are_counted_by_state(replies: tuple[Server, list[Reply]]) -> None:
    found = samples(replies[0])
    assert [value(found, "servelite_workers", function="double", state=state) for state in ("starting", "idle", "busy", "leaving")] == [
        0,
        1,
        0,
        0,
    ]
    assert value(found, "servelite_workers_memory_bytes", function="double") > 1_000_000


def test_what_reached_no_worker_is_counted_by_code(replies: tuple[Server, list[Reply]]) -> None:
    server, _ = replies

    def refused(code: str) -> float:
        return samples(server).get(("servelite_refusals_total", frozenset({("code", code)})), 0)

    before = {code: refused(code) for code in ("function_not_found", "unsupported_media_type", "misdirected_host")}
    server.call("nothing", 1)
    server.post("double", b"1", "text/plain")
    server.request("GET", "/livez", headers={"Host": "evil.example"})
    assert {code: refused(code) - count for code, count in before.items()} == dict.fromkeys(before, 1)
