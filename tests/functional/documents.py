"""Runs the blocks of a Markdown document as a reader would, in a folder of their own.

The convention, by the word after the fence:

    sh, bash    each line is run; lines that begin with `make`, `git`, `cd` or `#` are skipped
    console     likewise the lines after `$ `; all others are output, and not looked at
    python      a block with `@function` becomes the handler.py of a function of the handler's name, one that begins with
                `# functions/NAME/handler.py` that file; the first example is called where there are examples, else it is
                shown; any other block is run as a script
    anything    else (text, json, toml, py) is read only

A block has a fresh folder with a copy of `functions/` and an empty ledger. A line that begins with `servelite run`
is started behind the others, waited for, and ended with its block or by the next such line; it gets a free port, which stands
in later lines instead of 8080. A trailing `\\` continues a line.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.server import Server

ROOT = Path(__file__).parents[2]
RUN_WITHIN_S = 60
BUILT_BYTES = 5_000_000
SKIPPED = ("make", "git", "cd", "#")
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A fenced block: its place (`README.md:12`), language and text."""

    place: str
    language: str
    text: str


def blocks(text: str, name: str) -> Iterator[Block]:
    """Yield the fenced blocks of a document."""
    for found in FENCE.finditer(text):
        yield Block(f"{name}:{text.count(chr(10), 0, found.start()) + 1}", found["language"], found["text"])


def commands(block: Block) -> list[str]:
    """Return the lines of a block that a reader would type and this runner runs."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line.strip() for line in lines if line.strip() and not line.split()[0].startswith(SKIPPED)]


def run(block: Block, folder: Path) -> str:
    """Run a block in a folder and return what it printed; AssertionError where a line fails."""
    shutil.copytree(ROOT / "functions", folder / "functions", ignore=_not_committed)
    if block.language == "python":
        return _run_python(block, folder)
    printed = []
    with ExitStack() as servers:
        port = 8080
        for line in commands(block):
            if line.startswith("servelite run "):
                servers.close()
                port = servers.enter_context(_serving(line, folder)).port
            else:
                printed.append(_run_line(line.replace(":8080", f":{port}"), folder, block))
    return "".join(printed)


def _not_committed(folder: str, names: list[str]) -> list[str]:
    """Name what a fresh checkout has not: caches, environments, and models that are built."""
    return [name for name in names if name in ("__pycache__", ".venv") or Path(folder, name).stat().st_size >= BUILT_BYTES]


def _run_python(block: Block, folder: Path) -> str:
    named = re.match(r"# functions/(\w+)/handler\.py\n", block.text)
    handler = named or re.search(r"^@function\b.*?^def (\w+)\(", block.text, re.MULTILINE | re.DOTALL)
    if handler is None:
        (folder / "block.py").write_text(block.text, encoding="utf-8")
        return _run_line(f"{shlex.quote(sys.executable)} -W error block.py", folder, block)
    function = folder / "functions" / handler[1]
    function.mkdir(exist_ok=True)
    (function / "handler.py").write_text(block.text, encoding="utf-8")
    does = "call" if (function / "examples.jsonl").is_file() else "show"
    return _run_line(f"servelite {does} functions/{handler[1]}", folder, block)


def _run_line(line: str, folder: Path, block: Block) -> str:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-e", "-c", line],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, f"{block.place}: {line}\n{done.stdout}{done.stderr}"
    assert "application/problem+json" not in done.stdout
    assert '"request_id"' not in done.stdout, f"{block.place}: {line}\n{done.stdout}"  # curl is content with an error
    return done.stdout


@contextmanager
def _serving(line: str, folder: Path) -> Iterator[Server]:
    """Start a `servelite run …` line; its own port gives way to a free one."""
    arguments = re.sub(r"--port[ =]\d+", "", line.partition("#")[0].rstrip("& ")).split()[2:]
    server = Server(*arguments, cwd=folder)
    try:
        yield server.wait_ready()
        assert server.stop() == 0, server.errors()
    finally:
        server.kill()
