"""`servelite check`: whether functions may be relied on, and why not."""

import asyncio
import json
import logging
import sys
from dataclasses import asdict
from pathlib import Path

import click

from servelite.cli.output import print_table
from servelite.core.errors import DefinitionError, ServeliteError
from servelite.core.likeness import TOLERANCE
from servelite.core.logs import log_handler
from servelite.runtime.folders import find_functions
from servelite.tools.check import Verdict, check


@click.command("check")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--tolerance", default=TOLERANCE, show_default=True, type=click.FloatRange(0, 1), help="What part of its size a float may be off."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check_command(paths: tuple[Path, ...], tolerance: float, as_json: bool) -> None:
    """Check functions: types, examples, time limit, batches, and the bars of their cards.

    Each runs in a worker process, whose log goes to stderr. Exits with 1 if a check fails.

    \b
    Example:
      servelite check functions/sentiment
      servelite check functions --json
    """
    logging.basicConfig(handlers=[log_handler(is_terminal=sys.stderr.isatty())], level=logging.WARNING)
    checked, broken = _check_all(find_functions(paths), tolerance)
    if as_json:
        told = [{"name": name, "checks": [asdict(one) for one in verdicts]} for name, verdicts in checked.items()]
        click.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        rows = [[name, one.check, one.result, one.says] for name, verdicts in checked.items() for one in verdicts]
        print_table(["function", "check", "result", "says"], rows)
    if broken:
        raise DefinitionError("\n".join(broken))
    if failed := [f"{name} ({', '.join(names)})" for name, verdicts in checked.items() if (names := _failed(verdicts))]:
        raise ServeliteError(f"{len(failed)} of {len(checked)} functions failed: {', '.join(failed)}.")


def _check_all(folders: dict[str, Path], tolerance: float) -> tuple[dict[str, list[Verdict]], list[str]]:
    """Check functions, and say what is wrong with those that can't be loaded."""
    checked, broken = {}, []
    for name, folder in folders.items():
        try:
            checked[name] = asyncio.run(check(folder, tolerance))
        except DefinitionError as error:
            broken.append(error.detail)
    return checked, broken


def _failed(verdicts: list[Verdict]) -> list[str]:
    return [one.check for one in verdicts if one.result == "failed"]
