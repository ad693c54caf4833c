from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core.accounts import Allowance
from servelite.core.call import BatchReply, Call, Outcome, Receipt, Tally
from servelite.core.errors import InvalidInput, LedgerUnavailable, ServeliteError, all_errors
from servelite.core.ports import Row
from servelite.core.tariff import Tariff
from servelite.runtime.metering import Meter, Wait
from tests.runtime.fakes import MemoryLedger, a_meter, described, some_accounts

NOW_US = 1_795_000_000_000_000
F = replace(described("f", memory_mib=512), version="1.2")
ERRORS = [kind for kind in all_errors() if kind is not ServeliteError]


@pytest.fixture
def ledger():
    return MemoryLedger()


@pytest.fixture
def meter(ledger):
    return a_meter(ledger, lambda: NOW_US)


def settled(meter: Meter, outcomes: list[Outcome], cpu_us: int = 500):
    calls = [Call(str(index), "f", body=b"in", account="ada") for index in range(len(outcomes))]
    return meter.settle(calls, [Wait(0, 0)] * len(calls), BatchReply(outcomes, cpu_us, 2048), F)


@given(times_us=st.lists(st.integers(0, 10**10), min_size=1, max_size=64), cpu_us=st.integers(0, 10**10))
def test_each_call_of_a_batch_has_its_own_time_and_all_of_it_is_somebodys(times_us, cpu_us):
    ledger = MemoryLedger()
    answers = settled(a_meter(ledger, lambda: NOW_US), [Outcome(b"x", None, us) for us in times_us], cpu_us)
    for kept in ([answer.receipt for answer in answers], ledger.rows):
        assert [one.compute_us for one in kept] == [one.billed_us for one in kept] == times_us
        assert sum(one.cpu_us for one in kept) == cpu_us


def test_cpu_time_is_shared_as_wall_time_is(meter, ledger):
    settled(meter, [Outcome(b"x", None, us) for us in (10, 30, 0)], cpu_us=80)
    assert [row.cpu_us for row in ledger.rows] == [20, 60, 0]


def test_a_call_has_one_row_with_all_that_its_receipt_says(meter, ledger):
    call = Call("a1", "f", body=b"four", account="ada", key_id="k1", parent="p", stage="s")
    (answer,) = meter.settle([call], [Wait(queue_us=7, init_us=3)], BatchReply([Outcome(b"three", None, 100)], 50, 2048), F)
    assert answer.body == b"three"
    assert answer.receipt == Receipt(compute_us=100, cpu_us=50, queue_us=7, init_us=3, batch=1, cold=True, billed_us=100)
    assert ledger.rows == [
        Row(
            id="a1",
            at_us=NOW_US,
            account="ada",
            function="f",
            status=200,
            code="ok",
            queue_us=7,
            init_us=3,
            compute_us=100,
            cpu_us=50,
            peak_kib=2048,
            batch=1,
            bytes_in=4,
            bytes_out=5,
            cold=1,
            billed_us=100,
            key_id="k1",
            version="1.2",
            parent="p",
            stage="s",
            memory_mib=512,
            cost_pico=10_000,
            gateway="gate",
            mib_us=51_200,
        )
    ]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_is_recorded_with_its_code_and_billed_by_who_is_at_fault(meter, ledger, kind):
    answers = settled(meter, [Outcome(b"", kind("No."), 501), Outcome(b"x", None, 500)])
    assert [type(answer.error) for answer in answers] == [kind, type(None)]
    failed, good = ledger.rows
    assert (failed.status, failed.code) == (kind.status, kind.code)
    assert (failed.compute_us, failed.billed_us) == (501, 501 if kind.billed else 0)
    assert (good.compute_us, good.billed_us, good.status, good.code) == (500, 500, 200, "ok")


@pytest.mark.parametrize(("init_us", "cold"), [(0, False), (1, True)])
def test_a_call_is_cold_if_it_waited_for_a_start(meter, ledger, init_us, cold):
    (answer,) = meter.settle([Call("1", "f")], [Wait(5, init_us)], BatchReply([Outcome(compute_us=1)], 1, 1), F)
    assert (answer.receipt.cold, ledger.rows[0].cold) == (cold, int(cold))


def test_the_start_of_the_process_is_the_first_call_s_and_no_other_s(meter, ledger):
    meter.start_us = 900
    settled(meter, [Outcome(compute_us=1), Outcome(compute_us=1)])
    settled(meter, [Outcome(compute_us=1)])
    assert [(row.init_us, row.cold) for row in ledger.rows] == [(900, 1), (0, 0), (0, 0)]


def test_a_ledger_that_refuses_lets_no_answer_leave(meter, ledger):
    ledger.is_full = True
    with pytest.raises(LedgerUnavailable):
        settled(meter, [Outcome(b"x")])
    assert ledger.rows == []


def test_a_tariff_rounds_and_prices_each_call(ledger):
    tariff = Tariff(price_micro=1, per_s=1, call_price_micro=1, per_calls=1, round_up_us=1000)
    meter = a_meter(ledger, lambda: NOW_US, some_accounts(lambda: NOW_US, tariff))
    answers = settled(meter, [Outcome(b"x", None, 1300), Outcome(b"", InvalidInput("No."), 1300)])
    assert [(answer.receipt.compute_us, answer.receipt.billed_us) for answer in answers] == [(1300, 2000), (1300, 0)]
    assert [(row.billed_us, row.cost_pico) for row in ledger.rows] == [(2000, 1_002_000), (0, 0)]


def test_a_tariff_that_weighs_memory_weighs_at_least_what_it_says(ledger):
    tariff = Tariff(price_micro=1, per_s=1, weighs_memory=True, least_mib=1024)
    accounts = some_accounts(lambda: NOW_US, tariff, ada=Allowance(credit_micro=0))
    (answer,) = settled(a_meter(ledger, lambda: NOW_US, accounts), [Outcome(b"x", None, 3000)])
    assert [(row.billed_us, row.mib_us, row.cost_pico) for row in ledger.rows] == [(3000, 3_072_000, 3000)]
    assert answer.receipt.free_left_us == 5_000_000_000 - 3000


def test_an_account_with_a_quota_is_told_what_it_has_left(ledger):
    accounts = some_accounts(lambda: NOW_US, ada=Allowance(credit_micro=0))
    answers = settled(a_meter(ledger, lambda: NOW_US, accounts), [Outcome(b"x", None, 500), Outcome(b"y", None, 500)])
    assert [answer.receipt.free_left_us for answer in answers] == [4_999_999_500, 4_999_999_000]


def test_what_could_not_be_recorded_counts_for_no_quota(ledger):
    accounts = some_accounts(lambda: NOW_US, ada=Allowance(credit_micro=0))
    ledger.is_full = True
    with pytest.raises(LedgerUnavailable):
        settled(a_meter(ledger, lambda: NOW_US, accounts), [Outcome(b"x")])
    assert accounts.quotas.free_left_us("ada") == 5_000_000_000


def stage(number: int, tally: Tally) -> Call:
    return Call(f"s{number}", "f", body=b"in", account="ada", parent="p", stage="pipe/f", tally=tally)


def test_a_pipelines_row_is_the_sum_of_its_stages_and_they_are_billed_with_it(ledger):
    tariff = Tariff(price_micro=1, per_s=1, call_price_micro=7, per_calls=1, round_up_us=1000)
    accounts = some_accounts(lambda: NOW_US, tariff, ada=Allowance(credit_micro=10**9))
    meter, tally = a_meter(ledger, lambda: NOW_US, accounts), Tally()
    first = [Outcome(b"x", None, 1300), Outcome(error=InvalidInput("No."), compute_us=1300)]
    replies = BatchReply(first, 50, 2048), BatchReply([Outcome(b"y", None, 400)], 30, 4096)
    meter.settle([stage(1, tally), stage(2, tally)], [Wait(5, 3), Wait(7, 0)], replies[0], F)
    meter.settle([stage(3, tally)], [Wait(2, 0)], replies[1], replace(described("f", memory_mib=2048), version="2"))
    assert accounts.quotas._find("ada").used_units == 0
    answer = meter.settle_pipeline(Call("p", "pipe", body=b"four", account="ada"), tally, Outcome(b"three"), replace(F, name="pipe"))
    row = ledger.rows[-1]
    assert answer.receipt == Receipt(3000, 80, 14, 3, batch=1, cold=True, billed_us=3000, free_left_us=answer.receipt.free_left_us)
    assert (row.compute_us, row.cpu_us, row.queue_us, row.init_us, row.billed_us) == (3000, 80, 14, 3, 3000)
    assert (row.peak_kib, row.memory_mib, row.mib_us) == (4096, 2048, 2000 * 512 + 1000 * 2048)
    assert (row.bytes_in, row.bytes_out, row.batch, row.version, row.code) == (4, 5, 1, "1.2", "ok")
    assert [one.cost_pico for one in ledger.rows] == [2000, 0, 1000, 3000 + 7_000_000]
    assert accounts.quotas._find("ada").used_units == 3000


def test_a_stage_that_is_settled_while_it_runs_is_recorded_then_and_not_again(meter, ledger):
    tally = Tally()
    given_up, mate = stage(1, tally), Call("mate", "f", account="ada")
    meter.settle_so_far(given_up, Wait(4, 0), 70, 1024, F)
    answers = meter.settle(
        [given_up, mate], [Wait(4, 0), Wait(2, 0)], BatchReply([Outcome(b"x", None, 501), Outcome(b"y", None, 500)], 0, 2048), F
    )
    assert [(row.id, row.code, row.compute_us, row.queue_us) for row in ledger.rows] == [("s1", "cancelled", 70, 4), ("mate", "ok", 500, 2)]
    assert (tally.calls, tally.compute_us, answers[1].body) == (1, 70, b"y")


def test_a_batch_of_which_all_is_settled_writes_nothing(meter, ledger):
    given_up = stage(1, Tally())
    meter.settle_so_far(given_up, Wait(0, 0), 70, 1024, F)
    ledger.is_full = True
    meter.settle([given_up], [Wait(0, 0)], BatchReply([Outcome(b"x", None, 1001)], 0, 2048), F)
    assert len(ledger.rows) == 1


def test_what_could_not_be_settled_while_it_runs_is_settled_when_it_ends(meter, ledger):
    given_up = stage(1, Tally())
    ledger.is_full = True
    with pytest.raises(LedgerUnavailable):
        meter.settle_so_far(given_up, Wait(0, 0), 70, 1024, F)
    ledger.is_full = False
    meter.settle([given_up], [Wait(0, 0)], BatchReply([Outcome(b"x", None, 1001)], 0, 2048), F)
    assert [row.compute_us for row in ledger.rows] == [1001]
