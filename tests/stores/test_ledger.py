"""What every ledger does: the contract of the `Ledger` port, run over its implementations."""

from itertools import pairwise

import pytest

from servelite.core.ports import BY, Usage
from servelite.stores.direct import DirectLedger, NoLedger
from servelite.stores.ledger import JournaledLedger
from tests.stores.rows import DAY_US, EVER, NOON, instant, row


@pytest.fixture(params=[JournaledLedger, DirectLedger])
def reopened(request, any_place):
    """Return an opener of one and the same ledger."""
    return lambda: request.param(any_place)


@pytest.fixture
def ledger(reopened):
    ledger = reopened()
    yield ledger
    ledger.close()


def test_no_ledger_takes_rows_without_a_word_and_knows_of_none():
    ledger = NoLedger()
    assert ledger.record([row(), row()]) is None
    assert ledger.usage(["function", "day"], *EVER) == {"function": [], "day": []}
    ledger.close()


def test_a_new_ledger_knows_of_no_call(ledger):
    assert ledger.usage(["function"], *EVER)["function"] == []


def test_rows_are_taken_without_a_word(ledger):
    assert ledger.record([row(), row()]) is None
    assert ledger.record([]) is None


def test_a_row_is_counted_as_soon_as_it_is_recorded(ledger):
    for count in range(1, 4):
        ledger.record([row()])
        (usage,) = ledger.usage(["function"], *EVER)["function"]
        assert usage.calls == count


def test_usage_sums_what_a_group_used(ledger):
    ledger.record(
        [
            row(compute_us=10, cpu_us=7, billed_us=10, memory_mib=512, mib_us=5120, cost_pico=1000),
            row(memory_mib=512, compute_us=5, cpu_us=2, billed_us=0, code="invalid_input", status=422),
        ]
    )
    assert ledger.usage(["function"], *EVER)["function"] == [
        Usage("f", 2, 1, 15, 9, 10, cost_pico=1000, billed_calls=1, mib_us=5120, whole_s=1, lambda_mib_ms=2 * 512)
    ]


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        pytest.param("function", [("upper", 2), ("lower", 1)], id="function"),
        pytest.param("account", [("bob", 2), ("ada", 1)], id="account"),
        pytest.param("key", [("k1", 2), ("k2", 1)], id="key"),
        pytest.param("day", [("2026-11-21", 1), ("2026-11-20", 2)], id="day"),
    ],
)
def test_usage_is_grouped_with_the_most_compute_first(ledger, by, groups):
    ledger.record([row(function="upper", account="bob", key_id="k1", compute_us=20)])
    ledger.record([row(function="lower", account="ada", key_id="k2", compute_us=1)])
    ledger.record([row(function="upper", account="bob", key_id="k1", compute_us=30, at_us=NOON + DAY_US)])
    assert [(usage.group, usage.calls) for usage in ledger.usage([by], *EVER)[by]] == groups


def test_groups_of_equal_compute_come_in_order_of_their_names(ledger):
    ledger.record([row(function=name) for name in ("c", "a_b", "aB", "ab", "B", "é", "a")])
    assert [usage.group for usage in ledger.usage(["function"], *EVER)["function"]] == ["B", "a", "aB", "a_b", "ab", "c", "é"]


@pytest.mark.parametrize(
    ("at_us", "month"),
    [
        pytest.param(instant("2026-11-01T00:00:00") - 1, "october", id="the last µs of October"),
        pytest.param(instant("2026-11-01T00:00:00"), "november", id="the first µs of November"),
        pytest.param(instant("2026-12-01T00:00:00") - 1, "november", id="the last µs of November"),
        pytest.param(instant("2026-12-01T00:00:00"), "december", id="the first µs of December"),
    ],
)
def test_a_call_belongs_to_the_month_in_which_it_was_answered(ledger, at_us, month):
    starts = [instant(f"2026-{number}-01T00:00:00") for number in (10, 11, 12)] + [instant("2027-01-01T00:00:00")]
    ledger.record([row(at_us=at_us)])
    found = [len(ledger.usage(["function"], *span)["function"]) for span in pairwise(starts)]
    assert found == [int(month == name) for name in ("october", "november", "december")]


def test_a_call_that_waited_over_the_months_end_belongs_to_the_month_of_its_answer(ledger):
    november = instant("2026-11-01T00:00:00")
    asked = row(at_us=november - 3600 * 1_000_000)
    ledger.record([asked._replace(at_us=november)])
    assert [usage.calls for usage in ledger.usage(["function"], november, november + DAY_US)["function"]] == [1]
    assert ledger.usage(["function"], november - DAY_US, november)["function"] == []


@pytest.mark.parametrize(
    ("at_us", "day"),
    [
        pytest.param(instant("2026-11-20T00:00:00") - 1, "2026-11-19", id="the last µs of a day"),
        pytest.param(instant("2026-11-20T00:00:00"), "2026-11-20", id="the first µs of a day"),
        pytest.param(instant("2028-02-29T23:59:59"), "2028-02-29", id="a leap day"),
    ],
)
def test_a_day_begins_at_midnight_utc(ledger, at_us, day):
    ledger.record([row(at_us=at_us)])
    assert [usage.group for usage in ledger.usage(["day"], *EVER)["day"]] == [day]


def test_usage_is_summed_in_several_ways_at_once(ledger):
    ledger.record([row(account="ada", compute_us=3), row(account="bob", compute_us=4, at_us=NOON + DAY_US), row(stage="s", compute_us=5)])
    sums = ledger.usage(["account", "day", "stage"], *EVER)
    assert {by: [(one.group, one.compute_us) for one in groups] for by, groups in sums.items()} == {
        "account": [("bob", 4), ("ada", 3)],
        "day": [("2026-11-21", 4), ("2026-11-20", 3)],
        "stage": [("s", 5)],
    }
    assert {by: groups for by in BY for groups in ledger.usage([by], *EVER).values()} == ledger.usage(BY, *EVER)


@pytest.mark.parametrize("by", ["month", "", "function; DROP TABLE calls"])
def test_usage_by_anything_else_can_not_be_asked(ledger, by):
    with pytest.raises(KeyError):
        ledger.usage([by], *EVER)


def test_names_are_kept_as_they_are(ledger):
    names = ["Zoë", "a'b", 'a"b', "a\\b", '\\"', "{a,b}", "NULL", "a\nb", "a\tb", "\u2028", "😀", " ", "", "?", "%s", "$1"]
    ledger.record([row(account=name) for name in names])
    assert sorted(usage.group for usage in ledger.usage(["account"], *EVER)["account"]) == sorted(names)


def test_large_numbers_are_kept_exactly(ledger):
    ledger.record([row(compute_us=2**53 + 1, billed_us=2**53 + 1)])
    (usage,) = ledger.usage(["function"], *EVER)["function"]
    assert (usage.compute_us, usage.billed_us) == (2**53 + 1, 2**53 + 1)


@pytest.mark.parametrize("count", [1, 15, 16, 17, 255, 256, 257, 1000])
def test_a_batch_of_any_size_is_kept_whole(ledger, count):
    ledger.record([row(compute_us=number) for number in range(count)])
    (usage,) = ledger.usage(["function"], *EVER)["function"]
    assert (usage.calls, usage.compute_us) == (count, sum(range(count)))


def test_a_row_that_is_recorded_twice_is_counted_once(ledger):
    once = row()
    ledger.record([once])
    ledger.record([once])
    assert [usage.calls for usage in ledger.usage(["function"], *EVER)["function"]] == [1]


def test_a_ledger_that_was_closed_has_its_rows_when_it_is_opened_again(reopened):
    for count in range(1, 4):
        ledger = reopened()
        ledger.record([row()])
        ledger.close()
        ledger = reopened()
        assert [usage.calls for usage in ledger.usage(["function"], *EVER)["function"]] == [count]
        ledger.close()


def test_two_ledgers_over_the_same_place_share_their_rows(reopened):
    one, other = reopened(), reopened()
    one.record([row()])
    other.record([row()])
    assert [usage.calls for usage in one.usage(["function"], *EVER)["function"]] == [2]
    assert [usage.calls for usage in other.usage(["function"], *EVER)["function"]] == [2]
    one.close()
    other.close()
