"""The `servelite` command: its subcommands, loaded only when they are used, and how errors end it."""

import importlib
import os
import sys
import traceback
from typing import Any

import click

from servelite.core.errors import DefinitionError, ServeliteError

COMMANDS = {
    "new": "Make a working function folder.",
    "run": "Serve functions over HTTP.",
    "call": "Call a function once, without a server.",
    "list": "List functions with their limits.",
    "show": "Show a function's schema, card and artefacts.",
    "check": "Check functions: types, examples, batches, the card's bars.",
    "install": "Give functions the packages they require.",
    "package": "Make a zip or image of functions for AWS Lambda.",
    "deploy": "Package functions and deploy them to AWS Lambda.",
    "plan": "Say what a function would cost a month, on Lambda and on servers.",
    "usage": "Sum what calls used and what it costs.",
    "keys": "Make, list and revoke API keys of accounts.",
    "emulate": "Send a function events as on AWS Lambda.",
    "loadtest": "Call functions as many callers would, and hold them to an SLO.",
    "torture": "Break a function on purpose, and see what the server promises.",
}
"""Each command, a sentence on it; the room it lives in is `ROOMS`."""

ROOMS = {name: name for name in COMMANDS} | {"list": "show"}


class _Commands(click.Group):
    """Imports a command's room only when the command is used: `servelite call` has no time for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in ROOMS:
            return None
        command: click.Command = getattr(importlib.import_module(f"servelite.cli.{ROOMS[cmd_name]}"), f"{cmd_name}_command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ServeliteError as error:
            _end(error, with_traceback=ctx.params["debug"])
        except OSError as error:
            if not isinstance(error, BrokenPipeError):
                place = f"{error.filename}: " if error.filename else ""
                click.echo(f"servelite: {place}{error.strerror or error}.", err=True)
                sys.exit(1)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else the end fails on what is unwritten
            sys.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="servelite", message="servelite %(version)s")
def cli(debug: bool) -> None:
    """Serve models as metered functions.

    \b
    Example:
      servelite new hello
      servelite run hello
      servelite call hello '{"name": "Ada"}'
    """


def _end(error: ServeliteError, *, with_traceback: bool) -> None:
    """Print an error; exit with 2 for a wrong definition or usage, with 1 for a call that failed."""
    if with_traceback:
        traceback.print_exception(error)
    click.echo(f"servelite: {error.detail}", err=True)
    sys.exit(2 if isinstance(error, DefinitionError) else 1)
