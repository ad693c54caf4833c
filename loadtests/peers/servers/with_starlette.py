"""Starlette on uvicorn, as somebody writes it by hand who wants it fast: bytes in, bytes out, processes that share a port."""

import socket

import uvicorn
from pydantic import ValidationError
from shared_port import serve_in
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from work import PORT, Model, number, read, write


def application() -> Starlette:
    """Make the application of one process."""
    model = Model()

    async def answer(request: Request) -> Response:
        try:
            given = read(await request.body())
        except ValidationError as error:
            return Response(error.json(), status_code=422, media_type="application/json")
        (answered,) = model([given])
        return Response(write(answered), media_type="application/json")

    return Starlette(routes=[Route("/work", answer, methods=["POST"])])


def serve(listener: socket.socket) -> None:
    """Serve on a socket."""
    config = uvicorn.Config(application(), loop="uvloop", http="httptools", ws="none", lifespan="off", access_log=False, log_config=None)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    serve_in(number("PROCESSES", 2), PORT, serve)
