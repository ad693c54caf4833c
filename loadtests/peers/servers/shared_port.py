"""Several processes on one port, a listening socket each (SO_REUSEPORT): the kernel spreads connections over them evenly."""

import multiprocessing
import signal
import socket
import sys
from collections.abc import Callable

BACKLOG = 2048


def serve_in(processes: int, port: int, serve: Callable[[socket.socket], None]) -> None:
    """Run `serve` in some processes, until SIGTERM."""
    all_ = [multiprocessing.Process(target=_serve, args=(port, serve)) for _ in range(processes)]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        for process in all_:
            process.start()
        for process in all_:
            process.join()
    finally:
        for process in all_:
            process.terminate()


def _serve(port: int, serve: Callable[[socket.socket], None]) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(BACKLOG)
        serve(listener)
