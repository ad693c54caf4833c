"""Tables and texts on the terminal; rich has its room here."""

import contextlib
import io
import os
import sys
from collections.abc import Iterable, Iterator, Sequence

import click

STDOUT, STDERR = 1, 2


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what is printed meanwhile to stderr, by this process and by those that it starts."""
    sys.stdout.flush()
    stdout = os.dup(STDOUT)
    os.dup2(STDERR, STDOUT)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(stdout, STDOUT)
        os.close(stdout)


def print_text(text: str) -> None:
    """Print a paragraph and an empty line."""
    click.echo(f"{text}\n")


def print_pieces(lines: Iterable[Sequence[tuple[str, str]]]) -> None:
    """Print lines made of pieces, each a text with its style, and an empty line; off a terminal without the styles."""
    from rich.console import Console
    from rich.text import Text

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal may know no such letters
    console = Console(highlight=False, markup=False)
    for line in lines:
        console.print(Text.assemble(*line), soft_wrap=True)
    console.print()


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> None:
    """Print a table, the columns in `numbers` aligned right; off a terminal it is as wide as its content."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in numbers else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=10_000)  # one row a line, for those who pipe it
    console.print(table)
