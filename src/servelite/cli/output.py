"""Tables, charts and texts on the terminal, once or again and again; rich has its room here."""

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    Block = RenderableType
    """A text, a table or a chart."""

    Page = Sequence[Block]
    """Blocks, one below the other."""

STDOUT, STDERR = 1, 2

PLAIN_WIDTH = 10_000
"""Off a terminal a table is as wide as its content: one row a line, for those who pipe it."""

BAR_WIDTH = 50

SMALLEST_BAR = 1 / 100
"""What is there at all is seen, however small it is beside the largest."""

REFRESH_S = 1.0
"""How often what is watched is looked at."""


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
    print_page([table(columns, rows, numbers)])


def table(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[str] = ()) -> "Table":
    """Make a table, the columns in `numbers` aligned right and never broken."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        is_number = column in numbers
        made.add_column(column, justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def chart(columns: Sequence[str], rows: Sequence[tuple[str, str, int]]) -> "Block":
    """Make a bar chart that lies on its side: a line a row, with its name, its number as text, and a bar of its size."""
    from rich.bar import Bar

    made = table([*columns, ""], [], columns[1:])
    made.columns[0].no_wrap = True
    made.columns[-1].max_width = BAR_WIDTH
    most = max((size for _, _, size in rows), default=0)
    for name, number, size in rows:
        made.add_row(name, number, Bar(most, 0, max(size, most * SMALLEST_BAR) if size else 0, color="cyan"))
    return made


def print_page(page: "Page") -> None:
    """Print texts, tables and charts."""
    console = _console()
    if console.is_terminal:
        console.print(*page, sep="\n")
    else:
        click.echo(_plain(page))


def watch(make_page: "Callable[[], Page]") -> None:
    """Show a page again each second until Ctrl-C; off a terminal, print it again when it has changed."""
    console = _console()
    can_move = console.is_terminal and not console.is_dumb_terminal
    with contextlib.suppress(KeyboardInterrupt):
        (_watch_live if can_move else _watch_plain)(make_page)


def _watch_live(make_page: "Callable[[], Page]") -> None:
    from rich.console import Group
    from rich.live import Live

    with Live(console=_console(), auto_refresh=False) as live:
        while True:
            note = f"\n{time.strftime('%H:%M:%S', time.gmtime())} UTC; Ctrl-C ends."
            live.update(Group(*make_page(), note), refresh=True)
            time.sleep(REFRESH_S)


def _watch_plain(make_page: "Callable[[], Page]") -> None:
    shown = ""
    while True:
        if (seen := _plain(make_page())) != shown:
            click.echo(f"\n{seen}" if shown else seen)
            shown = seen
        time.sleep(REFRESH_S)


def _console(width: int | None = None) -> "Console":
    from rich.console import Console

    return Console(highlight=False, markup=False, emoji=False, width=width)


def _plain(page: "Page") -> str:
    """Return a page as text without colours, and without blanks at the ends of its lines."""
    console = _console(PLAIN_WIDTH)
    with console.capture() as captured:
        console.print(*page, sep="\n")
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
