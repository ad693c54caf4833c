"""`servelite list` and `servelite show`: what there is to know of functions, without serving them."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from servelite.assembly import gateway_engine, inline_engine
from servelite.cli.output import print_table, print_text, stdout_to_stderr
from servelite.core.errors import DefinitionError, ServeliteError
from servelite.core.function import Description
from servelite.runtime.environments import runs_elsewhere
from servelite.runtime.folders import find_function, find_functions

NOT_ARTEFACTS = {"handler.py", "examples.jsonl", "card.toml", "requirements.txt"}


@click.command("list")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(path: Path | None, as_json: bool) -> None:
    """List the functions of a folder with their limits; by default of ./functions, or of this folder.

    \b
    Example:
      servelite list
      servelite list functions --json
    """
    default = Path("functions") if Path("functions").is_dir() else Path()
    functions, broken = _describe_all(find_functions([path or default]))
    if as_json:
        click.echo(json.dumps([{"name": one.name, "summary": one.summary, **one.to_dict()["limits"]} for one in functions], indent=2))
    else:
        columns = ["function", "max_batch", "timeout_s", "memory_mib", "max_workers", "idle_s", "summary"]
        print_table(columns, [_limits_row(one) for one in functions])
    if broken:
        raise DefinitionError("\n".join(broken))


@click.command("show")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show_command(path: Path, as_json: bool) -> None:
    """Show a function: its limits, JSON Schemas, card, and its artefacts with their sha256.

    \b
    Example:
      servelite show functions/sentiment
    """
    folder = find_function(path)
    function = asyncio.run(_describe(folder))
    artefacts = list(_artefacts(folder))
    if as_json:
        click.echo(json.dumps({**function.to_dict(), "artefacts": artefacts}, indent=2))
    else:
        _print_function(function, artefacts)


def _describe_all(folders: dict[str, Path]) -> tuple[list[Description], list[str]]:
    """Describe functions, and say what is wrong with those that can't be loaded."""
    functions, broken = [], []
    for folder in folders.values():
        try:
            functions.append(asyncio.run(_describe(folder)))
        except ServeliteError as error:
            broken.append(error.detail)
    return functions, broken


async def _describe(folder: Path) -> Description:
    """Load a function here, or in a worker where it has an environment of its own."""
    engine = gateway_engine([folder], ledger="none") if runs_elsewhere(folder) else inline_engine(folder, ledger="none")
    try:
        with stdout_to_stderr():  # what a handler.py prints is not what was asked for
            await engine.start()
        return engine.describe(next(iter(engine.pools)))
    finally:
        await engine.stop()


def _limits_row(function: Description) -> list[str]:
    limits = function.limits
    workers = "cores" if limits.max_workers is None else str(limits.max_workers)
    return [
        function.name,
        str(limits.max_batch),
        f"{limits.timeout_s:g}",
        str(limits.memory_mib),
        workers,
        f"{limits.idle_s:g}",
        function.summary,
    ]


def _artefacts(folder: Path) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.name not in NOT_ARTEFACTS and file.suffix not in {".py", ".pyc"}:
            with file.open("rb") as content:
                yield {"name": file.name, "bytes": file.stat().st_size, "sha256": hashlib.file_digest(content, "sha256").hexdigest()}


def _print_function(function: Description, artefacts: list[dict[str, Any]]) -> None:
    print_text(f"{function.name}: {function.summary}")
    print_table(["limit", "value"], [[name, str(value)] for name, value in function.to_dict()["limits"].items() if value is not None])
    print_text(f"Takes {' or '.join(function.takes)}:\n{json.dumps(function.input_schema, indent=2)}")
    print_text(f"Gives {function.gives}:\n{json.dumps(function.output_schema, indent=2)}")
    if function.card:
        print_text(f"Card:\n{json.dumps(function.card, indent=2, default=str)}")
    if artefacts:
        print_table(["artefact", "bytes", "sha256"], [[one["name"], f"{one['bytes']:,}", one["sha256"]] for one in artefacts])
