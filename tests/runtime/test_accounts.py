"""What a gateway knows of accounts follows the ledger, and stays as it was while the ledger refuses."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from servelite.core.accounts import Allowance, ApiKey, Spent
from servelite.core.call import Call
from servelite.core.errors import LedgerUnavailable, Unauthorized
from servelite.core.function import Limits
from servelite.core.ports import CLAIM_US, Kept, RepeatKey, Seen
from servelite.core.tariff import Tariff
from servelite.runtime import accounts as room
from servelite.runtime.accounts import Accounts
from servelite.runtime.keyring import hash_of
from servelite.runtime.quotas import Quotas
from tests.runtime.fakes import Clock

pytestmark = pytest.mark.anyio

S = 1_000_000
TOKEN = b"sl_ada1_secret"
KEY = ApiKey("ada1", "ada", "laptop", hash_of(TOKEN))


@dataclass
class FakeBook:
    """The `AccountBook` port on what a test says."""

    now: Seen = field(default_factory=lambda: Seen([], [], 0))
    is_broken: bool = False
    is_read_only: bool = False
    fault: Exception | None = None
    looks: int = 0
    opened: int = 0
    closed: int = 0
    used_us: dict[str, int] = field(default_factory=dict)
    asked_since: list[int | None] = field(default_factory=list)
    lock: threading.Event = field(default_factory=threading.Event)
    claims: list[str] = field(default_factory=list)
    renewed: list[str] = field(default_factory=list)
    claimed_until_us: int | None = None
    everywhere: dict[str, Spent] = field(default_factory=dict)
    asked_of: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.lock.set()

    def open(self) -> "FakeBook":
        if self.is_broken:
            raise LedgerUnavailable("It is away.")
        self.opened += 1
        return self

    def look(self, since_us: int | None) -> Seen:
        self.looks += 1
        if self.fault:
            raise self.fault
        if self.is_broken:
            raise LedgerUnavailable("It is away.")
        self.asked_since.append(since_us)
        return self.now

    def note_used(self, used_us: Mapping[str, int]) -> None:
        self.lock.wait(10)
        if self.is_broken or self.is_read_only:
            raise LedgerUnavailable("It is away.")
        self.used_us |= used_us

    def changed_keys(self) -> Sequence[ApiKey] | None:
        return self.look(None).keys

    def spent_by(self, account: str, since_us: int) -> Spent:
        if self.is_broken:
            raise LedgerUnavailable("/srv/ledger.db is away.")
        self.asked_of.append((account, since_us))
        return self.everywhere.get(account, Spent(account, 0, 0, 0))

    def claim(self, account: str, repeat_key: str, fingerprint: str, now_us: int, until_us: int | None = None) -> Kept | str | None:
        if self.is_broken:
            raise LedgerUnavailable("/srv/ledger.db is away.")
        self.claims.append(repeat_key)
        self.claimed_until_us = until_us
        return None

    def renew(self, keys: Sequence[RepeatKey], now_us: int) -> None:
        self.renewed += [key for _, key in keys]

    def give_back(self, account: str, repeat_key: str) -> None:
        self.claims.remove(repeat_key)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def book():
    return FakeBook()


@pytest.fixture
async def accounts(book, monkeypatch):
    monkeypatch.setattr(room, "LOOK_EVERY_S", 0.001)
    clock = Clock(1_795_651_200 * S)
    made = Accounts("gate", Quotas(Tariff(), {"ada": Allowance(credit_micro=0)}, Allowance(), clock), clock, book.open)
    await made.start()
    yield made
    await made.stop()


async def until(condition: Callable[[], bool], within_s: float = 10) -> None:
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, "it did not come true"
        await asyncio.sleep(0.001)


def is_known(accounts: Accounts) -> bool:
    try:
        return accounts.keyring.holder(b"Bearer " + TOKEN) == KEY
    except Unauthorized:
        return False


async def test_keys_that_are_there_at_the_start_are_known_at_once(book):
    book.now = Seen([KEY], [], 0)
    clock = Clock(1)
    accounts = Accounts("gate", Quotas(Tariff(), {}, Allowance(), clock), clock, book.open)
    await accounts.start()
    assert is_known(accounts)
    await accounts.stop()


async def test_a_new_key_is_known_and_a_revoked_one_forgotten(accounts, book):
    assert not is_known(accounts)
    book.now = Seen([KEY], [], 0)
    await until(lambda: is_known(accounts))
    book.now = Seen([], [], 0)
    await until(lambda: not is_known(accounts))


async def test_keys_stay_known_where_none_has_changed(accounts, book):
    book.now = Seen([KEY], [], 0)
    await until(lambda: is_known(accounts))
    book.now = Seen(None, [], 0)
    looks = book.looks
    await until(lambda: book.looks > looks + 2)
    assert is_known(accounts)


async def test_when_a_key_was_used_is_written_down(accounts, book):
    book.now = Seen([KEY], [], 0)
    await until(lambda: is_known(accounts))
    await until(lambda: book.used_us == {"ada1": 1_795_651_200 * S})


async def test_what_was_used_elsewhere_counts_for_the_quota(accounts, book):
    book.now = Seen(None, [Spent("ada", 4_999 * S, 0, 1)], 0)
    call = Call("1", "f", account="ada")
    accounts.quotas.enter(call)
    accounts.quotas.hold(call, Limits())
    await until(lambda: accounts.quotas.free_left_us("ada") == S)
    assert set(book.asked_since) == {None, accounts.quotas.month_began_us}


async def test_while_the_ledger_refuses_all_stays_as_it_was(accounts, book, caplog):
    book.now = Seen([KEY], [], 0)
    await until(lambda: is_known(accounts))
    book.is_broken = True
    await until(lambda: "keys and quotas stay as they are until the ledger can be read again: It is away." in caplog.text)
    assert is_known(accounts)
    book.is_broken = False
    await until(lambda: "as the ledger says again" in caplog.text)
    book.now = Seen([], [], 0)
    await until(lambda: not is_known(accounts))
    assert len([record for record in caplog.records if record.getMessage().startswith("keys and quotas")]) == 2


async def test_what_a_caller_is_told_of_a_ledger_that_refuses_names_no_place(accounts, book):
    book.is_broken = True
    with pytest.raises(LedgerUnavailable, match=r"^Whether this Idempotency-Key was used before can't be told at the moment\. Try again"):
        await accounts.repeats.answer(Call("1", "f", repeat_key="k"), lambda: pytest.fail("it ran"))


async def test_what_could_not_be_written_down_is_written_later(accounts, book, caplog):
    book.is_read_only = True
    book.now = Seen([KEY], [], 0)
    await until(lambda: is_known(accounts))
    await until(lambda: "is to be noted later" in caplog.text)
    book.is_read_only = False
    await until(lambda: "ada1" in book.used_us)


async def test_a_lock_that_keeps_uses_from_being_noted_keeps_no_revoked_key_alive(accounts, book):
    book.now = Seen([KEY], [], 0)
    await until(lambda: is_known(accounts))
    book.lock.clear()
    await until(lambda: accounts._noting is not None and not accounts._noting.done())
    book.now = Seen([], [], 0)
    await until(lambda: not is_known(accounts))
    book.lock.set()


async def test_a_ledger_that_hangs_does_not_keep_the_end_waiting(book, monkeypatch, caplog):
    monkeypatch.setattr(room, "END_S", 0.05)
    book.now = Seen([KEY], [], 0)
    clock = Clock(5)
    accounts = Accounts("gate", Quotas(Tariff(), {}, Allowance(), clock), clock, book.open)
    await accounts.start()
    book.lock.clear()
    assert is_known(accounts)
    await accounts.stop()
    assert "the ledger does not answer" in caplog.text
    book.lock.set()


async def test_a_ledger_that_can_not_be_read_at_the_start_is_told(book):
    book.is_broken = True
    clock = Clock(1)
    accounts = Accounts("gate", Quotas(Tariff(), {}, Allowance(), clock), clock, book.open)
    with pytest.raises(LedgerUnavailable):
        await accounts.start()
    await accounts.stop()


async def test_the_end_writes_down_what_is_new_and_closes_the_book(book):
    book.now = Seen([KEY], [], 0)
    clock = Clock(5)
    accounts = Accounts("gate", Quotas(Tariff(), {}, Allowance(), clock), clock, book.open)
    await accounts.start()
    assert is_known(accounts)
    await accounts.stop()
    assert (book.used_us, book.opened, book.closed) == ({"ada1": 5}, 2, 2)


async def test_without_a_ledger_nothing_is_looked_at():
    clock = Clock(5)
    accounts = Accounts("gate", Quotas(Tariff(), {}, Allowance(), clock), clock)
    await accounts.start()
    assert not is_known(accounts)
    await accounts.stop()


async def test_a_key_that_was_taken_is_held_on_to_while_its_call_runs_and_given_back_if_it_fails(accounts, book):
    door = asyncio.Event()

    async def run():
        await door.wait()
        raise LedgerUnavailable("The disk is full.")

    asked = asyncio.create_task(accounts.repeats.answer(Call("1", "f", repeat_key="k"), run))
    await until(lambda: accounts.repeats._claimed_us)
    assert book.claims == ["k"]
    accounts._now_us.us += CLAIM_US
    await until(lambda: book.renewed == ["k"])
    door.set()
    with pytest.raises(LedgerUnavailable, match="full"):
        await asked
    assert book.claims == []


async def test_a_call_that_ends_after_the_ledger_was_closed_waits_for_nobody(accounts, book, caplog):
    asked = asyncio.create_task(accounts.repeats.answer(Call("1", "f", repeat_key="k"), asyncio.Event().wait))
    await until(lambda: accounts.repeats._claimed_us)
    await accounts.stop()
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(asked, 10)
    assert "an Idempotency-Key can't be given back: The gateway ends" in caplog.text


async def test_whatever_a_damaged_ledger_brings_the_watch_goes_on(accounts, book, caplog):
    book.fault = ValueError("not JSON")
    await until(lambda: "ValueError('not JSON')" in caplog.text)
    book.fault = None
    book.now = Seen([KEY], [], 0)
    await until(lambda: is_known(accounts))


async def test_a_ledger_that_hangs_keeps_no_call_waiting(accounts, book, monkeypatch):
    monkeypatch.setattr(room, "CLAIM_WITHIN_S", 0.05)
    book.lock.clear()
    hanging = asyncio.create_task(accounts._errands.ask(lambda book: book.note_used({})))
    with pytest.raises(LedgerUnavailable, match="can't be told at the moment"):
        await accounts.repeats.answer(Call("1", "f", repeat_key="k"), lambda: pytest.fail("it ran"))
    book.lock.set()
    await hanging
