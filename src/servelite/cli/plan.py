"""`servelite plan`: what a function would cost a month on AWS Lambda and on servers, before anything is deployed."""

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from servelite.cli.options import Amount, Number, check_png
from servelite.cli.output import print_page
from servelite.cli.plan_page import as_json, as_page
from servelite.core.logs import log_handler
from servelite.runtime.folders import find_function
from servelite.tools.planning.arrivals import PATTERNS
from servelite.tools.planning.costs import TARIFFS
from servelite.tools.planning.demand import LEAST_RPS, MOST_RPS, Demand
from servelite.tools.planning.measuring import measure
from servelite.tools.planning.options import Lambda, Server
from servelite.tools.planning.plan import Plan, make_plan

DAY_MINUTES = 24 * 60


@click.command("plan")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--rps", required=True, type=Number(LEAST_RPS, MOST_RPS), help="Calls a second, the mean of the whole day.")
@click.option("--pattern", type=click.Choice(list(PATTERNS)), default="day", show_default=True, help="How they are spread over a day.")
@click.option(
    "--p95", "p95_ms", type=Number(0.001, 1e6), metavar="MS", help="Options that take longer than this for 95 of 100 calls are out."
)
@click.option("--server-per-hour", "hour_micro", type=Amount(), metavar="PRICE", help="Compare with servers rented at this price an hour.")
@click.option("--server-cores", type=click.IntRange(1, 1024), default=2, show_default=True, help="Cores of such a server.")
@click.option("--arch", type=click.Choice(list(TARIFFS)), default="x86_64", show_default=True, help="Lambda's processor, for its price.")
@click.option(
    "--keep-alive",
    "keep_alive_min",
    type=Number(0, DAY_MINUTES),
    default=7.0,
    show_default=True,
    metavar="MINUTES",
    help="How long Lambda keeps an environment that rests.",
)
@click.option(
    "--concurrency", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="Lambda's limit of busy environments."
)
@click.option("--free-tier", is_flag=True, help="Take off what AWS gives free each month.")
@click.option("--seed", type=int, default=1, show_default=True, help="The calls are at random; the same seed makes the same ones.")
@click.option("--png", type=click.Path(path_type=Path), metavar="FILE", help="Draw what each rate costs as a picture, a PNG file.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
def plan_command(**options: Any) -> None:
    """Measure a function here, simulate a demand on AWS Lambda and on servers, and compare what they cost a month.

    It is measured with its examples: its start, calls alone and in batches, its memory. Nothing is deployed, and
    nothing is asked of AWS. docs/planning.md says what is assumed.

    \b
    Example:
      servelite plan functions/sentiment --rps 5 --pattern day --server-per-hour 0.02
      servelite plan functions/sentiment --rps 0.2 --pattern spiky --p95 500 --json
      servelite plan functions/sentiment --rps 5 --server-per-hour 0.02 --png costs.png
    """
    _check(options)
    folder = find_function(options["path"])
    logging.basicConfig(handlers=[log_handler(is_terminal=sys.stderr.isatty())], level=logging.WARNING)
    tell: Callable[[str], None] = _tell if sys.stderr.isatty() else lambda _: None
    profile = asyncio.run(measure(folder, tell))
    demand = Demand(options["rps"], options["pattern"], options["seed"])
    terms = Lambda(options["arch"], options["keep_alive_min"] * 60, options["concurrency"], options["free_tier"])
    server = Server(options["hour_micro"], options["server_cores"]) if options["hour_micro"] else None
    tell("simulating")
    plan = make_plan(profile, demand, terms, server, round(options["p95_ms"] * 1000) if options["p95_ms"] else None)
    if options["png"] and plan.cheapest is None:
        click.echo(f"Nothing is drawn into {options['png']}, for nothing will do.", err=True)
    elif options["png"]:
        _draw(plan, options["png"])
    if options["is_json"]:
        click.echo(json.dumps(as_json(plan), indent=2))
    else:
        print_page(as_page(plan))


def _check(options: dict[str, Any]) -> None:
    """Refuse what can't be had together."""
    if options["hour_micro"] == 0:
        raise click.UsageError("A server at 0 an hour is cheaper than anything. Give its price, for example --server-per-hour 0.02.")
    cores = click.get_current_context().get_parameter_source("server_cores")
    if options["hour_micro"] is None and cores is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--server-cores says what a server has, and none is compared. Give its price too: --server-per-hour 0.02.")
    if options["png"]:
        check_png(options["png"])


def _tell(line: str) -> None:
    click.echo(f"plan: {line}", err=True)


def _draw(plan: Plan, file: Path) -> None:
    from servelite.cli.picture import draw_costs
    from servelite.cli.plan_page import as_drawn

    draw_costs(file, as_drawn(plan))
    click.echo(f"Drawn into {file}.", err=True)
