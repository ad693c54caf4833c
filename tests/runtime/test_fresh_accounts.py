"""A process that is frozen between calls reads what it knows of accounts at a call, if it is older than a second."""

import pytest

from servelite.core.accounts import Allowance, Spent
from servelite.core.call import Answer, Call, Receipt
from servelite.core.errors import LedgerUnavailable, QuotaExhausted, Unauthorized
from servelite.core.function import Limits
from servelite.core.ports import Seen
from servelite.core.tariff import Tariff
from servelite.runtime.fresh_accounts import FRESH_US, LONGEST_US, NOTE_EVERY_US, FreshAccounts
from servelite.runtime.quotas import Quotas
from tests.runtime.fakes import Clock
from tests.runtime.test_accounts import KEY, TOKEN, FakeBook

pytestmark = pytest.mark.anyio

S = 1_000_000
NOW_US = 1_795_651_200 * S
TEN_SECONDS_FREE = Tariff(free_s=10)
LIMITS = Limits(timeout_s=2, memory_mib=512)
SHOWN = b"Bearer " + TOKEN


@pytest.fixture
def clock():
    return Clock(NOW_US)


@pytest.fixture
def book():
    return FakeBook(now=Seen([KEY], [], 0))


@pytest.fixture
def accounts(book, clock):
    return an_environment(book, clock)


def an_environment(book: FakeBook, clock: Clock) -> FreshAccounts:
    quotas = Quotas(TEN_SECONDS_FREE, {"ada": Allowance(credit_micro=0)}, Allowance(), clock)
    return FreshAccounts("gate", quotas, clock, book.open)


def run(accounts: FreshAccounts, billed_us: int, book: FakeBook | None = None, account: str = "ada") -> int | None:
    """Let a call in, have its row written, and end it."""
    call = Call("1", "f", account=account)
    accounts.quotas.enter(call)
    try:
        accounts.quotas.hold(call, LIMITS)
        if book is not None:
            before = book.everywhere.get(account, Spent(account, 0, 0, 0))
            book.everywhere[account] = Spent(account, before.billed_us + billed_us, 0, before.calls + 1)
        return accounts.quotas.settle(call, billed_us, 0)
    finally:
        accounts.quotas.leave(call)


async def test_the_start_looks_once_and_leaves_nothing_that_goes_on(accounts, book):
    await accounts.start()
    assert (book.looks, accounts._watch) == (1, None)
    assert accounts.keyring.holder(SHOWN) == KEY
    assert book.looks == 1


async def test_a_ledger_that_can_not_be_used_is_told_at_the_start_in_its_own_words(accounts, book):
    book.is_broken = True
    with pytest.raises(LedgerUnavailable, match="It is away"):
        await accounts.start()


def test_keys_are_read_at_a_call_where_they_are_older_than_a_second(accounts, book, clock):
    for _ in range(3):
        assert accounts.keyring.holder(SHOWN) == KEY
    assert book.looks == 1
    clock.us += FRESH_US - 1
    accounts.keyring.holder(SHOWN)
    assert book.looks == 1
    clock.us += 1
    accounts.keyring.holder(SHOWN)
    assert book.looks == 2


def test_a_key_that_was_revoked_while_the_process_was_frozen_opens_nothing(accounts, book, clock):
    accounts.keyring.holder(SHOWN)
    book.now = Seen([], [], 0)
    clock.us += 3600 * S
    with pytest.raises(Unauthorized):
        accounts.keyring.holder(SHOWN)


def test_keys_stay_known_where_none_has_changed(accounts, book, clock):
    accounts.keyring.holder(SHOWN)
    book.now = Seen(None, [], 0)
    clock.us += 3600 * S
    assert accounts.keyring.holder(SHOWN) == KEY


def test_while_the_ledger_can_not_be_read_no_key_opens_and_no_place_is_named(accounts, book, clock, caplog):
    accounts.keyring.holder(SHOWN)
    book.is_broken = True
    assert accounts.keyring.holder(SHOWN) == KEY
    clock.us += FRESH_US
    for _ in range(2):
        with pytest.raises(LedgerUnavailable, match=r"^Whose this key is can't be told at the moment\. Try again later\.$"):
            accounts.keyring.holder(SHOWN)
    assert "a call is refused: It is away." in caplog.text
    book.is_broken = False
    assert accounts.keyring.holder(SHOWN) == KEY


def test_a_clock_that_was_set_back_has_all_read_anew(accounts, book, clock):
    accounts.keyring.holder(SHOWN)
    clock.us -= 3600 * S
    accounts.keyring.holder(SHOWN)
    assert book.looks == 2


def test_the_last_use_of_a_key_is_written_at_once_and_then_each_minute(accounts, book, clock):
    accounts.keyring.holder(SHOWN)
    assert book.used_us == {"ada1": NOW_US}
    clock.us += NOTE_EVERY_US - 1
    accounts.keyring.holder(SHOWN)
    assert book.used_us == {"ada1": NOW_US}
    clock.us += 1
    accounts.keyring.holder(SHOWN)
    assert book.used_us == {"ada1": NOW_US + NOTE_EVERY_US}


async def test_a_last_use_that_can_not_be_written_keeps_no_call_out_and_is_written_later(accounts, book, clock, caplog):
    book.is_read_only = True
    assert accounts.keyring.holder(SHOWN) == KEY
    assert "is to be noted later" in caplog.text
    book.is_read_only = False
    await accounts.stop()
    assert (book.used_us, book.closed) == ({"ada1": NOW_US}, 2)


def test_a_key_that_is_not_valid_is_noted_nowhere(accounts, book):
    with pytest.raises(Unauthorized):
        accounts.keyring.holder(b"Bearer sl_ada1_wrong")
    assert book.used_us == {}


def test_what_an_account_with_a_quota_has_used_everywhere_is_read_at_its_call(accounts, book, clock):
    book.everywhere["ada"] = Spent("ada", 4 * S, 0, 1)
    assert run(accounts, 1 * S, book) == 5 * S
    assert run(accounts, 1 * S, book) == 4 * S
    assert book.asked_of == [("ada", accounts.quotas.month_began_us)]
    clock.us += FRESH_US
    assert run(accounts, 1 * S, book) == 3 * S
    assert len(book.asked_of) == 2


def test_an_account_without_a_quota_costs_no_read(accounts, book):
    assert run(accounts, 1 * S, account="somebody") is None
    assert book.asked_of == []


def test_a_row_that_was_written_though_nobody_heard_of_it_counts(accounts, book, clock):
    run(accounts, 1 * S, book)
    book.everywhere["ada"] = Spent("ada", 9 * S, 0, 2)
    clock.us += FRESH_US
    assert run(accounts, 1 * S, book) == 0


@pytest.mark.parametrize("count", [2, 20])
def test_many_environments_go_beyond_a_quota_by_what_they_use_in_a_second(book, clock, count):
    environments = [an_environment(book, clock) for _ in range(count)]
    used_us, each_us = 0, 100_000

    def one_call_each() -> int:
        done = 0
        for one in environments:
            try:
                run(one, each_us, book)
            except QuotaExhausted:
                continue
            done += 1
        return done

    while calls := one_call_each():
        used_us += calls * each_us
        clock.us += each_us
    assert used_us == book.everywhere["ada"].billed_us
    assert 10 * S <= used_us <= 10 * S + count * FRESH_US
    clock.us += FRESH_US
    assert one_call_each() == 0


def test_what_can_not_be_read_lets_no_call_of_a_quota_in(accounts, book):
    book.is_broken = True
    with pytest.raises(LedgerUnavailable, match=r"^What the account has left can't be told at the moment\. Try again later\.$"):
        run(accounts, 1)
    assert run(accounts, 1, account="somebody") is None


def test_a_new_month_begins_with_nothing_used(accounts, book, clock):
    book.everywhere["ada"] = Spent("ada", 9 * S, 0, 1)
    assert run(accounts, 0) == 1 * S
    clock.us = 1_796_083_200 * S  # December
    book.everywhere.clear()
    assert run(accounts, 0) == 10 * S
    assert [since for _, since in book.asked_of] == [1_793_491_200 * S, 1_796_083_200 * S]


async def repeated(accounts: FreshAccounts) -> None:
    call = Call("1", "f", repeat_key="k")

    async def answer() -> Answer:
        answered = Answer(b"1", "application/json", Receipt())
        accounts.repeats.hold(accounts.repeats.kept(call, accounts._now_us(), answered))
        return answered

    await accounts.repeats.answer(call, answer)


@pytest.mark.parametrize(
    ("ends_us", "until_us"),
    [
        pytest.param(None, NOW_US + LONGEST_US, id="as long as a call may run"),
        pytest.param(NOW_US + 5 * S, NOW_US + 5 * S, id="until the process has surely ended it"),
        pytest.param(NOW_US - S, NOW_US + LONGEST_US, id="an end that was another call's"),
    ],
)
async def test_an_idempotency_key_is_held_while_nobody_is_there_to_hold_on_to_it(accounts, book, ends_us, until_us):
    accounts.ends_us = ends_us
    await repeated(accounts)
    assert (book.claims, book.claimed_until_us) == (["k"], until_us)


async def test_answers_are_held_no_longer_than_to_the_next_question_for_they_are_in_the_ledger(accounts, book):
    await repeated(accounts)
    assert len(accounts.repeats._fresh) == 1
    await accounts.claim("a", "another", "f")
    assert (accounts.repeats._fresh, accounts.repeats._claimed_us) == ({}, {})


async def test_a_call_that_was_not_run_gives_its_key_back(accounts, book):
    async def fail() -> Answer:
        raise LedgerUnavailable

    with pytest.raises(LedgerUnavailable):
        await accounts.repeats.answer(Call("1", "f", repeat_key="k"), fail)
    assert book.claims == []


async def test_a_ledger_that_refused_is_opened_anew(accounts, book):
    await accounts.start()
    book.is_broken = True
    with pytest.raises(LedgerUnavailable):
        run(accounts, 1)
    assert (book.opened, book.closed) == (1, 1)
    book.is_broken = False
    run(accounts, 1)
    assert book.opened == 2


async def test_a_process_that_was_copied_opens_the_book_anew_and_reads_anew(accounts, book):
    await accounts.start()
    run(accounts, 1, book)
    accounts.restored()
    assert book.closed == 1
    accounts.keyring.holder(SHOWN)
    run(accounts, 1, book)
    assert (book.opened, book.looks, len(book.asked_of)) == (2, 2, 2)


async def test_without_a_ledger_nothing_is_read(clock):
    accounts = FreshAccounts("gate", Quotas(TEN_SECONDS_FREE, {"ada": Allowance(credit_micro=0)}, Allowance(), clock), clock)
    await accounts.start()
    assert run(accounts, S) == 9 * S
    with pytest.raises(Unauthorized):
        accounts.keyring.holder(SHOWN)
    await accounts.stop()
