"""What *tiny* is measured against: the same work in a bare ASGI application, with no framework and no batches.

`python inprocess.py MODEL PORT uvicorn|own` is one process; two of them share a port by a listening socket each
(SO_REUSEPORT), which the kernel balances better than processes that accept from one socket. It prints a
line when it listens. The HTTP server is uvicorn, or servelite's own.
"""

import asyncio
import socket
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
import uvloop
from pydantic import BaseModel, Field

from servelite.adapters.asgi import App
from servelite.adapters.web import BACKLOG, WebServer

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Features(BaseModel):
    """As in functions/tiny."""

    features: list[float] = Field(min_length=64, max_length=64)


class Classes(BaseModel):
    """As in functions/tiny."""

    probabilities: list[float] = Field(min_length=10, max_length=10)


class InProcess:
    """Reads a body, validates, runs the model, answers."""

    def __init__(self, model: str) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(model, options)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        body = self._answer(await _read(receive))
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _answer(self, body: bytes) -> bytes:
        rows = np.array([Features.model_validate_json(body).features], dtype=np.float32)
        (probabilities,) = self._session.run(None, {"features": rows})
        return Classes(probabilities=probabilities[0].tolist()).model_dump_json().encode()


async def _read(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            return bytes(body)


def main(model: str, port: int, server: str) -> None:
    """Serve until SIGTERM, on `uvicorn` or on `own`, the HTTP server that servelite itself uses."""
    application = InProcess(model)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(BACKLOG)
        print("listening", flush=True)
        if server == "own":
            uvloop.run(_serve_on_own(application, listener))
        else:
            _serve_on_uvicorn(application, listener)


def _serve_on_uvicorn(application: Any, listener: socket.socket) -> None:
    config = uvicorn.Config(application, loop="uvloop", http="httptools", ws="none", lifespan="off", access_log=False, log_config=None)
    uvicorn.Server(config).run(sockets=[listener])


async def _serve_on_own(application: App, listener: socket.socket) -> None:
    await WebServer(application, new_id=lambda: "none").start(listener)
    await asyncio.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
