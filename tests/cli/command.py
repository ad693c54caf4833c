"""The `servelite` command: in a process of its own, as a user runs it, or in this one, which is faster."""

import contextlib
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from servelite.cli.main import cli

RUN_WITHIN_S = 60


def servelite(*arguments: str | Path, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return its output."""
    command = [sys.executable, "-m", "servelite", *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, timeout=RUN_WITHIN_S, check=False)
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def servelite_here(*arguments: str | Path, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """Run a command that runs no function in this process."""
    with contextlib.chdir(cwd):
        done = CliRunner().invoke(cli, list(map(str, arguments)), input=stdin, prog_name="servelite")
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)
