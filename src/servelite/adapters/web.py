"""uvicorn as servelite runs it: uvloop, httptools, no access log, and signals left to the gateway's process."""

from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from servelite.adapters.connection import Connection
from servelite.adapters.gateway import App, gateway
from servelite.runtime.engine import Engine

SEND_S = 5
"""Seconds that clients have to read their last answers, once the workers are gone."""


class WebServer(uvicorn.Server):
    """uvicorn without its signal handlers: it would end this process by the signal it caught, not with exit code 0."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to whoever runs this server."""
        yield


def web_server(engine: Engine) -> WebServer:
    """Make the server of an engine; it is stopped by setting `should_exit`."""
    application: App = gateway(engine)
    config = uvicorn.Config(
        application,
        http=Connection,
        ws="none",
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=SEND_S,
    )
    return WebServer(config)
