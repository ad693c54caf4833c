"""The keeper: a process beside the gateway that moves a ledger's journals into its tables, so that no call waits for it.

`python -m servelite.stores.keeper`; the first line of its stdin says which ledger, for its name may hold a password, and
how many days to keep. It ends when its stdin does, with the gateway or before it.
A thread would take the interpreter's lock from the event loop, a tenth of the gateway's time under load.
"""

import contextlib
import json
import logging
import os
import select
import signal
import subprocess
import sys
import time

from servelite.core.errors import LedgerUnavailable
from servelite.core.logs import log_handler
from servelite.stores.address import address
from servelite.stores.moving import move_journals

MOVE_EVERY_S = 0.25
"""Rows of this span share one transaction; for so long a row may stand in the journal only, longer on a machine without idle time."""

PAUSE_S = 5.0
"""How long a ledger that refused is left alone."""

TIDY_EVERY_S = 60.0
"""How often what has become old is let go."""

logger = logging.getLogger("servelite.ledger")


def start_keeper(url: str, keep_days: int) -> subprocess.Popen[bytes]:
    """Start a keeper; closing its stdin ends it after a last move.

    It stays in the gateway's session: Linux weighs sessions against each other first, whatever their processes' priorities.
    """
    command = [sys.executable, "-P", "-m", "servelite.stores.keeper"]
    heard = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])  # its own Python starts deaf to Ctrl-C, see `main`
    try:
        process = subprocess.Popen(command, stdin=subprocess.PIPE)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, heard)
    assert process.stdin is not None
    process.stdin.write(json.dumps({"url": url, "keep_days": keep_days}).encode() + b"\n")
    process.stdin.flush()
    return process


def main(url: str, keep_days: int) -> None:
    """Move journals until stdin ends, and once more then."""
    logging.basicConfig(handlers=[log_handler(is_terminal=sys.stderr.isatty())])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the gateway, which ends its keeper
    os.nice(19)  # calls go first, for rows are safe in the journal; but not SCHED_IDLE: others may wait for a lock that it holds
    place = address(url, keep_days)
    is_ending, tidied_s = False, -TIDY_EVERY_S
    while not is_ending:
        try:
            with contextlib.closing(place.tables()) as tables:
                while not is_ending and tables.is_in_place():
                    is_ending = _stdin_ends_within(MOVE_EVERY_S)
                    if tables.is_in_place():
                        move_journals(tables, place.journals)
                    if time.monotonic() - tidied_s > TIDY_EVERY_S and not tables.let_go(time.time_ns() // 1000, keep_days):
                        tidied_s = time.monotonic()
        except (OSError, LedgerUnavailable) as error:
            logger.warning("rows stay in the journal for now: %s", error)
            is_ending = is_ending or _stdin_ends_within(PAUSE_S)


def _stdin_ends_within(seconds: float) -> bool:
    ended, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(ended)


if __name__ == "__main__":
    main(**json.loads(sys.stdin.readline()))
