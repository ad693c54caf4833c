"""`servelite --help`: every command says what it does, and shows an example that is right."""

import re
import shlex
from pathlib import Path

import click
import pytest

from servelite.cli.main import COMMANDS, cli
from tests.cli.command import servelite_here as servelite


def test_the_help_lists_every_command(tmp_path: Path) -> None:
    done = servelite("--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for name, does in COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(does)}$", done.stdout, re.MULTILINE)


@pytest.mark.parametrize("name", [*COMMANDS, "keys create", "keys list", "keys revoke"])
def test_the_help_of_a_command_shows_an_example(tmp_path: Path, name: str) -> None:
    done = servelite(*name.split(), "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert "Example:" in done.stdout
    examples = re.findall(r"^ +(servelite .*)$", done.stdout.partition("Example:")[2], re.MULTILINE)
    assert examples
    for example in examples:
        parse(shlex.split(example)[1:])


def parse(arguments: list[str]) -> None:
    """Parse a command line without running it; click.UsageError if it is wrong."""
    with cli.make_context("servelite", list(arguments)) as context:
        name, command, rest = cli.resolve_command(context, arguments)
        if isinstance(command, click.Group):
            with command.make_context(name, list(rest), parent=context) as inner:
                name, command, rest = command.resolve_command(inner, rest)
        assert command is not None
        command.make_context(name, rest, parent=context).close()


@pytest.mark.parametrize("line", ["usage --nonsense", "keys nonsense", "keys list --nonsense", "keys create"])
def test_the_parser_of_examples_can_refuse(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line.split())


def test_an_unknown_command_is_wrong_usage(tmp_path: Path) -> None:
    done = servelite("serve", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "No such command 'serve'" in done.stderr


def test_it_says_its_version(tmp_path: Path) -> None:
    assert re.fullmatch(r"servelite \d+\.\d+\.\d+\n", servelite("--version", cwd=tmp_path).stdout)


def test_a_reader_that_stops_reading_is_no_crash(tmp_path: Path) -> None:
    """Like `servelite show … | head -1`: the pipe closes before all is written."""
    import subprocess
    import sys

    functions = Path(__file__).parents[1] / "functional" / "functions"
    command = f"{shlex.quote(sys.executable)} -m servelite show {shlex.quote(str(functions / 'order'))} --json | head -c 1"
    done = subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" not in done.stderr
