"""`servelite usage`: what the calls of a month used, what that costs, and what it would have cost elsewhere."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import click

from servelite.assembly.environment import read_settings_file
from servelite.assembly.ledgers import read_usage, shown_ledger
from servelite.cli.options import Amount, Month, check_png, config_option, ledger_option
from servelite.cli.output import print_page, watch
from servelite.cli.usage_page import as_page
from servelite.cli.usage_report import Report, as_csv, as_json, total
from servelite.core.bill import sums_of_bill
from servelite.core.comparison import Rent, compare
from servelite.core.month import CalendarMonth
from servelite.core.ports import BY, Usage
from servelite.core.tariff import MICRO, Tariff


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked on the command line; `month` is None for the one that is now."""

    month: CalendarMonth | None
    by: str
    account: str | None
    compare: bool
    machine_micro: int | None
    plot: bool
    png: Path | None
    watch: bool
    form: str | None
    ledger: str
    config: Path | None

    def check(self) -> None:
        """Refuse what can't be had together."""
        if self.png:
            check_png(self.png)
        if self.form and (self.plot or self.watch):
            raise click.UsageError(f"--{'watch' if self.watch else 'plot'} is for people, --{self.form} for programs. Give one of them.")
        if self.watch and self.png:
            raise click.UsageError("--watch goes on, and --png draws once. Give one of them.")

    def read(self, tariff: Tariff) -> Report:
        """Read the ledger as it is now."""
        now_us = time.time_ns() // 1000
        month = self.month or CalendarMonth.of(now_us)
        has_days = self.plot or self.png is not None
        by = dict.fromkeys([*sums_of_bill(self.by), *(["day"] if has_days else [])])
        sums = read_usage(self.ledger, list(by), (month.begins_us, month.ends_us), self.account)
        rent = None if self.machine_micro is None else Rent(self.machine_micro, month.hours_begun(now_us))
        prices = compare(sums["account"], tariff, rent) if self.compare or rent else None
        days = _days(month, sums["day"]) if has_days else None
        return Report(month, now_us, self.by, sums, tariff, shown_ledger(self.ledger), self.account, prices, rent, days)


@click.command("usage")
@click.option("--month", type=Month(), help="A month (UTC) as 2026-11.  [default: this month]")
@click.option("--by", type=click.Choice(BY), default="function", show_default=True, help="What to sum by.")
@click.option("--account", metavar="NAME", help="Only this account's calls.")
@click.option("--compare", is_flag=True, help="Tell what it would have cost at Algorithmia and on AWS Lambda.")
@click.option("--machine-per-hour", "machine_micro", type=Amount(), help="Compare with a machine that is rented at this price an hour.")
@click.option("--plot", is_flag=True, help="Draw each day's compute-seconds.")
@click.option("--png", type=click.Path(path_type=Path), metavar="FILE", help="Draw them as a picture, a PNG file.")
@click.option("--watch", is_flag=True, help="Refresh each second until Ctrl-C.")
@click.option("--json", "form", flag_value="json", help="Print JSON.")
@click.option("--csv", "form", flag_value="csv", help="Print CSV: the usage, or with --compare the comparison.")
@ledger_option
@config_option
def usage_command(**options: Any) -> None:
    """Sum calls, compute-seconds and cost; those of a running server are included.

    \b
    Example:
      servelite usage
      servelite usage --month 2026-11 --by day --csv
      servelite usage --account acme --compare --machine-per-hour 0.05
      servelite usage --watch --plot
    """
    question = Question(**options)
    question.check()
    tariff = read_settings_file(question.config).tariff
    if question.watch:
        watch(lambda: as_page(question.read(tariff), with_chart=question.plot))
        return
    report = question.read(tariff)
    if question.png:
        _draw(report, question.png)
    if question.form == "json":
        click.echo(json.dumps(as_json(report), indent=2))
    elif question.form == "csv":
        click.echo(as_csv(report), nl=False)
    else:
        print_page(as_page(report, with_chart=question.plot))


def _days(month: CalendarMonth, used: Sequence[Usage]) -> list[tuple[date, int]]:
    """Return each day of a month with its compute time, µs."""
    compute_us = {one.group: one.compute_us for one in used}
    return [(day, compute_us.get(f"{day}", 0)) for day in month.days()]


def _draw(report: Report, file: Path) -> None:
    from servelite.cli.picture import draw_days

    used = total(report.accounts)
    title = f"{used.compute_us / MICRO:,.3f} compute-seconds in {report.month.title}"
    whose = f" of account {report.account}" if report.account else ""
    draw_days(file, report.days or [], title, f"{used.calls:,} calls{whose}, by the day that they were answered")
    click.echo(f"Drawn into {file}.", err=True)
