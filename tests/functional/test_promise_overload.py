"""The promise of overload: what can be done in time is done, the rest is told at once, and the gateway stays itself."""

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.adapters.problem import check_problem
from tests.conftest import FolderWriter
from tests.functional.flood import Answered, Flood
from tests.functional.promises import (
    NOTING,
    Ask,
    Measured,
    StartServer,
    ask_all,
    noted,
    p99,
    queue_length,
    request,
    resident_mib,
    wait_for_queue,
    watching,
)
from tests.server import Server, read_reply, until

pytestmark = [pytest.mark.slow, pytest.mark.alone]

TIMES = 10
PROMISED_S = 0.5
"""How long a call waits for a worker at most, as its client asks."""

ASKED_GOODPUT, LEAST_GOODPUT = 0.85, 0.4
MOST_GROWTH_MB = 50
ASKED_LIVEZ_S, MOST_LIVEZ_S = 0.1, 5.0
RECOVERED_WITHIN_S = 1.0

SLOW = """
    @function(timeout_s=20, max_workers=2, max_batch=4)
    def slow(numbers: list[int]) -> list[int]:
        time.sleep(0.05)
        return numbers
"""

BURNING = """
    @function(timeout_s=20, max_workers=2, max_batch=1)
    def slow(number: int) -> int:
        end_s = time.thread_time() + 0.05
        while time.thread_time() < end_s:
            pass
        return number
"""

HOLDING = """
    @function(timeout_s=20, max_workers=1)
    def hold(seconds: float) -> int:
        note(seconds)
        while seconds < 0 and not (HERE / "go").exists():
            time.sleep(0.005)
        time.sleep(max(0, seconds))
        return os.getpid()
"""


def livez_s(server: Server) -> float:
    """Return how long `/livez` takes."""
    begun_s = time.monotonic()
    assert server.get("/livez").status == 200
    return time.monotonic() - begun_s


@pytest.mark.parametrize(
    ("source", "clients", "seconds"),
    [
        pytest.param(SLOW, 16, 3, id="handlers that wait"),
        pytest.param(SLOW, 16, 20, id="for 20 s, handlers that wait"),
        pytest.param(BURNING, 6, 20, id="for 20 s, handlers that burn both cores"),
    ],
)
def test_ten_times_as_much_as_can_be_done(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, source: str, clients: int, seconds: float
) -> None:
    server = start_server(write_function("slow", NOTING + source))
    call = request("slow", 1, f"X-Deadline-Ms: {PROMISED_S * 1000:.0f}")
    asyncio.run(Flood(server, call).keep_asking(clients, seconds=0.8))  # both workers are started
    before = asyncio.run(Flood(server, call).keep_asking(clients, seconds=1 if seconds < 5 else 4))
    capacity = sum(one.status == 200 for one in before) / max(one.at_s for one in before)
    with watching(lambda: livez_s(server)) as livez, watching(lambda: resident_mib(server.process.pid)) as gateway_mib:
        answered = asyncio.run(Flood(server, call).send(TIMES * capacity, seconds))
        recovered_s = _recovery(server, 1)
    _judge(answered, capacity, seconds, measured)
    measured("first normal answer after it", f"{recovered_s * 1000:.0f} ms", asked="1 s")
    measured("/livez at most", f"{max(livez) * 1000:.0f} ms", asked=f"{ASKED_LIVEZ_S * 1000:.0f} ms")
    growth_mb = (max(gateway_mib) - gateway_mib[0]) * 1.048576
    measured("growth of the gateway", f"{growth_mb:.1f} MB", asked=f"{MOST_GROWTH_MB} MB")
    assert recovered_s < 10 * RECOVERED_WITHIN_S
    assert len(livez) > 5 * seconds
    assert max(livez) < MOST_LIVEZ_S
    assert growth_mb < MOST_GROWTH_MB


def test_the_gateway_lives_while_handlers_burn_both_cores(
    write_function: FolderWriter, start_server: StartServer, measured: Measured
) -> None:
    server = start_server(write_function("slow", NOTING + BURNING))
    with watching(lambda: livez_s(server)) as livez:
        answered = asyncio.run(Flood(server, request("slow", 1)).keep_asking(clients=6, seconds=2))
    measured("/livez at most, beside two burning workers", f"{max(livez) * 1000:.0f} ms", asked=f"{ASKED_LIVEZ_S * 1000:.0f} ms")
    assert max(livez) < MOST_LIVEZ_S
    assert len(livez) > 10
    assert {one.status for one in answered} == {200}
    assert len(server.workers()) == 2


def _judge(answered: list[Answered], capacity: float, seconds: float, measured: Measured) -> None:
    good = [one for one in answered if one.status == 200]
    refused = [one for one in answered if one.status == 429]
    goodput = len(good) / max(seconds, *(one.at_s for one in good)) / capacity
    measured("goodput", f"{goodput:.0%} of {capacity:.0f}/s", asked=f"{ASKED_GOODPUT:.0%}")
    measured("p99 of those accepted", f"{p99(one.took_s for one in good):.2f} s", asked=f"{2 * PROMISED_S} s")
    measured("p99 of those refused", f"{p99(one.took_s for one in refused) * 1000:.0f} ms", asked="at once")
    measured("refused only after they had waited", f"{sum(one.took_s > 0.1 for one in refused)} of {len(answered):,}", asked="few")
    measured("refused with 429", f"{len(refused):,} of {len(answered):,}", asked="all others")
    assert goodput >= LEAST_GOODPUT
    assert p99(one.took_s for one in good) <= 20 * PROMISED_S
    assert {one.status for one in answered} == {200, 429}
    assert all(int(one.headers["retry-after"]) >= 1 for one in refused)
    assert len(refused) > len(good)


def _recovery(server: Server, value: int) -> float:
    """Return how long after a flood it is until a call is answered well."""
    begun_s = time.monotonic()
    until(lambda: server.call("slow", value).status == 200)
    return time.monotonic() - begun_s


# deadlines


@pytest.mark.parametrize("header", ["X-Deadline-Ms: 200", "Prefer: wait=1", pytest.param("Prefer: respond-async, wait=1")])
def test_a_call_that_would_wait_too_long_is_refused_before_its_body_comes(
    write_function: FolderWriter, start_server: StartServer, measured: Measured, header: str
) -> None:
    folder = write_function("hold", NOTING + HOLDING)
    server = start_server(folder)
    assert [server.call("hold", 0.3).status for _ in range(2)] == [200] * 2
    waiting = _fill(server, 5)
    begun_s = time.monotonic()
    with server.socket() as connection:
        connection.sendall(request("hold", 0.5, header, length=5_000_000))
        refused = read_reply(connection)
    took_s = time.monotonic() - begun_s
    measured("refused without its body within", f"{took_s * 1000:.0f} ms", asked="at once")
    assert "would keep this call waiting" in check_problem(refused, 429, "overloaded")["detail"]
    assert int(refused.headers["Retry-After"]) >= 1
    assert not (folder / "go").exists()
    (folder / "go").touch()
    assert [ask.answer().status for ask in waiting] == [200] * 6


def _fill(server: Server, length: int) -> list[Ask]:
    """Have a call run until the file `go` is there, and others wait behind it."""
    running = Ask(server, "hold", -1.0)
    until(lambda: noted(server.cwd / "functions" / "hold")[-1:] == ["-1.0"])
    waiting = ask_all(server, "hold", [0.1] * length)
    wait_for_queue(server, "hold", length)
    return [running, *waiting]


@pytest.mark.parametrize("header", [("X-Deadline-Ms", "10000"), pytest.param(("Prefer", "wait=10"))])
def test_a_call_that_has_the_time_waits(write_function: FolderWriter, start_server: StartServer, header: tuple[str, str]) -> None:
    folder = write_function("hold", NOTING + HOLDING)
    server = start_server(folder)
    assert server.call("hold", 0.3).status == 200
    waiting = _fill(server, 3)
    patient = Ask(server, "hold", 0.0, dict([header]))
    wait_for_queue(server, "hold", 4)
    (folder / "go").touch()
    assert patient.answer().status == 200
    assert [ask.answer().status for ask in waiting] == [200] * 4


def test_a_call_that_has_waited_too_long_is_not_run(write_function: FolderWriter, start_server: StartServer, measured: Measured) -> None:
    """Nothing was known of how long a call takes when this one was let in."""
    folder = write_function("hold", NOTING + HOLDING)
    server = start_server(folder)
    running = Ask(server, "hold", -1.0)
    until(lambda: noted(folder) == ["-1.0"])
    late = Ask(server, "hold", 0.0, {"X-Deadline-Ms": "300"})
    problem = check_problem(late.answer(), 429, "overloaded")
    measured("refused after its deadline of 300 ms", f"{(late.took_s - 0.3) * 1000:+.0f} ms", asked="0 to +100 ms")
    assert problem["detail"].endswith("it was not run. Try again later.")
    assert 0.3 <= late.took_s < 10
    (folder / "go").touch()
    assert running.answer().status == 200
    assert noted(folder) == ["-1.0"]


def test_a_deadline_that_is_none_is_told(write_function: FolderWriter, start_server: StartServer) -> None:
    server = start_server(write_function("hold", NOTING + HOLDING))
    with server.socket() as connection:
        for value in ("0", "-1", "1.5", "soon", "", "1e3", "99999999999", "٣"):
            connection.sendall(request("hold", 0.0, f"X-Deadline-Ms: {value}"))
            assert "whole number of milliseconds" in check_problem(read_reply(connection), 400, "bad_request")["detail"], value
            connection.sendall(request("hold", 0.0, "X-Deadline-Ms: 5000", "Prefer: wait=soon"))
            assert read_reply(connection).status == 200


def test_a_full_queue_takes_no_more(write_function: FolderWriter, start_server: StartServer, measured: Measured) -> None:
    """Whatever the forecast says: before the first call has ended there is none."""
    folder = write_function("hold", NOTING + HOLDING)
    server = start_server(folder, "--ledger", "none")
    running = Ask(server, "hold", -1.0)
    until(lambda: noted(folder) == ["-1.0"])
    before_mib = resident_mib(server.process.pid)
    with contextlib.ExitStack() as open_ones:
        waiting = [open_ones.enter_context(server.socket()) for _ in range(2000)]
        for connection in waiting:
            connection.sendall(request("hold", 0.0))
        wait_for_queue(server, "hold", 2000)
        measured("2000 calls that wait", f"{resident_mib(server.process.pid) - before_mib:.0f} MiB", asked="no figure")
        with ThreadPoolExecutor(4) as threads:
            refused = list(threads.map(lambda _: server.call("hold", 0.0), range(20)))
        assert {(reply.status, reply.headers["Retry-After"]) for reply in refused} == {(429, "1")}
        assert "2,000 calls waiting" in refused[0].json()["detail"]
        (folder / "go").touch()
        assert {read_reply(connection).status for connection in waiting} == {200}
    assert running.answer().status == 200
    assert queue_length(server, "hold") == 0
