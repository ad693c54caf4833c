import asyncio
import contextlib
import time
from dataclasses import replace

import pytest

from servelite.core.accounts import Allowance
from servelite.core.call import Call
from servelite.core.errors import (
    DefinitionError,
    FunctionNotFound,
    IdempotencyKeyInUse,
    NoWorker,
    Overloaded,
    PayloadTooLarge,
    QuotaExhausted,
    RateLimited,
    ServiceError,
    UnsupportedMediaType,
    WorkerDied,
)
from servelite.core.function import BINARY, JSON, TEXT
from servelite.core.tariff import Tariff
from servelite.runtime.engine import Engine
from servelite.runtime.ids import Ids
from servelite.runtime.pool import Pool
from tests.runtime.fakes import MemoryLedger, Workshop, a_machine, a_meter, advance_timers, described, settle, some_accounts, until

pytestmark = pytest.mark.anyio

LIMIT = 100
TAKES = {"shout": (TEXT, JSON), "look": (BINARY, "image/*"), "add": (JSON,)}


class Rig:
    """An engine of three functions on fake workers."""

    def __init__(self) -> None:
        self.ledger = MemoryLedger()
        self.workshops = {name: Workshop(replace(described(name, timeout_s=2), takes=takes)) for name, takes in TAKES.items()}
        self.accounts = some_accounts(lambda: 7)
        meter = a_meter(self.ledger, lambda: 7, self.accounts)
        machine = a_machine()
        pools = {name: Pool(name, workshop.new_worker, meter, workshop.clock, machine) for name, workshop in self.workshops.items()}
        machine.memory.tenants = [pool.workers for pool in pools.values()]
        self.bits_asked: list[int] = []
        parts = pools, meter, machine.memory
        self.engine = Engine(*parts, Ids(lambda: 1.5, self.random_bits), now_s=lambda: 1.5, max_body_bytes=LIMIT)

    def random_bits(self, count: int) -> int:
        self.bits_asked.append(count)
        return 11

    @property
    def ran(self) -> list[Call]:
        return [call for workshop in self.workshops.values() for batch in workshop.batches for call in batch]


@pytest.fixture
async def rig():
    made = Rig()
    await made.engine.start()
    yield made
    await made.engine.stop()


async def never_read() -> bytes:
    pytest.fail("the body was read")


async def test_a_call_is_answered_and_recorded(rig):
    answer = await rig.engine.call(Call("1", "shout", TEXT, b"hello"))
    assert (answer.body, answer.error) == (b"HELLO", None)
    assert [(row.id, row.function) for row in rig.ledger.rows] == [("1", "shout")]


async def test_a_body_is_read_once_the_call_is_admitted(rig):
    async def read() -> bytes:
        return b"later"

    assert (await rig.engine.call(Call("1", "shout", TEXT), read)).body == b"LATER"


async def test_an_unknown_function_is_refused_unread_with_the_functions_there_are(rig):
    with pytest.raises(FunctionNotFound, match=r"No function named 'shuot'\. Functions here: add, look, shout\."):
        await rig.engine.call(Call("1", "shuot"), never_read)
    assert (rig.ran, rig.ledger.rows) == ([], [])


@pytest.mark.parametrize(
    ("function", "media_type", "cure"),
    [
        ("add", TEXT, "add does not take 'text/plain'. Send Content-Type: application/json."),
        ("shout", "image/png", "Send Content-Type: text/plain or application/json."),
        ("look", JSON, "Send Content-Type: application/octet-stream or image/*."),
    ],
)
async def test_a_media_type_that_does_not_fit_is_refused_unread_with_those_that_do(rig, function, media_type, cure):
    with pytest.raises(UnsupportedMediaType) as caught:
        await rig.engine.call(Call("1", function, media_type), never_read)
    assert cure in caught.value.detail
    assert (rig.ran, rig.ledger.rows) == ([], [])


async def test_a_call_that_would_wait_too_long_is_refused_unread(rig):
    rig.workshops["shout"].compute_us = 1_000_000
    await rig.engine.call(Call("1", "shout", TEXT, b"x"))
    rig.workshops["shout"].door.clear()
    busy = asyncio.create_task(rig.engine.call(Call("2", "shout", TEXT, b"x")))
    await until(lambda: len(rig.ran) == 2)
    with pytest.raises(Overloaded):
        await rig.engine.call(Call("3", "shout", TEXT, patience_s=0.5), never_read)
    rig.workshops["shout"].door.set()
    assert (await busy).body == b"X"


@pytest.mark.parametrize(("function", "media_type"), [("shout", TEXT), ("look", BINARY), ("add", JSON)])
async def test_a_call_without_a_media_type_has_the_functions_first(rig, function, media_type):
    await rig.engine.call(Call("1", function, "", b"x"))
    assert [call.media_type for call in rig.ran] == [media_type]


@pytest.mark.parametrize("by_reader", [True, False], ids=["read later", "read before"])
async def test_a_body_over_the_limit_is_refused(rig, by_reader):
    async def read() -> bytes:
        return bytes(LIMIT + 1)

    call = Call("1", "shout", TEXT, b"" if by_reader else bytes(LIMIT + 1))
    with pytest.raises(PayloadTooLarge, match=r"longer than 100 bytes. .*--max-body"):
        await rig.engine.call(call, read if by_reader else None)
    assert (rig.ran, rig.ledger.rows) == ([], [])


async def test_a_body_at_the_limit_is_taken(rig):
    assert (await rig.engine.call(Call("1", "shout", TEXT, b"x" * LIMIT))).body == b"X" * LIMIT


async def test_a_call_has_its_time_limit_from_when_a_worker_took_it_as_its_deadline(rig):
    await rig.engine.call(Call("1", "shout", TEXT, b"x"))
    taken_s = rig.ran[0].deadline_s - rig.engine.longest_s
    assert 0 < taken_s <= rig.workshops["shout"].clock.us / 1e6


async def test_an_id_is_made_of_the_clock_and_80_random_bits(rig):
    assert rig.engine.new_id() == f"{1500:012x}{11:020x}"
    assert rig.bits_asked == [80]


async def test_whoever_asks_may_have_an_id_for_what_comes_next(rig):
    rig.engine.ids.given = "its own"
    assert [rig.engine.new_id(), rig.engine.new_id()] == ["its own", f"{1500:012x}{11:020x}"]


async def test_no_time_limit_ends_after_the_process(rig):
    rig.engine.ends_s = -1.0
    await rig.engine.call(Call("1", "shout", TEXT, b"x"))
    assert rig.ran[0].deadline_s == -1.0


async def test_a_function_is_described(rig):
    assert rig.engine.describe("look").takes == TAKES["look"]
    with pytest.raises(FunctionNotFound):
        rig.engine.describe("nothing")


async def test_a_function_is_unready_until_its_worker_is_started():
    rig = Rig()
    assert list(rig.engine.unready()) == ["shout", "look", "add"]
    await rig.engine.start()
    assert rig.engine.unready() == {}
    await rig.engine.stop()


async def test_stopping_ends_every_worker_and_closes_the_ledger():
    rig = Rig()
    await rig.engine.start()
    await rig.engine.stop()
    assert all(worker.is_stopped for workshop in rig.workshops.values() for worker in workshop.workers)
    assert rig.ledger.is_closed


async def test_one_broken_function_does_not_keep_the_others_from_being_served(caplog):
    rig = Rig()
    rig.workshops["look"].start_fails = [DefinitionError("look/handler.py:3: no.")] * 9
    await rig.engine.start(is_lenient=True)
    assert {name: type(error) for name, error in rig.engine.unready().items()} == {"look": DefinitionError}
    assert "look/handler.py:3" in caplog.text
    assert (await rig.engine.call(Call("1", "shout", TEXT, b"x"))).body == b"X"
    with pytest.raises(NoWorker):
        await rig.engine.call(Call("2", "look", BINARY, b"x"))
    assert [one.name for one in rig.engine.described()] == ["add", "shout"]
    await rig.engine.stop()


async def test_a_tool_is_told_of_the_first_broken_function():
    rig = Rig()
    rig.workshops["look"].start_fails = [WorkerDied("The worker of look exited with code 3.")]
    with pytest.raises(WorkerDied, match="look"):
        await rig.engine.start()
    await rig.engine.stop()


async def test_where_no_function_can_be_loaded_start_says_why():
    rig = Rig()
    for name, workshop in rig.workshops.items():
        workshop.start_fails = [DefinitionError(f"{name}/handler.py:3: no.")]
    with pytest.raises(DefinitionError, match=r"shout/handler\.py:3: no\.\n.*look/handler\.py:3"):
        await rig.engine.start(is_lenient=True)
    await rig.engine.stop()
    assert all(worker.is_stopped for workshop in rig.workshops.values() for worker in workshop.workers)


async def test_a_function_that_ends_while_it_starts_is_tried_again(caplog):
    rig = Rig()
    for workshop in rig.workshops.values():
        workshop.start_fails = [WorkerDied("The worker exited with code 1.")]
    await rig.engine.start(is_lenient=True)
    assert set(rig.engine.unready()) == set(TAKES)
    until_s = time.monotonic() + 5
    await until(lambda: not rig.engine.unready() or time.monotonic() > until_s, turns=None)
    assert rig.engine.unready() == {}
    await rig.engine.stop()


async def test_a_fault_of_the_watch_is_told_and_does_not_end_it(rig, caplog):
    asked = []

    def faulty_clock() -> int:
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("a fault")
        return rig.workshops["shout"].clock.us

    rig.engine.pools["shout"].now_us = faulty_clock
    for _ in range(3):
        advance_timers(1)
        await settle()
    assert len(asked) > 1
    assert "the watch over the workers failed" in caplog.text


async def test_a_call_whose_account_has_used_up_its_quota_is_refused_before_its_body_is_read(rig):
    limited = some_accounts(lambda: 7, Tariff(free_s=0), local=Allowance(credit_micro=0))
    rig.engine.accounts = limited
    with pytest.raises(QuotaExhausted):
        await rig.engine.call(Call("1", "shout", TEXT), never_read)
    assert rig.ran == []


@pytest.mark.parametrize("fate", ["answered", "refused by the pool", "gone while its body was read"])
async def test_whatever_comes_of_a_call_its_account_gets_its_hold_back(rig, fate):
    limited = some_accounts(lambda: 7, Tariff(free_s=2), local=Allowance(credit_micro=0))
    rig.engine.accounts = limited

    async def read() -> bytes:
        if fate.startswith("gone"):
            raise ConnectionError
        return b"hello"

    if fate.startswith("refused"):
        await rig.engine.pools["shout"].stop()
    for _ in range(3):
        with contextlib.suppress(ConnectionError, ServiceError):
            await rig.engine.call(Call("1", "shout", TEXT), read)
    (account,) = limited.quotas._accounts.values()
    assert (account.held_units, account.running) == (0, 0)


async def test_a_repeated_call_is_answered_though_the_quota_is_used_up(rig):
    quota = Tariff(free_s=1)
    rig.engine.accounts = some_accounts(lambda: 7, quota, local=Allowance(credit_micro=0))
    meter = a_meter(rig.ledger, lambda: 7, rig.engine.accounts)
    for pool in rig.engine.pools.values():
        pool._dispatcher.meter = meter
    rig.workshops["shout"].compute_us = 2_000_000
    first = await rig.engine.call(Call("1", "shout", TEXT, b"a", repeat_key="k"))
    assert first.receipt.free_left_us == 0
    with pytest.raises(QuotaExhausted):
        await rig.engine.call(Call("2", "shout", TEXT, b"b"))
    again = await rig.engine.call(Call("3", "shout", TEXT, b"a", repeat_key="k"))
    assert (again.body, again.is_repeated, again.receipt.free_left_us) == (b"A", True, 0)
    assert [row.id for row in rig.ledger.rows] == ["1"]


async def test_a_large_body_of_a_repeated_call_is_let_go(rig):
    for _ in range(3):
        call = Call("1", "shout", TEXT, repeat_key="k")

        async def read(call: Call = call) -> bytes:
            rig.engine.bodies.hold(call, 50)
            return b"x" * 50

        await rig.engine.call(call, read)
    assert rig.engine.bodies.held_bytes == 0


async def test_a_call_that_may_be_repeated_goes_on_when_its_client_leaves_and_the_end_waits_for_it(rig):
    rig.workshops["shout"].door.clear()
    asked = asyncio.create_task(rig.engine.call(Call("1", "shout", TEXT, b"a", repeat_key="k")))
    await until(lambda: rig.ran)
    asked.cancel()
    await settle()
    with pytest.raises(IdempotencyKeyInUse):
        await rig.engine.call(Call("2", "shout", TEXT, b"a", repeat_key="k"))
    drained = asyncio.create_task(rig.engine.drain())
    await settle()
    assert not drained.done()
    rig.workshops["shout"].door.set()
    await drained
    assert [kept.call for kept in rig.ledger.kept] == ["1"]


async def test_a_refused_call_that_may_be_repeated_leaves_no_trace(rig, caplog):
    await rig.engine.pools["shout"].stop()
    with pytest.raises(ServiceError):
        await rig.engine.call(Call("1", "shout", TEXT, b"a", repeat_key="k"))
    await settle()
    assert (rig.engine._running, rig.engine._going_on.tasks, rig.accounts.repeats._running, caplog.records) == (0, set(), {}, [])


async def test_repeated_calls_are_held_to_the_rate(rig):
    rig.engine.accounts = some_accounts(lambda: 7, local=Allowance(calls_per_s=0.01))
    await rig.engine.call(Call("1", "shout", TEXT, b"a"))
    with pytest.raises(RateLimited):
        await rig.engine.call(Call("2", "shout", TEXT, repeat_key="k"), never_read)


async def test_a_call_whose_client_left_holds_what_it_held_until_its_run_ends(rig):
    limited = some_accounts(lambda: 7, local=Allowance(credit_micro=0, concurrent_calls=1))
    rig.engine.accounts = limited
    rig.workshops["shout"].door.clear()
    asked = asyncio.create_task(rig.engine.call(Call("1", "shout", TEXT, b"a")))
    await until(lambda: rig.ran)
    asked.cancel()
    await settle()
    with pytest.raises(RateLimited):
        await rig.engine.call(Call("2", "shout", TEXT, b"b"))
    (account,) = limited.quotas._accounts.values()
    assert account.held_units == 2_000_000
    rig.workshops["shout"].door.set()
    for task in list(rig.engine._going_on.tasks):
        await task
    assert (account.held_units, account.running, rig.engine._running) == (0, 0, 0)


async def test_a_call_that_waits_and_is_left_holds_nothing_more(rig):
    limited = some_accounts(lambda: 7, local=Allowance(credit_micro=0))
    rig.engine.accounts = limited
    rig.workshops["shout"].door.clear()
    first = asyncio.create_task(rig.engine.call(Call("1", "shout", TEXT, b"a")))
    await until(lambda: rig.ran)
    second = asyncio.create_task(rig.engine.call(Call("2", "shout", TEXT, b"b")))
    await settle()
    second.cancel()
    await settle()
    (account,) = limited.quotas._accounts.values()
    assert (account.held_units, account.running) == (2_000_000, 1)
    rig.workshops["shout"].door.set()
    await first


async def test_a_body_is_not_kept_beyond_its_call(rig):
    call = Call("1", "shout", TEXT, b"a")
    await rig.engine.call(call)
    assert call.body == b""
