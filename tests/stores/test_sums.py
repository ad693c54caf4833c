"""Sums over the ledger, by all that can be asked, and what accounts spent elsewhere."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from servelite.core.accounts import Spent
from servelite.core.ports import BY, Usage
from tests.stores.rows import DAY_US, EVER, NOON, instant, row

NOVEMBER = instant("2026-11-01T00:00:00")


@pytest.fixture
def insert(tables):
    return lambda *rows: tables.record(rows)


@pytest.fixture
def spent_elsewhere(any_place):
    """Return what says what was spent at other gateways than "own"."""
    with closing(any_place.book("own")) as book:
        yield lambda since_us: sorted(book.look(since_us).spent, key=lambda one: one.account)


def groups(tables, by, span=EVER, account=None) -> list[tuple[str, int, int]]:
    return [(one.group, one.calls, one.compute_us) for one in tables.usage([by], *span, account)[by]]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        pytest.param("function", [("summarise", 2, 70), ("translate", 1, 5)], id="function"),
        pytest.param("account", [("acme", 2, 55), ("local", 1, 20)], id="account"),
        pytest.param("key", [("k1", 2, 55), ("", 1, 20)], id="key"),
        pytest.param("day", [("2026-11-20", 2, 70), ("2026-11-21", 1, 5)], id="day"),
        pytest.param("stage", [("read", 2, 44), ("write", 1, 6)], id="stage"),
    ],
)
def test_calls_are_summed_with_their_stages_counted_once(tables, insert, by, expected):
    pipeline = row(function="summarise", account="acme", key_id="k1", compute_us=50)
    stage = {"account": "acme", "key_id": "k1", "parent": pipeline.id}
    insert(
        row(function="ocr", stage="read", compute_us=22, **stage),
        row(function="ocr", stage="read", compute_us=22, **stage),
        row(function="join", stage="write", compute_us=6, **stage),
        pipeline,
        row(function="summarise", compute_us=20),
        row(function="translate", account="acme", key_id="k1", compute_us=5, at_us=NOON + DAY_US),
    )
    assert groups(tables, by) == expected


@pytest.mark.parametrize("by", BY)
def test_sums_of_one_account_hold_nothing_of_others(tables, insert, by):
    insert(*(row(account=name, stage=stage, compute_us=size) for name, size in (("a", 1), ("b", 10)) for stage in ("", "s")))
    assert [(calls, compute_us) for _, calls, compute_us in groups(tables, by, account="b")] == [(1, 10)]
    assert groups(tables, by, account="nobody") == []
    assert groups(tables, by, account="a' OR 'a' = 'a") == []


@pytest.mark.parametrize(
    ("span", "days"),
    [
        pytest.param(("2026-11-20T00:00:00", "2026-11-21T00:00:00"), ["2026-11-20"], id="a day"),
        pytest.param(("2026-11-20T00:00:00", "2026-11-20T00:00:01"), ["2026-11-20"], id="a second is its whole day"),
        pytest.param(("2026-11-20T23:59:59", "2026-11-21T00:00:01"), ["2026-11-20", "2026-11-21"], id="two seconds of two days"),
        pytest.param(("2026-11-20T00:00:00", "2026-11-20T00:00:00"), [], id="no time"),
        pytest.param(("2026-11-22T00:00:00", "2026-12-01T00:00:00"), [], id="days without calls"),
    ],
)
def test_whole_days_are_summed(tables, insert, span, days):
    insert(row(), row(at_us=NOON + DAY_US))
    assert sorted(one.group for one in tables.usage(["day"], *map(instant, span))["day"]) == days


def test_failed_calls_are_those_whose_code_is_not_ok(tables, insert):
    insert(row(), row(code="timed_out", status=504), row(code="invalid_input", status=422, billed_us=0))
    assert [(one.calls, one.failed, one.billed_calls) for one in tables.usage(["function"], *EVER)["function"]] == [(3, 2, 2)]


@pytest.mark.parametrize(
    ("times", "whole_s"),
    [
        pytest.param([1], 1, id="a microsecond is a second"),
        pytest.param([1_000_000], 1, id="a second is a second"),
        pytest.param([1_000_001], 2, id="a microsecond more is two"),
        pytest.param([1] * 23, 23, id="each call by itself"),
        pytest.param([0, 0], 0, id="no time is none"),
    ],
)
@pytest.mark.parametrize("billed", [1, 3_000_000], ids=["billed finely", "billed coarsely"])
def test_whole_seconds_are_the_compute_time_of_billed_calls_each_rounded_up(tables, insert, times, whole_s, billed):
    insert(*(row(compute_us=time, billed_us=billed) for time in times), row(compute_us=5, billed_us=0))
    assert [one.whole_s for one in tables.usage(["function"], *EVER)["function"]] == [whole_s]


@pytest.mark.parametrize(
    ("compute_us", "memory_mib", "lambda_mib_ms"),
    [
        pytest.param(1, 1024, 1024, id="a millisecond at least"),
        pytest.param(1000, 1024, 1024, id="a millisecond"),
        pytest.param(1001, 1024, 2048, id="begun milliseconds"),
        pytest.param(1000, 1, 128, id="128 MiB at least"),
        pytest.param(1000, 129, 129, id="memory as it is above"),
        pytest.param(0, 1024, 0, id="no time"),
    ],
)
def test_lambda_would_bill_milliseconds_times_memory(tables, insert, compute_us, memory_mib, lambda_mib_ms):
    insert(row(compute_us=compute_us, memory_mib=memory_mib))
    assert [one.lambda_mib_ms for one in tables.usage(["function"], *EVER)["function"]] == [lambda_mib_ms]


def test_sums_that_are_read_together_are_of_one_moment(tables, any_place):
    """Somebody inserts rows meanwhile, and every sum has as many of them as the others."""
    is_enough = threading.Event()

    def insert_on_and_on():
        with closing(any_place.tables()) as other:
            while not is_enough.is_set():
                other.record([row(account=f"a{n}", function=f"f{n}", key_id=f"k{n}") for n in range(9)])

    seen = set()
    with ThreadPoolExecutor(1) as pool:
        inserting = pool.submit(insert_on_and_on)
        try:
            while len(seen) < 30:
                assert not inserting.done()
                sums = tables.usage(BY, *EVER)
                seen.add(tuple(sum(one.calls for one in sums[by]) for by in BY if by != "stage"))
        finally:
            is_enough.set()
        inserting.result()
    assert all(len(set(one)) == 1 for one in seen)


def test_every_sum_is_in_its_place(tables, insert):
    for _ in range(2):
        insert(row(compute_us=1500, cpu_us=7, billed_us=1_500_000, memory_mib=200, mib_us=300_000_000, cost_pico=11, code="x"))
    assert tables.usage(["function"], *EVER)["function"] == [
        Usage(
            group="f",
            calls=2,
            failed=2,
            compute_us=3000,
            cpu_us=14,
            billed_us=3_000_000,
            cost_pico=22,
            billed_calls=2,
            mib_us=600_000_000,
            whole_s=2,
            lambda_mib_ms=800,
        )
    ]


def test_spent_elsewhere_is_each_accounts_at_other_gateways(spent_elsewhere, insert):
    insert(
        row(account="a", gateway="other", billed_us=10, mib_us=20),
        row(account="a", gateway="third", billed_us=5, mib_us=20),
        row(account="a", gateway="third", billed_us=0),
        row(account="a", gateway="own", billed_us=1000),
        row(account="b", gateway="other", billed_us=7, mib_us=7),
        row(account="c", gateway="own", billed_us=1),
    )
    assert spent_elsewhere(NOVEMBER) == [Spent("a", 15, 40, 2), Spent("b", 7, 7, 1)]


def test_spent_elsewhere_counts_a_pipeline_and_not_its_stages(spent_elsewhere, insert):
    pipeline = row(gateway="other", billed_us=30)
    insert(pipeline, row(gateway="other", billed_us=20, parent=pipeline.id, stage="a"), row(gateway="other", billed_us=10, stage="b"))
    assert spent_elsewhere(NOVEMBER) == [Spent("local", 30, 0, 1)]


def test_spent_elsewhere_begins_with_the_month_that_is_asked_for(spent_elsewhere, insert):
    insert(row(at_us=NOVEMBER - 1, billed_us=100), row(at_us=NOVEMBER, billed_us=1), row(at_us=NOON, billed_us=2))
    assert spent_elsewhere(NOVEMBER) == [Spent("local", 3, 0, 2)]
