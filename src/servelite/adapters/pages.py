"""What people, tools and monitors read: the playground, the functions, OpenAPI, health and metrics."""

import json
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from servelite.adapters.openapi import openapi
from servelite.adapters.problems import MEDIA_TYPE, problem
from servelite.core.errors import DefinitionError, MethodNotAllowed, NotFound, ServeliteError, ServiceError, ShuttingDown, wire_code
from servelite.core.function import Description
from servelite.runtime.engine import Engine

PLAYGROUND_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; img-src 'self' data:"


def pages(engine: Engine) -> Starlette:
    """Make the application of all paths that are not a call."""

    async def playground(_: Request) -> Response:
        return Response(_playground(), media_type="text/html", headers={"Content-Security-Policy": PLAYGROUND_POLICY})

    async def functions(_: Request) -> Response:
        return _json({"functions": [_listed(one) for one in engine.described()]})

    async def function(request: Request) -> Response:
        return _json(engine.describe(request.path_params["name"]).to_dict())

    async def openapi_json(_: Request) -> Response:
        return _json(openapi(engine.described()))

    async def livez(_: Request) -> Response:
        return _json({"status": "alive"})

    async def readyz(_: Request) -> Response:
        unready = engine.unready()
        told = {name: _reason(error) for name, error in unready.items()}
        return _json({"status": "unready" if unready else "ready", "unready": told}, status=503 if unready else 200)

    async def metrics(_: Request) -> Response:
        from servelite.adapters.metrics import MEDIA_TYPE as PROMETHEUS
        from servelite.adapters.metrics import exposition

        return Response(exposition(engine), headers={"Content-Type": PROMETHEUS})

    async def refused(request: Request, error: Exception) -> Response:
        told = error if isinstance(error, ServeliteError) else _told(request, error)
        request_id = request.scope["state"]["request_id"]
        return Response(problem(told, request_id), told.status, headers=_allow(request, error), media_type=MEDIA_TYPE)

    async def failed(request: Request, _: Exception) -> Response:
        return await refused(request, ServiceError("The server failed; its log has the reason."))

    return Starlette(
        routes=[
            Route("/", playground),
            Route("/functions", functions),
            Route("/functions/{name}", function),
            Route("/openapi.json", openapi_json),
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ],
        exception_handlers={HTTPException: refused, ServeliteError: refused, Exception: failed},
    )


def _reason(error: ServeliteError | None) -> dict[str, str]:
    """Say why a function is not ready; what is wrong in its folder is for the log, for it names files."""
    if error is None:
        return {"code": ShuttingDown.code, "detail": "The server is ending, or its first worker is not started yet."}
    is_inside = isinstance(error, DefinitionError)
    return {"code": wire_code(error), "detail": "It can't be loaded; the server's log says why." if is_inside else error.detail}


def _listed(one: Description) -> dict[str, Any]:
    return {"name": one.name, "summary": one.summary, "limits": one.to_dict()["limits"], "url": f"/functions/{one.name}"}


def _json(data: Any, status: int = 200) -> Response:
    return Response(json.dumps(data).encode(), status, media_type="application/json")


def _told(request: Request, error: Exception) -> ServeliteError:
    allowed = _allow(request, error).get("Allow")
    path = request.url.path
    if allowed:
        return MethodNotAllowed(f"{request.method} is not possible on {path}. Possible: {allowed}.")
    return NotFound(f"There is no page {path[:100]}. Functions are called with POST /functions/NAME; GET /functions lists them.")


def _allow(request: Request, error: Exception) -> dict[str, str]:
    """Return the Allow header of a 405; calls are POSTs, which have no route here."""
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    if "Allow" not in headers:
        return {}
    is_function = request.url.path.startswith("/functions/")
    return {"Allow": f"{headers['Allow']}, POST" if is_function else headers["Allow"]}


@cache
def _playground() -> bytes:
    return resources.files("servelite.adapters").joinpath("playground.html").read_bytes()
