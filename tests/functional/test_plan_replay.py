"""What `servelite plan` simulates of a server, beside that server: the same calls at the same moments, and what came of them.

The handler sleeps, so its time is known, and long beside what a busy machine adds. Whether the simulation keeps the pool's rules to the
microsecond is tested on a clock that stands still, in tests/tools/planning; here it is the whole road, from measuring to receipts.
"""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from statistics import fmean

import pytest

from servelite.tools.planning.arrivals import arrivals_us
from servelite.tools.planning.fleet_simulation import simulate_server
from servelite.tools.planning.measuring import measure
from servelite.tools.planning.options import quantiles
from tests.functional.promises import StartServer
from tests.server import Server, parse_dictionary

pytestmark = [pytest.mark.slow, pytest.mark.alone]

NAPS = """
    import time
    from servelite import function

    @function(max_batch=8, max_workers={most_workers})
    def naps(numbers: list[int]) -> list[int]:
        time.sleep(0.04 + 0.002 * len(numbers))
        return numbers
"""
"""One call takes 42 ms, eight take 56: a worker does 143 calls a second at most, one by one 24."""

LONG_S = 6

Receipt = dict[str, int | bool]


async def replay(server: Server, moments_us: Sequence[int]) -> list[tuple[int, Receipt]]:
    """Make a call at each moment, whether the ones before are answered or not; return what each took, in µs, and its receipt."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time() + 0.1
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def call(at_us: int) -> tuple[int, Receipt]:
        await asyncio.sleep(begun_s + at_us / 1e6 - loop.time())
        sent_s = loop.time()
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", server.port)
        head = f"POST /functions/naps HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\nContent-Length: 1"
        writer.write(f"{head}\r\n\r\n7".encode())
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        took_us = round((loop.time() - sent_s) * 1e6)
        idle.append((reader, writer))
        assert (status, body) == ("HTTP/1.1 200 OK", b"7")
        return took_us, parse_dictionary(headers["servelite-receipt"])

    try:
        return await asyncio.gather(*map(call, moments_us))
    finally:
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()


@pytest.mark.parametrize(("most_workers", "rps"), [(1, 15), (1, 70), (2, 170)], ids=["little", "batches", "two workers"])
def test_a_server_does_what_was_simulated(
    write_function: Callable[..., Path],
    start_server: StartServer,
    measured: Callable[[str, str, str], None],
    most_workers: int,
    rps: int,
) -> None:
    folder = write_function("naps", NAPS.format(most_workers=most_workers), {"examples.jsonl": '{"input": 7}\n'})
    profile = asyncio.run(measure(folder))
    moments = arrivals_us([float(rps)], LONG_S, Random(rps))
    run = simulate_server(moments, [0] * len(moments), profile, most_workers)
    server = start_server(folder)
    replies = asyncio.run(replay(server, moments))
    receipts = [receipt for _, receipt in replies]

    seen = {
        "calls of a batch": (run.mean_batch, len(receipts) / sum(1 / receipt["batch"] for receipt in receipts)),
        "compute-seconds": (run.busy_us / 1e6, sum(receipt["compute-us"] for receipt in receipts) / 1e6),
        "wait, ms": (fmean(run.waits_us) / 1e3, fmean(receipt["queue-us"] for receipt in receipts) / 1e3),
        "half within, ms": tuple(quantiles(times)[0] / 1e3 for times in (run.took_us, [took for took, _ in replies])),
        "95 of 100 within, ms": tuple(quantiles(times)[1] / 1e3 for times in (run.took_us, [took for took, _ in replies])),
    }
    for what, (expected, got) in seen.items():
        measured(what, f"{got:.3f}", f"{expected:.3f} simulated")
    assert len(server.workers()) == run.workers == most_workers
    for what, (expected, got) in seen.items():
        assert got >= 0.5 * expected, what
        assert got <= 2 * expected or "ms" in what, what  # a busy machine makes calls take longer, without bound
    assert server.stop() == 0
