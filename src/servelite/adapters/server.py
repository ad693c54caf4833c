"""The gateway's process: a listening socket, the engine, the web server, and an orderly end."""

import asyncio
import errno
import gc
import signal
import socket
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from servelite.core.errors import DefinitionError
from servelite.runtime.engine import Engine
from servelite.runtime.reloading import reload_edited

if TYPE_CHECKING:
    from servelite.adapters.asgi import App
    from servelite.adapters.guard import Guard
    from servelite.adapters.web import WebServer

GRACE_S = 5.0
"""Seconds beyond the largest `timeout_s` that calls have to end after SIGINT or SIGTERM: those that still wait in a queue."""


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


def serve(
    engine: Engine, guard: "Guard", listener: socket.socket, ready: Callable[[], None], watched: Mapping[str, Path] | None = None
) -> None:
    """Serve an engine to those whom the guard lets in, until SIGINT or SIGTERM.

    Args:
        engine: answers the calls; it is started and stopped here.
        guard: refuses requests.
        listener: the bound socket.
        ready: called once calls are answered.
        watched: folders of functions, by name, that are served anew when they are edited.

    Raises:
        DefinitionError: no function can be loaded.
    """
    uvloop.run(_serve(engine, guard, listener, ready, watched or {}))


async def _serve(engine: Engine, guard: "Guard", listener: socket.socket, ready: Callable[[], None], watched: Mapping[str, Path]) -> None:
    signalled = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signalled.set)
    server: WebServer | None = None
    try:
        if application := await _start(engine, guard, signalled):
            _settle_garbage()
            server = await _listen(application, engine, guard, listener)
            reloading = asyncio.create_task(reload_edited(engine, watched)) if watched else None
            await asyncio.sleep(0)  # the first edit may follow the word that it serves at once
            ready()
            await signalled.wait()
            if reloading is not None:
                reloading.cancel()
            await _drain(engine, signalled)
    finally:
        await engine.stop()
        if server is not None:
            await server.close()


async def _start(engine: Engine, guard: "Guard", signalled: asyncio.Event) -> "App | None":
    """Start the workers, and make the application meanwhile; return None where a signal came before they were ready."""
    starting, stopping = asyncio.create_task(engine.start(is_lenient=True)), asyncio.create_task(signalled.wait())
    application = await asyncio.to_thread(_application, engine, guard)
    await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if starting.done():
        starting.result()
        return application
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    return None


async def _drain(engine: Engine, signalled: asyncio.Event) -> None:
    """Let running calls end: within the largest time limit and GRACE_S, and not beyond a second signal."""
    signalled.clear()
    ends = {asyncio.create_task(engine.drain()), asyncio.create_task(signalled.wait())}
    await asyncio.wait(ends, timeout=engine.longest_s + GRACE_S, return_when=asyncio.FIRST_COMPLETED)
    for end in ends:
        end.cancel()


def _settle_garbage() -> None:
    """Keep what was made at the start out of every later collection, and collect less often: a call leaves no cycles."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _application(engine: Engine, guard: "Guard") -> "App":
    from servelite.adapters.gateway import gateway

    return gateway(engine, guard)


async def _listen(application: "App", engine: Engine, guard: "Guard", listener: socket.socket) -> "WebServer":
    from servelite.adapters.native import begin_call
    from servelite.adapters.web import WebServer

    server = WebServer(application, engine.new_id, partial(begin_call, engine, guard))
    try:
        await server.start(listener)
    except OSError as error:  # another process bound the same port between our bind and our listen
        host, port = listener.getsockname()[:2]
        raise DefinitionError(_why(host, port, error)) from error
    return server


def _why(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"Port {port} on {host} is in use. Stop what listens there, or choose another: --port {port + 1}"
    if error.errno == errno.EACCES:
        return f"Port {port} on {host} is not allowed to this user. Choose one from 1024: --port 8080"
    return f"Can't listen on {host}, port {port}: {error.strerror}. Choose others with --host and --port."
