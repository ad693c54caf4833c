"""A plan as people read it, a table with sentences around it; as programs read it, JSON; and as it is drawn."""

from typing import TYPE_CHECKING, Any

from servelite.assembly.environment import CORE_MB
from servelite.cli.output import table
from servelite.core.tariff import MICRO
from servelite.tools.planning.break_even import drawn_rates
from servelite.tools.planning.costs import HOURS_A_MONTH
from servelite.tools.planning.demand import LEAST_RPS
from servelite.tools.planning.options import Option
from servelite.tools.planning.plan import Plan

if TYPE_CHECKING:
    from servelite.cli.output import Block, Page
    from servelite.cli.picture import Costs

NUMBERS = ("a month", "a million calls", "cold starts", "half within", "95 of 100 within", "busy at once")

COLUMNS = ("", *NUMBERS, "")


def as_page(plan: Plan) -> "Page":
    """Return a plan as texts and a table, with empty lines between."""
    rows = [_row(plan, option) for option in plan.options]
    parts: list[Block] = [_measured(plan), _asked(plan), table(COLUMNS, rows, NUMBERS), *_left_out(plan), *_verdict(plan)]
    return [line for part in parts for line in (part, "")][:-1]


def _measured(plan: Plan) -> str:
    profile = plan.profile
    batches = [f"{size} at once in {_ms(us)}" for size, us in profile.batches_us[-1:] if size > 1]
    starts = [f"a cold start {_ms(profile.lambda_init_us(CORE_MB))}", f"{profile.peak_kib // 1024:,} MiB at its peak"]
    told = [f"a call {_ms(profile.mean_us)}", *batches, *starts]
    return f"{profile.name}, measured here with its examples: {', '.join(told)}."


def _asked(plan: Plan) -> str:
    demand, simulated = plan.demand, [option.simulated_calls for option in plan.options]
    limit = f" 95 of 100 are to take {_ms(plan.p95_us)} at most." if plan.p95_us else ""
    mean, most = _rate(demand.rps), _rate(demand.busiest_rps)
    return (
        f"{mean} calls a second on average, {most} in the busiest minute of the pattern '{demand.pattern}': "
        f"{demand.month_calls:,} in a month of {HOURS_A_MONTH} hours.{limit} Simulated: {max(simulated, default=0):,} calls."
    )


def _row(plan: Plan, option: Option) -> list[str]:
    is_lambda = option.place == "lambda"
    name = f"Lambda {option.size:,} MB" if is_lambda else f"{option.size:,} server{'s' * (option.size > 1)}, {_cores(plan)}"
    note = "cheapest" if option is plan.cheapest else ""
    if option.throttled_share:
        note = f"refuses {_percent(option.throttled_share)}"
    elif not option.will_do(plan.p95_us):
        note = "too slow"
    cold = _percent(option.cold_share) if is_lambda else "-"
    costs = _dollars(option.month_micro), _dollars(option.million_micro)
    return [name, *costs, cold, _ms(option.p50_us), _ms(option.p95_us), f"{option.at_once:,}", note]


def _cores(plan: Plan) -> str:
    cores = plan.server.cores if plan.server else 0
    return "1 core" if cores == 1 else f"{cores} cores"


def _left_out(plan: Plan) -> list[str]:
    told = []
    if plan.too_small_mb:
        sizes = " and ".join(f"{size:,} MB" for size in plan.too_small_mb)
        told.append(f"Left out: {sizes}, too small for the {plan.profile.peak_kib // 1024:,} MiB that it held.")
    if plan.server and plan.fleet is None:
        limit = f"within {_ms(plan.p95_us)}" if plan.p95_us else f"before {plan.profile.timeout_s:g} s are over"
        told.append(f"No number of servers answers {limit}.")
    return told


def _verdict(plan: Plan) -> list[str]:
    if plan.cheapest is None:
        return ["Nothing here will do. Ask for less: a higher --p95, or a higher --concurrency."]
    if plan.break_even is None or plan.server is None:
        return []
    found = plan.break_even
    price = f"{_dollars(plan.server.hour_micro)} an hour"
    if found.rps is None:
        full = f"is full at {_rate(found.full_rps)} calls a second of this pattern"
        return [f"Break-even: none. A server at {price} {full}, where Lambda still costs less."]
    if found.rps <= LEAST_RPS:
        return [f"Break-even: servers at {price} are the cheaper ones at any rate."]
    fleet = "a server" if found.servers == 1 else f"a fleet of {found.servers} servers"
    return [f"Break-even: from {_rate(found.rps)} calls a second on, {fleet} at {price} costs less than the best memory size of Lambda."]


def as_json(plan: Plan) -> dict[str, Any]:
    """Return a plan as data: times in µs, money in millionths of a dollar."""
    profile, demand, terms, found = plan.profile, plan.demand, plan.terms, plan.break_even
    return {
        "function": profile.name,
        "measured": {
            "cold_us": profile.cold_us,
            "alone_us": profile.alone_us,
            "batches_us": [{"size": size, "us": us} for size, us in profile.batches_us],
            "init_us": profile.init_us,
            "peak_kib": profile.peak_kib,
            "cores_used": round(profile.cores_used, 3),
        },
        "demand": {"rps": demand.rps, "pattern": demand.pattern, "seed": demand.seed, "month_calls": demand.month_calls},
        "assumed": {
            "arch": terms.arch,
            "keep_alive_s": terms.keep_alive_s,
            "concurrency": terms.concurrency,
            "free_tier": terms.with_free_tier,
            "server_hour_micro": plan.server.hour_micro if plan.server else None,
            "server_cores": plan.server.cores if plan.server else None,
            "p95_us": plan.p95_us,
            "hours_a_month": HOURS_A_MONTH,
        },
        "options": [_option(plan, one) for one in plan.options],
        "too_small_mb": list(plan.too_small_mb),
        "break_even": None if found is None else {"rps": found.rps, "servers": found.servers, "full_rps": found.full_rps},
    }


def _option(plan: Plan, option: Option) -> dict[str, Any]:
    return {
        "place": option.place,
        "memory_mb" if option.place == "lambda" else "servers": option.size,
        "month_micro": option.month_micro,
        "million_micro": option.million_micro,
        "cold_share": option.cold_share,
        "throttled_share": option.throttled_share,
        "p50_us": option.p50_us,
        "p95_us": option.p95_us,
        "at_once": option.at_once,
        "simulated_calls": option.simulated_calls,
        "will_do": option.will_do(plan.p95_us),
        "is_cheapest": option is plan.cheapest,
    }


def as_drawn(plan: Plan) -> "Costs":
    """Return what Lambda and servers cost at many rates."""
    from servelite.cli.picture import Costs

    rates = drawn_rates(plan.demand.rps)
    lambda_micro = [plan.rates.lambda_micro(rps) for rps in rates]
    fleet_micro = [fleet[1] if (fleet := plan.rates.fleet(rps)) else None for rps in rates]
    found = plan.break_even.rps if plan.break_even else None
    title = f"{plan.profile.name}: what a month costs"
    missing = "" if plan.rates.sizes else "; no memory size of Lambda will do"
    subtitle = f"pattern '{plan.demand.pattern}'; dashed: {_rate(plan.demand.rps)} calls a second, as asked{missing}"
    return Costs(title, subtitle, rates, lambda_micro, fleet_micro, plan.demand.rps, found)


def _ms(us: float) -> str:
    """Write a time to three digits, in ms or s."""
    if us >= MICRO:
        return f"{us / MICRO:,.3g} s" if us < 1000 * MICRO else f"{us / MICRO:,.0f} s"
    return f"{us / 1000:.3g} ms" if us < 999_500 else "1 s"


def _rate(rps: float) -> str:
    return f"{rps:,.0f}" if rps >= 100 else f"{rps:.3g}"


def _percent(share: float) -> str:
    return f"{share:.2%}" if share >= 0.0001 or not share else "< 0.01%"


def _dollars(micro: int) -> str:
    """Write an amount to the cent, small ones more exactly."""
    return f"{micro / MICRO:,.{2 if micro >= MICRO else 4 if micro >= MICRO // 100 else 6}f} USD"
