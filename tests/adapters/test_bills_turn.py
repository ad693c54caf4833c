"""Sums over the ledger take their time in a thread, one after the other, and calls do not wait for them."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from servelite.adapters.bills import read_bill
from servelite.core.call import Call
from servelite.core.ports import Usage
from servelite.runtime.engine import Engine
from servelite.runtime.ids import Ids
from servelite.runtime.pool import Pool
from tests.runtime.fakes import MemoryLedger, Workshop, a_machine, a_meter, described, some_accounts, until

pytestmark = pytest.mark.anyio


@dataclass
class SlowLedger(MemoryLedger):
    """A ledger whose sums take until the door opens."""

    door: threading.Event = field(default_factory=threading.Event)
    asked: list[tuple[object, ...]] = field(default_factory=list)

    def usage(self, by: Sequence[str], since_us: int, until_us: int, account: str | None = None) -> dict[str, list[Usage]]:
        self.asked.append((by, since_us, until_us, account))
        assert self.door.wait(10)
        return {one: [Usage(f"{account}", len(self.asked), 0, 0, 0, 0)] for one in by}


async def test_usage_is_summed_in_a_thread_for_one_asker_at_a_time():
    ledger, accounts, machine, workshop = SlowLedger(), some_accounts(lambda: 7), a_machine(), Workshop(described("shout"))
    meter = a_meter(ledger, lambda: 7, accounts)
    pool = Pool("shout", workshop.new_worker, meter, workshop.clock, machine)
    machine.memory.tenants = [pool.workers]
    engine = Engine({"shout": pool}, meter, machine.memory, Ids(lambda: 1.5, lambda count: 11), now_s=lambda: 1.5)
    turn = asyncio.Semaphore(1)
    await engine.start()
    try:
        asking = [
            asyncio.create_task(read_bill(engine, turn, None, {"by": "day", "month": "2026-11", "account": account}))
            for account in ("ada", "bert")
        ]
        await until(lambda: bool(ledger.asked), turns=None)
        assert (await engine.call(Call("1", "shout", body=b"hello"))).body == b"HELLO"
        assert [asked[-1] for asked in ledger.asked] == ["ada"]
        ledger.door.set()
        assert [[one["day"] for one in bill["usage"]] for bill in await asyncio.gather(*asking)] == [["ada"], ["bert"]]
        assert [asked[-1] for asked in ledger.asked] == ["ada", "bert"]
    finally:
        ledger.door.set()
        await engine.stop()
