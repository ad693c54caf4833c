"""The gateway's process: a listening socket, the engine, uvicorn, and an orderly end."""

import asyncio
import errno
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
import uvloop

from servelite.adapters.gateway import App, gateway
from servelite.core.errors import DefinitionError
from servelite.runtime.engine import Engine

BACKLOG = 2048
"""Connections the kernel holds while the gateway is busy; uvicorn's own default."""

GRACE_S = 30
"""Seconds that running calls have to end after SIGINT or SIGTERM; the default of `timeout_s`."""


def bind(host: str, port: int) -> socket.socket:
    """Take a port, 0 for any free one; DefinitionError where it is in use or not ours to take."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except (OSError, OverflowError) as error:
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
    server: uvicorn.Server | None = None

    def stop() -> None:
        if server is None:
            starting.cancel()
        else:
            server.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        application = await asyncio.to_thread(_application, engine)  # imported while the workers start
        await starting
        server = _Server(application)
        ready()
        await server.serve(sockets=[listener])
    except asyncio.CancelledError:
        pass  # a signal came before the workers were ready
    finally:
        await engine.stop()


def _application(engine: Engine) -> "App":
    from servelite.adapters.gateway import gateway

    return gateway(engine)


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: it would end this process by the signal it caught, not with exit code 0."""

    def __init__(self, application: "App") -> None:
        super().__init__(
            uvicorn.Config(
                application,  # type: ignore[arg-type]  uvicorn spells out every message's type, ours are plain mappings
                http="httptools",
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                backlog=BACKLOG,
                timeout_graceful_shutdown=GRACE_S,
            )
        )

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _why(host: str, port: int, error: OSError | OverflowError) -> str:
    number = getattr(error, "errno", None)
    if number == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. Stop what listens there, or choose another: --port {port + 1}"
    if number == errno.EACCES:
        return f"Port {port} on {host} is not allowed to this user. Choose one from 1024: --port 8080"
    return f"Can't listen on {host}, port {port}: {getattr(error, 'strerror', None) or error}. Choose others with --host and --port."
