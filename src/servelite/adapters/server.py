"""The gateway's process: a listening socket, the engine, the web server, and an orderly end."""

import asyncio
import errno
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

import uvloop

from servelite.core.errors import DefinitionError
from servelite.runtime.engine import Engine

if TYPE_CHECKING:
    from servelite.adapters.web import WebServer

BACKLOG = 2048
"""Connections the kernel holds while the gateway is busy; uvicorn's own default."""


def bind(host: str, port: int) -> socket.socket:
    """Take a port, 0 for any free one; DefinitionError where it is in use or not ours to take."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise DefinitionError(_why(host, port, error)) from error
    return listener


def serve(engine: Engine, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve an engine until SIGINT or SIGTERM; `ready` is called once calls are answered.

    Raises:
        DefinitionError: a function can't be loaded.
        WorkerDied: a worker ended while it loaded its function.
    """
    uvloop.run(_serve(engine, listener, ready))


async def _serve(engine: Engine, listener: socket.socket, ready: Callable[[], None]) -> None:
    starting = asyncio.create_task(engine.start())
    server: WebServer | None = None

    def stop() -> None:
        if server is None:
            starting.cancel()
        else:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        made = await asyncio.to_thread(_web_server, engine)
        await starting
        server = made
        listener.listen(BACKLOG)  # from here on clients may connect, so `ready` tells the truth
        ready()
        await server.serve(sockets=[listener])
    except asyncio.CancelledError:
        pass  # a signal came before the workers were ready
    finally:
        await engine.stop()


def _web_server(engine: Engine) -> "WebServer":
    """Import the web server, in a thread, while the workers start."""
    from servelite.adapters.web import web_server

    return web_server(engine)


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. Stop what listens there, or choose another: --port {port + 1}"
    if error.errno == errno.EACCES:
        return f"Port {port} on {host} is not allowed to this user. Choose one from 1024: --port 8080"
    return f"Can't listen on {host}, port {port}: {error.strerror}. Choose others with --host and --port."
