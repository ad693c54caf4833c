"""`servelite loadtest`: callers by the dozen, what they saw, whether an SLO was kept, and up to which rate it is."""

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from servelite.assembly.environment import own_key, read_settings_file
from servelite.cli.loadtest_page import Report, as_html, as_json, as_page, draw
from servelite.cli.options import Number, check_png, config_option
from servelite.cli.output import print_page
from servelite.cli.picture import require_matplotlib
from servelite.core.errors import DefinitionError
from servelite.tools.loadtest.book import Book
from servelite.tools.loadtest.capacity import TICK_S, Capacity, Step, came_through, find_capacity
from servelite.tools.loadtest.learning import SIZES, asker, find_functions
from servelite.tools.loadtest.levels import SHAPES
from servelite.tools.loadtest.mixes import parse_mix
from servelite.tools.loadtest.running import Run, load, require_locust
from servelite.tools.loadtest.slo import missed, parse_slo
from servelite.tools.loadtest.summary import rows
from servelite.tools.servers import HOST, local_port, serve

TIME_S, STEP_S = 10, 5
MOST_TIME_S = 24 * 3600
MOST_PROCESSES = 64
CLEAR_LINE = "\r\x1b[K"


class Duration(click.ParamType[int, Any]):
    """A time in whole seconds as people write it: 30s, 2m, 1h, 45."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the seconds."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]{1,6})\s*([smh]?)", value.strip())
        seconds = int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]] if found else 0
        if not 1 <= seconds <= MOST_TIME_S:
            self.fail(f"'{value}' is no time from 1s to 24h. Write for example 30s, 2m or 1h.", param, ctx)
        return seconds


@click.command("loadtest")
@click.argument("path")
@click.option(
    "--users", type=click.IntRange(1, 10_000), default=10, show_default=True, help="Callers; each calls again when it is answered."
)
@click.option("--spawn-rate", type=Number(0.1, 10_000), default=100.0, show_default=True, help="How many of them start a second.")
@click.option("--time", "time_s", type=Duration(), help="How long, or how long each step of --find-capacity.  [default: 10s, 5s]")
@click.option("--shape", type=click.Choice(list(SHAPES)), default="steady", show_default=True, help="How the load changes meanwhile.")
@click.option("--rate", "rps", type=Number(0.1, 100_000), help="Calls a second instead, whatever the server does.")
@click.option(
    "--sizes", type=click.Choice(SIZES), default="examples", show_default=True, help="Inputs as in the examples, or some much longer."
)
@click.option("--mix", metavar="NAME=N,…", help="How often each function is called, relative to the others.  [default: all alike]")
@click.option("--url", help="Call a server that runs on this machine; PATH is then a function's name or folder, or '.' for all.")
@click.option("--processes", type=click.IntRange(1, MOST_PROCESSES), default=1, show_default=True, help="Processes that make the load.")
@click.option("--slo", metavar="BOUNDS", help="What must be kept, for example p95=50ms,errors=0; else the exit code is 1.")
@click.option("--find-capacity", "is_search", is_flag=True, help="Search the highest rate of calls that keeps the SLO.")
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a report, an HTML file.")
@click.option("--png", type=click.Path(path_type=Path), metavar="FILE", help="Draw latency and throughput over time, a PNG file.")
@click.option("--json", "is_json", is_flag=True, help="Print JSON.")
@config_option
def loadtest_command(**options: Any) -> None:
    """Call functions as many callers would, check their answers, and tell how fast they came and what they cost.

    PATH is a function's folder, or a folder of them; it is served with a ledger of its own. Calls are made of the
    functions' examples, by Locust. Exit code 1 says that the SLO was missed, or that nothing was answered.

    \b
    Example:
      servelite loadtest functions/sentiment
      servelite loadtest functions/sentiment --users 50 --time 1m --shape spiky --html report.html
      servelite loadtest functions/sentiment --slo p95=50ms,errors=0 --find-capacity
    """
    _check(options)
    require_locust()
    if options["url"] is None and not Path(options["path"]).exists():
        raise DefinitionError(f"There is no folder {options['path']}. PATH is a function's folder, or a folder of them; or give --url.")
    report = asyncio.run(_test(options))
    if options["png"]:
        draw(report, options["png"])
        click.echo(f"Drawn into {options['png']}.", err=True)
    if options["html"]:
        options["html"].write_text(as_html(report), encoding="utf-8")
        click.echo(f"Written into {options['html']}.", err=True)
    if options["is_json"]:
        click.echo(json.dumps(as_json(report), indent=2, ensure_ascii=False))
    else:
        print_page(as_page(report))
    if not report.is_fine:
        click.get_current_context().exit(1)


def _check(options: dict[str, Any]) -> None:
    """Refuse what can't be had together."""
    if options["is_search"] and not options["slo"]:
        raise click.UsageError("--find-capacity searches what keeps an SLO. Give one, for example --slo p95=50ms,errors=0.")
    given = click.get_current_context().get_parameter_source
    of_users = [name for name in ("users", "spawn_rate") if given(name) is click.core.ParameterSource.COMMANDLINE]
    if of_users and (options["rps"] or options["is_search"]):
        why = "--find-capacity tries rates" if options["is_search"] else "--rate says how many calls there are"
        raise click.UsageError(f"{why}, and --{of_users[0].replace('_', '-')} callers that wait for answers. Give one of them.")
    if options["is_search"] and (options["rps"] or options["shape"] != "steady"):
        raise click.UsageError("--find-capacity finds the rate itself, and tries each steadily. Leave --rate and --shape out.")
    if options["png"]:
        check_png(options["png"])
    if options["png"] or options["html"]:
        require_matplotlib()  # before the load, not after it


def name_of(path: str) -> str:
    """Return the name of a function that is named, or by its folder."""
    return Path(path).resolve().name


async def _test(options: dict[str, Any]) -> Report:
    tariff = read_settings_file(options["config"]).tariff
    objectives = parse_slo(options["slo"]) if options["slo"] else ()
    mix = parse_mix(options["mix"]) if options["mix"] else {}
    with tempfile.TemporaryDirectory(prefix="servelite-loadtest-") as root:
        work = Path(root)
        async with _server(options, work) as url:
            if options["url"] and not mix and options["path"] != ".":
                mix = {name_of(options["path"]): 1.0}
            functions = find_functions(asker(url, own_key()), mix)
            run = _run(options, tuple((one.name, mix.get(one.name, 1.0)) for one in functions))
            if options["is_search"]:
                return await _search(run, url, work, Report(options["path"], run, Book(), tariff, objectives))
            book = await load(run, url, work, _tell)
            _tell("", book)
            return Report(options["path"], run, book, tariff, objectives)


def _run(options: dict[str, Any], mix: tuple[tuple[str, float], ...]) -> Run:
    time_s = options["time_s"] or (STEP_S if options["is_search"] else TIME_S)
    load_ = {name: options[name] for name in ("users", "spawn_rate", "shape", "processes", "sizes")}
    return Run(time_s, rps=options["rps"] or 0.0, mix=mix, **load_)


async def _search(run: Run, url: str, work: Path, empty: Report) -> Report:
    """Search the capacity, telling of each step; the report is of the best step that kept the SLO, or of the last."""
    books: dict[float, Book] = {}

    async def try_rate(rps: float) -> Step:
        book = books[rps] = await load(replace(run, rps=rps), url, work, _tell)
        row = rows(book, empty.tariff)[-1]
        step = Step(
            rps, row, came_through(rps, min(book.took_s, run.time_s + TICK_S), row) and not missed(empty.objectives, row), book.busiest
        )
        _tell("", book)
        if sys.stderr.isatty():
            click.echo(f"{rps:g}/s {'held' if step.kept else 'missed'}", err=True)
        return step

    found: Capacity = await find_capacity(try_rate)
    shown = found.kept_rps or found.steps[-1].rps
    return replace(empty, run=replace(run, rps=shown), book=books[shown], capacity=found)


@asynccontextmanager
async def _server(options: dict[str, Any], work: Path) -> AsyncIterator[str]:
    """Give the URL of the server that is to be called: one of our own, or the one that was named."""
    if options["url"]:
        yield f"http://{HOST}:{local_port(options['url'], 'a load test')}"
        return
    async with serve(Path(options["path"]), work, options["config"]) as server:
        yield f"http://{HOST}:{server.port}"


def _tell(line: str, _: Book) -> None:
    """Show how it goes, on one line of a terminal that is written again and again."""
    if sys.stderr.isatty():
        click.echo(f"{CLEAR_LINE}{line}", err=True, nl=False)
