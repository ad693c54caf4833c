"""`servelite usage`: what the calls of a month used, and what that costs."""

import csv
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from servelite.assembly import DEFAULT_LEDGER, read_settings_file, read_usage, shown_ledger
from servelite.cli.options import Month, config_option, ledger_option
from servelite.cli.output import print_table
from servelite.core.ports import BY, Usage
from servelite.core.tariff import MICRO, Tariff, money, rounded_micro

NUMBERS = ("calls", "failed", "compute s", "cpu s", "billed s", "cost")


@click.command("usage")
@click.option("--month", type=Month(), help="A month (UTC) as 2026-11.  [default: this month]")
@click.option("--by", type=click.Choice(BY), default="function", show_default=True, help="What to sum by.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV.")
@ledger_option(default=DEFAULT_LEDGER)
@config_option
def usage_command(month: datetime | None, by: str, form: str | None, ledger: str, config: Path | None) -> None:
    """Sum calls, compute-seconds and cost; those of a running server are included.

    \b
    Example:
      servelite usage
      servelite usage --month 2026-11 --by day --csv
    """
    since = month or datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    span = _micros(since), _micros(_next_month(since))
    tariff = read_settings_file(config).tariff
    groups = [_priced(one, by, tariff) for one in read_usage(ledger, by, *span)]
    if form == "json":
        accounts = [_free(one, tariff) for one in read_usage(ledger, "account", *span)]
        click.echo(json.dumps({"month": f"{since:%Y-%m}", "usage": groups, "accounts": accounts}, indent=2))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, list(_priced(Usage("", 0, 0, 0, 0, 0), by, tariff)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(groups)
    else:
        if not groups:
            which = f"{shown_ledger(ledger)} in {since:%Y-%m}"
            click.echo(f"No calls in the ledger {which}. It belongs to the folder in which the server was started.")
        _print(groups, by, tariff)
        for one in read_usage(ledger, "account", *span):
            free = _free(one, tariff)
            left = f"{free['free_left_us'] / MICRO:,.3f} of {tariff.free_s:,} free seconds left"
            click.echo(f"\nAccount {one.group} in {since:%B %Y}: {left}, to pay {money(free['payable_micro'], tariff.currency)}.")


def _priced(usage: Usage, by: str, tariff: Tariff) -> dict[str, Any]:
    return {
        by: usage.group,
        "calls": usage.calls,
        "failed": usage.failed,
        "compute_us": usage.compute_us,
        "cpu_us": usage.cpu_us,
        "billed_us": usage.billed_us,
        "cost_micro": rounded_micro(usage.cost_pico),
        "currency": tariff.currency,
    }


def _free(usage: Usage, tariff: Tariff) -> dict[str, Any]:
    return {
        "account": usage.group,
        "billed_us": usage.billed_us,
        "free_left_us": tariff.free_left_us(tariff.units(usage.billed_us, usage.mib_us)),
        "payable_micro": rounded_micro(tariff.payable_pico(tariff.units(usage.billed_us, usage.mib_us), usage.billed_calls)),
        "currency": tariff.currency,
    }


def _print(groups: list[dict[str, Any]], by: str, tariff: Tariff) -> None:
    if not groups:
        return
    summed = {name: sum(group[name] for group in groups) for name in ("calls", "failed", "compute_us", "cpu_us", "billed_us")}
    total = {by: "total", **summed, "cost_micro": sum(group["cost_micro"] for group in groups)}
    print_table([by, *NUMBERS], [_row(group, by, tariff) for group in [*groups, total]], NUMBERS)


def _row(group: dict[str, Any], by: str, tariff: Tariff) -> list[str]:
    times = [f"{group[name] / MICRO:,.6f}" for name in ("compute_us", "cpu_us", "billed_us")]
    return [group[by], f"{group['calls']:,}", f"{group['failed']:,}", *times, money(group["cost_micro"], tariff.currency)]


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * MICRO


def _next_month(first: datetime) -> datetime:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
