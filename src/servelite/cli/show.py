"""`servelite list` and `servelite show`: what there is to know of functions, without serving them."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import click

from servelite.cli.loading import Loaded, load_functions
from servelite.cli.output import print_pieces, print_table, print_text
from servelite.core.drawing import draw
from servelite.core.function import Description
from servelite.core.outline import outline
from servelite.runtime.folders import find_function, find_functions
from servelite.tools.drawing.mermaid import mermaid
from servelite.tools.drawing.rails import rails
from servelite.tools.drawing.svg import svg

NOT_ARTEFACTS = {"handler.py", "examples.jsonl", "card.toml", "requirements.txt"}


@click.command("list")
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_command(path: Path | None, as_json: bool) -> None:
    """List the functions of a folder with their limits, pipelines among them; by default of ./functions, or of this folder.

    \b
    Example:
      servelite list
      servelite list functions --json
    """
    default = Path("functions") if Path("functions").is_dir() else Path()
    folders = find_functions([path or default])
    loaded = load_functions(list(folders.values()))
    functions = [loaded.known[name] for name in folders if name in loaded.known]
    if as_json:
        click.echo(json.dumps([_listed(one) for one in functions], indent=2))
    else:
        columns = ["function", "kind", "max_batch", "timeout_s", "memory_mib", "max_workers", "idle_s", "summary"]
        print_table(columns, [_limits_row(one) for one in functions])
    if loaded.broken:
        raise loaded.error()


@click.command("show")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--mermaid", "as_mermaid", is_flag=True, help="Print a pipeline's drawing as a Mermaid flowchart.")
@click.option("--svg", "picture", type=click.File("w", encoding="utf-8", lazy=True), help="Write a pipeline's drawing as SVG; - is stdout.")
@click.option("--deep", is_flag=True, help="Draw the stages of pipelines in the pipeline too.")
def show_command(path: Path, as_json: bool, as_mermaid: bool, picture: IO[str] | None, deep: bool) -> None:
    """Show a function: its limits, JSON Schemas, card, and its artefacts with their sha256; a pipeline is drawn.

    \b
    Example:
      servelite show functions/sentiment
      servelite show functions/read_review --svg read_review.svg
    """
    if as_json + as_mermaid + bool(picture) > 1:
        raise click.UsageError("Choose one of --json, --mermaid and --svg.")
    folder = find_function(path)
    name = folder.resolve().name
    loaded = load_functions([folder])
    if name not in loaded.known:
        raise loaded.broken[name]
    if picture:
        picture.write(svg(draw(name, outline(name, loaded.known, is_deep=deep))))
    elif as_mermaid:
        click.echo(mermaid(draw(name, outline(name, loaded.known, is_deep=deep))), nl=False)
    elif as_json:
        click.echo(json.dumps({**loaded.known[name].to_dict(), "artefacts": list(_artefacts(folder))}, indent=2))
    else:
        _print_function(name, loaded, list(_artefacts(folder)), is_deep=deep)
    if loaded.broken:
        raise loaded.error()


def _kind(function: Description) -> str:
    return "pipeline" if function.pipeline else "function"


def _listed(function: Description) -> dict[str, Any]:
    return {"name": function.name, "kind": _kind(function), "summary": function.summary, **function.to_dict()["limits"]}


def _limits_row(function: Description) -> list[str]:
    limits = function.limits
    workers = "cores" if limits.max_workers is None else str(limits.max_workers)
    return [
        function.name,
        _kind(function),
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


def _print_function(name: str, loaded: Loaded, artefacts: list[dict[str, Any]], *, is_deep: bool) -> None:
    function = loaded.known[name]
    print_text(f"{name}: {function.summary}")
    if function.pipeline:
        print_pieces(rails(outline(name, loaded.known, is_deep=is_deep)))
    print_table(["limit", "value"], [[name, str(value)] for name, value in function.to_dict()["limits"].items() if value is not None])
    if not loaded.broken:  # else it is not known
        print_text(f"Takes {' or '.join(function.takes)}:\n{json.dumps(function.input_schema, indent=2)}")
        print_text(f"Gives {function.gives}:\n{json.dumps(function.output_schema, indent=2)}")
    if function.card:
        print_text(f"Card:\n{json.dumps(function.card, indent=2, default=str)}")
    if artefacts:
        print_table(["artefact", "bytes", "sha256"], [[one["name"], f"{one['bytes']:,}", one["sha256"]] for one in artefacts])
