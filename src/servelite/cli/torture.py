"""`servelite torture`: break a function on purpose, and see whether the server keeps its promises."""

import asyncio
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from servelite.assembly.environment import own_key
from servelite.cli.call import read_input
from servelite.cli.output import print_table, print_text
from servelite.tools.servers import local_port
from servelite.tools.torture.stage import Stage
from servelite.tools.torture.target import find_target
from servelite.tools.torture.trials import TRIALS, Trial, hold
from servelite.tools.torture.verdict import Verdict

LOAD_S, QUICK_LOAD_S = 5.0, 2.0


@click.command("torture")
@click.argument("path")
@click.option(
    "--only", "names", multiple=True, type=click.Choice([trial.name for trial in TRIALS]), help="Hold this trial; may be repeated."
)
@click.option("--input", "input_", metavar="INPUT", help="A good input, or @FILE; by default the first example.")
@click.option("--url", help="Torture a server that runs on this machine, as far as that needs no faults in the function.")
@click.option("--quick", is_flag=True, help="Shorter loads, and no waiting for slow clients to be cut off.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def torture_command(path: str, names: tuple[str, ...], input_: str | None, url: str | None, quick: bool, as_json: bool) -> None:
    """Hang, crash, leak, overload, kill: serve a copy of the function, and see whether each promise is kept.

    The copy has short limits and does on order what no handler should; the folder itself stays as it is. With
    --url PATH is the function's name, or its folder, and the key in SERVELITE_KEY is sent. Exit code 1
    says that a promise was broken.

    \b
    Example:
      servelite torture functions/sentiment
      servelite torture functions/sentiment --only segfault --only overload
      servelite torture sentiment --url http://127.0.0.1:8080
    """
    body, _ = read_input(input_)
    trials = [trial for trial in TRIALS if not names or trial.name in names]
    if url is None:
        note, verdicts = asyncio.run(_torture_copy(Path(path), body, trials, quick))
    else:
        note, verdicts = asyncio.run(_torture_server(local_port(url, "torture"), Path(path).resolve().name, body, trials, quick))
    _print(note, verdicts, as_json)
    if any(verdict.result == "fail" for verdict in verdicts):
        click.get_current_context().exit(1)


async def _torture_copy(folder: Path, body: bytes | None, trials: list[Trial], quick: bool) -> tuple[str, list[Verdict]]:
    with tempfile.TemporaryDirectory(prefix="servelite-torture-") as root:
        stage = Stage(folder, Path(root), body, QUICK_LOAD_S if quick else LOAD_S)
        await stage.look()
        return stage.note, await hold(trials, stage, is_quick=quick, tell=_tell)


async def _torture_server(port: int, name: str, body: bytes | None, trials: list[Trial], quick: bool) -> tuple[str, list[Verdict]]:
    target = await find_target(port, name, body, own_key() or "")
    return f"{name} on port {port}, without faults.", await hold(trials, target, is_quick=quick, tell=_tell)


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        click.echo(line, err=True)


def _print(note: str, verdicts: list[Verdict], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([asdict(verdict) for verdict in verdicts], indent=2, ensure_ascii=False))
        return
    print_text(note)
    columns = ["trial", "promise", "expected", "seen", "result", "figure"]
    print_table(columns, [[one.trial, one.promise, one.expected, one.seen, one.result.upper(), one.figure] for one in verdicts], ["figure"])
    counts = {result: sum(one.result == result for one in verdicts) for result in ("pass", "fail", "skip")}
    click.echo(f"\n{counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped.")
