"""The keeper: a process beside the gateway that moves a ledger's journals into its tables, so that no call waits for it.

`python -m servelite.stores.keeper LEDGER`; it ends when its stdin does, with the gateway or before it.
A thread would take the interpreter's lock from the event loop, a tenth of the gateway's time under load.
"""

import logging
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

from servelite.core.errors import LedgerUnavailable
from servelite.core.logs import log_handler
from servelite.stores.ledger_file import LedgerFile

MOVE_EVERY_S = 0.25
"""Rows of this span share one transaction; for so long a row may stand in the journal only, longer on a machine without idle time."""

PAUSE_S = 5.0
"""How long a ledger that refused is left alone."""

logger = logging.getLogger("servelite.ledger")


def start_keeper(ledger: Path) -> subprocess.Popen[bytes]:
    """Start a keeper; closing its stdin ends it after a last move.

    It stays in the gateway's session: Linux weighs sessions against each other first, whatever their processes' priorities.
    """
    command = [sys.executable, "-P", "-m", "servelite.stores.keeper", str(ledger)]
    return subprocess.Popen(command, stdin=subprocess.PIPE)


def main(ledger: Path) -> None:
    """Move journals until stdin ends, and once more then."""
    logging.basicConfig(handlers=[log_handler(is_terminal=sys.stderr.isatty())])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the gateway, which ends its keeper
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # calls go first; rows are safe in the journal
    is_ending = False
    while not is_ending:
        try:
            with LedgerFile(ledger) as file:
                while not is_ending and file.is_in_place():
                    is_ending = _stdin_ends_within(MOVE_EVERY_S)
                    if file.is_in_place():
                        file.move_journals()
        except (OSError, LedgerUnavailable) as error:
            logger.warning("rows stay in the journal for now: %s", error)
            is_ending = is_ending or _stdin_ends_within(PAUSE_S)


def _stdin_ends_within(seconds: float) -> bool:
    ended, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(ended)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
