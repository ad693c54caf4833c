"""`servelite usage`: what the calls of a month used, and what that costs."""

import csv
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from servelite.assembly import DEFAULT_LEDGER, read_settings_file, read_usage
from servelite.cli.options import Month, config_option, ledger_option
from servelite.cli.output import print_table
from servelite.core.bill import bill, free, priced, span_us
from servelite.core.ports import BY, Usage
from servelite.core.tariff import MICRO, Tariff, money

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
    span = span_us(since)
    tariff = read_settings_file(config).tariff
    used = read_usage(ledger, by, *span)
    groups = [priced(one, by, tariff) for one in used]
    if form == "json":
        click.echo(json.dumps(bill(since, by, used, read_usage(ledger, "account", *span), tariff), indent=2))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, list(priced(Usage("", 0, 0, 0, 0, 0), by, tariff)), lineterminator="\n")
        writer.writeheader()
        writer.writerows(groups)
    else:
        if not groups:
            click.echo(f"No calls in the ledger {ledger} in {since:%Y-%m}. It belongs to the folder in which the server was started.")
        _print(groups, by, tariff)
        for one in read_usage(ledger, "account", *span):
            account = free(one, tariff)
            left = f"{account['free_left_us'] / MICRO:,.3f} of {tariff.free_s:,} free seconds left"
            click.echo(f"\nAccount {one.group} in {since:%B %Y}: {left}, to pay {money(account['payable_micro'], tariff.currency)}.")


def _print(groups: list[dict[str, Any]], by: str, tariff: Tariff) -> None:
    if not groups:
        return
    summed = {name: sum(group[name] for group in groups) for name in ("calls", "failed", "compute_us", "cpu_us", "billed_us")}
    total = {by: "total", **summed, "cost_micro": sum(group["cost_micro"] for group in groups)}
    print_table([by, *NUMBERS], [_row(group, by, tariff) for group in [*groups, total]], NUMBERS)


def _row(group: dict[str, Any], by: str, tariff: Tariff) -> list[str]:
    times = [f"{group[name] / MICRO:,.6f}" for name in ("compute_us", "cpu_us", "billed_us")]
    return [group[by], f"{group['calls']:,}", f"{group['failed']:,}", *times, money(group["cost_micro"], tariff.currency)]
