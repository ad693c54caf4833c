"""A month's bill, as `servelite usage --json` and `GET /usage` tell it."""

import pytest

from servelite.core.bill import bill, in_order, read_by, read_month, sums_of_bill
from servelite.core.month import CalendarMonth
from servelite.core.ports import BY, Usage
from servelite.core.tariff import Tariff

S = 1_000_000


@pytest.mark.parametrize(("said", "month"), [("2026-11", CalendarMonth(2026, 11)), ("9998-12", CalendarMonth(9998, 12))])
def test_a_month_is_read_as_it_is_written(said: str, month: CalendarMonth) -> None:
    assert read_month(said) == month
    assert f"{month}" == said


@pytest.mark.parametrize(
    "said", ["", "November", "2026", "2026-13", "2026-00", "26-11", "2026-1", "2026-11-01", "9999-12", "0999-01", "\u0662026-11"]
)
def test_what_is_no_month_is_refused_with_an_example(said: str) -> None:
    with pytest.raises(ValueError, match=r"is not a month\. Write for example 2026-11\."):
        read_month(said)


def test_a_bill_has_what_groups_cost_and_what_accounts_have_free_and_to_pay() -> None:
    used = Usage("acme", 3, 1, 200 * S, 190 * S, 200 * S, cost_pico=20_000 * S, billed_calls=2, mib_us=200 * S * 1024)
    assert bill(CalendarMonth(2026, 11), "account", {"account": [used]}, Tariff(free_s=150)) == {
        "month": "2026-11",
        "usage": [
            {
                "account": "acme",
                "calls": 3,
                "failed": 1,
                "compute_us": 200 * S,
                "cpu_us": 190 * S,
                "billed_us": 200 * S,
                "cost_micro": 20_000,
                "currency": "USD",
            }
        ],
        "accounts": [{"account": "acme", "billed_us": 200 * S, "free_left_us": 0, "payable_micro": 5_000, "currency": "USD"}],
    }


@pytest.mark.parametrize("by", BY)
def test_what_is_summed_by_is_read_as_it_is_written(by: str) -> None:
    assert read_by(by) == by


@pytest.mark.parametrize("said", ["", "weather", "function; DROP TABLE calls", "x" * 9000])
def test_what_nothing_is_summed_by_is_refused_with_what_there_is(said: str) -> None:
    with pytest.raises(ValueError, match="It can by: function, account, key, day, stage") as caught:
        read_by(said)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(("by", "sums"), [("function", ["function", "account"]), ("account", ["account"]), ("stage", ["stage", "account"])])
def test_a_bill_is_made_of_what_was_asked_for_and_of_accounts(by: str, sums: list[str]) -> None:
    assert sums_of_bill(by) == sums


@pytest.mark.parametrize(("by", "order"), [("day", ["2026-11-01", "2026-11-02"]), ("function", ["2026-11-02", "2026-11-01"])])
def test_days_come_in_their_order_and_all_else_as_it_was_summed(by: str, order: list[str]) -> None:
    groups = [Usage(name, 1, 0, used, 0, 0) for name, used in (("2026-11-02", 5), ("2026-11-01", 1))]
    assert [one.group for one in in_order(by, groups)] == order
