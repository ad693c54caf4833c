"""What accounts may use, and what they have used this month: kept in memory, so that a call pays next to nothing for it.

A call that is let in holds back its time limit of the account's quota, as a hotel does with a card, and gives it back for
what it really used. A call is let in as long as something is left beyond what is held: the account can use up its quota to the last
microsecond, and goes beyond it by one call at most.

What this gateway's calls used is counted here, exactly; what others used is read from the ledger now and then.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from servelite.core.accounts import Allowance, Spent
from servelite.core.call import Call
from servelite.core.errors import QuotaExhausted, RateLimited
from servelite.core.function import Limits
from servelite.core.tariff import MICRO, Tariff, money, rounded_micro


@dataclass(slots=True)
class _Account:
    """An account that has a limit.

    used_*      by calls of this gateway, this month; and `others_*` by calls of others, as the ledger says
    held_*      units that running calls hold back, and how many calls
    running     calls that entered and have not left
    due_us      when the rate's next call is due if all come evenly; see `_pace`
    """

    name: str
    allowance: Allowance
    used_units: int = 0
    used_calls: int = 0
    others_units: int = 0
    others_calls: int = 0
    held_units: int = 0
    held_calls: int = 0
    running: int = 0
    due_us: float = 0.0


class Quotas:
    """Lets calls in as far as their accounts may still use something."""

    def __init__(self, tariff: Tariff, allowances: Mapping[str, Allowance], others: Allowance, now_us: Callable[[], int]) -> None:
        """Watch over accounts; those not named in `allowances` may use what `others` says."""
        self.tariff = tariff
        self._allowances = allowances
        self._others = others
        self._now_us = now_us
        self._accounts: dict[str, _Account | None] = {}
        self._month_ends_us = 0
        self.month_began_us = 0
        self.before_hold: Callable[[str], None] = lambda _: None
        """Called before an account's quota is looked at: where nobody watches the ledger, it is read then."""
        self._turn_month(now_us())

    def enter(self, call: Call) -> None:
        """Let a call in, as far as its account's rate goes; `leave` follows.

        What a handler calls is no call of its account's client, and counts for no rate.

        Raises:
            RateLimited: the account makes more calls than it may, in a second or at once.
        """
        account = self._find(call.account)
        if account is None:
            return
        allowance = account.allowance
        if allowance.concurrent_calls is not None and account.running >= allowance.concurrent_calls and not call.depth:
            raise _too_many_at_once(account)
        if allowance.calls_per_s is not None and not call.depth:
            _pace(account, allowance.calls_per_s, self._now_us())
        account.running += not call.depth

    def hold(self, call: Call, limits: Limits) -> None:
        """Hold a call's time limit back, as its tariff would bill it; it may use what those hold back that wait for it.

        Raises:
            QuotaExhausted: what the account may use this month is used up, or held back by its running calls.
        """
        account = self._find(call.account)
        if account is None or account.allowance.credit_micro is None:
            return
        self._in_month()
        self.before_hold(call.account)
        above_units, above_calls = _held_above(call)
        if self._is_exhausted(account, account.held_units - above_units, account.held_calls - above_calls):
            raise self._exhausted(account)
        most_us = self.tariff.billed_us(int(limits.timeout_s * MICRO))
        call.held_units = self.tariff.units(most_us, self.tariff.mib_us(most_us, limits.memory_mib))
        account.held_units += call.held_units
        account.held_calls += 1

    def settle(self, call: Call, billed_us: int, mib_us: int) -> int | None:
        """Count what a call really used, as its row says; return the free time that its account has left, None where it has no quota."""
        account = self._find(call.account)
        if account is None:
            return None
        self._in_month()
        _give_back(account, call)
        account.used_units += self.tariff.units(billed_us, mib_us)
        account.used_calls += billed_us > 0
        return self._free_left_us(account)

    def leave(self, call: Call) -> None:
        """Take note that a call which entered has ended, whatever came of it."""
        account = self._find(call.account)
        if account is not None:
            account.running -= not call.depth
            _give_back(account, call)

    def free_left_us(self, name: str) -> int | None:
        """Return the free time that an account has left this month, None where it has no quota."""
        account = self._find(name)
        self._in_month()
        return None if account is None else self._free_left_us(account)

    def spent_elsewhere(self, spent: Iterable[Spent]) -> None:
        """Take note of what accounts used elsewhere since `month_began_us`."""
        for one in spent:
            account = self._find(one.account)
            if account is not None:
                account.others_units, account.others_calls = self.tariff.units(one.billed_us, one.mib_us), one.calls

    def spent_everywhere(self, spent: Spent) -> None:
        """Take note of what an account used since `month_began_us`, what it used here included, all of which has been settled."""
        account = self._find(spent.account)
        if account is not None:
            account.others_units = max(0, self.tariff.units(spent.billed_us, spent.mib_us) - account.used_units)
            account.others_calls = max(0, spent.calls - account.used_calls)

    @property
    def has_quotas(self) -> bool:
        """Whether any account has a quota that others' use counts for."""
        return any(one.credit_micro is not None for one in (self._others, *self._allowances.values()))

    def _find(self, name: str) -> _Account | None:
        try:
            return self._accounts[name]
        except KeyError:
            allowance = self._allowances.get(name, self._others)
            account = self._accounts[name] = None if allowance.is_unlimited else _Account(name, allowance)
            return account

    def _free_left_us(self, account: _Account) -> int | None:
        if account.allowance.credit_micro is None:
            return None
        return self.tariff.free_left_us(account.used_units + account.others_units)

    def _is_exhausted(self, account: _Account, held_units: int, held_calls: int) -> bool:
        units = account.used_units + account.others_units + held_units
        calls = account.used_calls + account.others_calls + held_calls
        if not self.tariff.is_free_used_up(units, calls):
            return False
        return self.tariff.payable_pico(units, calls) >= (account.allowance.credit_micro or 0) * MICRO

    def _exhausted(self, account: _Account) -> QuotaExhausted:
        tariff, credit = self.tariff, account.allowance.credit_micro or 0
        units, calls = account.used_units + account.others_units, account.used_calls + account.others_calls
        owed = rounded_micro(tariff.payable_pico(units, calls))
        limit = f"{tariff.free_s:,} {tariff.measure} free" + (f", {tariff.free_calls:,} calls free" if tariff.call_price_micro else "")
        limit += f" and {money(credit, tariff.currency)} of credit" if credit else ""
        used = f"{units / tariff.units_a_us / MICRO:,.3f} {tariff.measure}" + (f", {calls:,} calls" if tariff.call_price_micro else "")
        used += f", {money(owed, tariff.currency)} owed" if credit else ""
        renewal = f"{datetime.fromtimestamp(self._month_ends_us // MICRO, UTC):%Y-%m-%d}"
        told = f"Account {account.name} has used {used} this month; its quota is {limit}. It renews on {renewal} (UTC)."
        if self._is_exhausted(account, 0, 0):
            return QuotaExhausted(told)
        held = f"{account.held_units / tariff.units_a_us / MICRO:,g} {tariff.measure}"
        held = f"What is left is held back for its {account.held_calls} running calls, by their time limits ({held})."
        error = QuotaExhausted(f"{told} {held} Try again when they have ended.")
        error.retry_after_s = 1
        return error

    def _in_month(self) -> int:
        """Return the time, after turning to its month if that is a new one."""
        now_us = self._now_us()
        if now_us >= self._month_ends_us:
            self._turn_month(now_us)
        return now_us

    def _turn_month(self, now_us: int) -> None:
        """Begin a calendar month (UTC)."""
        first = datetime.fromtimestamp(now_us // MICRO, UTC).replace(day=1, hour=0, minute=0, second=0)
        following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
        self.month_began_us, self._month_ends_us = int(first.timestamp()) * MICRO, int(following.timestamp()) * MICRO
        for account in self._accounts.values():
            if account is not None:
                account.used_units = account.used_calls = account.others_units = account.others_calls = 0


def _give_back(account: _Account, call: Call) -> None:
    if call.held_units:
        account.held_units -= call.held_units
        account.held_calls -= 1
        call.held_units = 0


def _held_above(call: Call) -> tuple[int, int]:
    """Return what those hold back that wait for a call, and how many they are."""
    held_units = held_calls = 0
    while call.above is not None:
        call = call.above
        held_units += call.held_units
        held_calls += call.held_units > 0
    return held_units, held_calls


def _pace(account: _Account, calls_per_s: float, now_us: int) -> None:
    """Let a call pass if the rate allows it: a bucket that holds one second's calls (GCRA)."""
    step_us = MICRO / calls_per_s
    latest_us = now_us + max(MICRO, step_us)  # later only where the clock was set back
    account.due_us = due_us = min(max(account.due_us, now_us), latest_us)
    wait_us = due_us + step_us - now_us - max(MICRO, step_us)
    if wait_us > 0:
        told = f"Account {account.name} may make {calls_per_s:g} calls a second. Try again later, or more slowly."
        raise RateLimited(told, retry_after_s=max(1, round(wait_us / MICRO)))
    account.due_us = due_us + step_us


def _too_many_at_once(account: _Account) -> RateLimited:
    most = account.allowance.concurrent_calls
    return RateLimited(f"Account {account.name} may make {most} calls at once, and has as many running. Try again when one has ended.")
