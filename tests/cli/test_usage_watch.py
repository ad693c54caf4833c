"""`servelite usage --watch`: again when something has changed, until Ctrl-C; on a terminal in its place."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from servelite.stores.address import address
from servelite.stores.ledger import JournaledLedger
from tests.server import until
from tests.stores.rows import row

COMMAND = [sys.executable, "-m", "servelite", "usage", "--watch"]
ENDS_WITHIN_S = 30


def make_call(folder: Path, function: str) -> None:
    """Record a call of this moment."""
    ledger = JournaledLedger(address(f"{folder}/.servelite/ledger.db"))
    ledger.record([row(function=function, at_us=time.time_ns() // 1000)])
    ledger.close()


class Watched:
    """What a watching command has printed so far."""

    def __init__(self, process: "subprocess.Popen[bytes]", output: int) -> None:
        self.process = process
        self._output = output
        self._bytes = b""

    @property
    def text(self) -> str:
        while select.select([self._output], [], [], 0)[0] and (more := os.read(self._output, 65_536)):
            self._bytes += more
        return self._bytes.decode()

    def stop_reading(self) -> None:
        """Close our end of the pipe."""
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, self._output)
        os.close(nothing)

    def end(self) -> int:
        """Press Ctrl-C, and return the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(ENDS_WITHIN_S)


@contextmanager
def watching(folder: Path, *, on_terminal: bool = False) -> Iterator[Watched]:
    ours, theirs = pty.openpty() if on_terminal else os.pipe()
    environment = {**os.environ, "COLUMNS": "100", "LINES": "40", "TERM": "xterm"}
    process = subprocess.Popen(COMMAND, cwd=folder, stdin=subprocess.DEVNULL, stdout=theirs, env=environment)
    if not on_terminal:
        os.close(theirs)
    try:
        yield Watched(process, ours)
    finally:
        process.kill()
        process.wait()
        for end in (ours, theirs) if on_terminal else (ours,):
            os.close(end)


def test_off_a_terminal_it_prints_again_when_something_has_changed(tmp_path: Path) -> None:
    with watching(tmp_path) as watched:
        until(lambda: "No calls in the ledger" in watched.text)
        make_call(tmp_path, "first")
        until(lambda: watched.text.count("total") == 1)
        make_call(tmp_path, "second")
        until(lambda: watched.text.count("total") == 2)
        assert watched.end() == 0
        assert watched.text.count("No calls") == 1  # looks that saw the same printed nothing
        assert len(re.findall(r"^first ", watched.text, re.MULTILINE)) == 2
        assert len(re.findall(r"^second ", watched.text, re.MULTILINE)) == 1
        assert "\x1b" not in watched.text


def test_on_a_terminal_it_draws_over_what_it_showed(tmp_path: Path) -> None:
    make_call(tmp_path, "first")
    with watching(tmp_path, on_terminal=True) as watched:
        until(lambda: "Ctrl-C ends." in watched.text)
        make_call(tmp_path, "second")
        until(lambda: "second" in watched.text)
        assert watched.end() == 0
        assert re.search(r"\x1b\[\d*A", watched.text)  # the cursor went up
        assert watched.text.rindex("\x1b[?25h") > watched.text.rindex("second")  # and is shown again at the end


def test_it_ends_when_nobody_reads_any_more(tmp_path: Path) -> None:
    """Like `servelite usage --watch | head -1`."""
    with watching(tmp_path) as watched:
        until(lambda: "No calls" in watched.text)
        watched.stop_reading()
        make_call(tmp_path, "first")
        assert watched.process.wait(ENDS_WITHIN_S) == 1
