"""`servelite install`: give functions the environments that their requirements.txt asks for."""

import shlex
import sys
from pathlib import Path

import click

from servelite.runtime.folders import find_functions
from servelite.tools.install import Plan, install, plan


@click.command("install")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Make the environment anew even if it fits.")
@click.option("--dry-run", is_flag=True, help="Print what would be done, and do nothing.")
def install_command(paths: tuple[Path, ...], force: bool, dry_run: bool) -> None:
    """Install a function's requirements.txt into an environment of its own, FOLDER/.venv.

    The function's workers run in it, and see the packages that servelite brings behind its own.

    \b
    Example:
      servelite install functions/sentiment
      servelite install functions --dry-run
    """
    plans = [plan(folder, force=force) for folder in find_functions(paths).values()]  # all, before anything is done
    for one in plans:
        click.echo(_summary(one))
        if dry_run:
            _print_commands(one)
        elif one.commands:
            install(one, say=_progress)
            click.echo(f"{one.environment.folder}: installed.")


def _summary(one: Plan) -> str:
    does = f"make {one.environment.path}" if one.commands else "nothing to do"
    return f"{one.environment.folder}: {does}, because {one.why}."


def _print_commands(one: Plan) -> None:
    if one.commands:
        click.echo(f"  cd {shlex.quote(str(one.environment.folder))}")
        click.echo("\n".join(f"  {shlex.join(command)}" for command in one.commands))
        click.echo(f"  # behind its own packages it sees those in {one.stamp['behind']}")


def _progress(line: str) -> None:
    """Show what pip does to whoever watches; errors repeat what matters of it."""
    if sys.stderr.isatty() and not line.startswith("Requirement already satisfied"):
        click.echo(f"  {line}", err=True)
