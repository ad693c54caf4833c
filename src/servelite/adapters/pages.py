"""What people, tools and monitors read: the playground, the functions, OpenAPI, health, metrics, usage, and single calls."""

import asyncio
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

from servelite.adapters.bills import read_bill
from servelite.adapters.guard import check_admin, check_scope
from servelite.adapters.openapi import openapi
from servelite.adapters.problems import MEDIA_TYPE, problem
from servelite.adapters.traces import read_calls
from servelite.core.accounts import ApiKey
from servelite.core.errors import DefinitionError, MethodNotAllowed, NotFound, ServeliteError, ServiceError, ShuttingDown, wire_code
from servelite.core.function import Description
from servelite.core.waterfall import to_dict, to_text
from servelite.runtime.engine import Engine

PLAYGROUND_POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; img-src 'self' data:"


def pages(engine: Engine, *, with_keys: bool = False) -> Starlette:
    """Make the application of all paths that are not a call; `with_keys` if requests show keys, which then say what they may see."""
    seen = _Pages(engine, with_keys=with_keys)
    return Starlette(
        routes=[
            Route("/", seen.playground),
            Route("/functions", seen.functions),
            Route("/functions/{name}", seen.function),
            Route("/openapi.json", seen.openapi),
            Route("/livez", seen.livez),
            Route("/readyz", seen.readyz),
            Route("/metrics", seen.metrics),
            Route("/usage", seen.usage),
            Route("/calls/{request_id}", seen.call),
        ],
        exception_handlers={HTTPException: _refused, ServeliteError: _refused, Exception: _failed},
    )


class _Pages:
    """Answers for each path; the request's key is None where none is needed."""

    def __init__(self, engine: Engine, *, with_keys: bool) -> None:
        self._engine = engine
        self._turn = asyncio.Semaphore(1)  # ledgers are read by one at a time
        self._with_keys = with_keys

    async def playground(self, _: Request) -> Response:
        return Response(_playground(), media_type="text/html", headers={"Content-Security-Policy": PLAYGROUND_POLICY})

    async def functions(self, request: Request) -> Response:
        return _json({"functions": [_listed(one) for one in self._shown_to(request.state.key)]})

    async def function(self, request: Request) -> Response:
        name, key = request.path_params["name"], request.state.key
        if key is not None:
            check_scope(key, name, self._engine.pools)
        return _json(self._engine.describe(name).to_dict())

    async def openapi(self, request: Request) -> Response:
        return _json(openapi(self._shown_to(request.state.key), with_keys=self._with_keys))

    async def livez(self, _: Request) -> Response:
        return _json({"status": "alive"})

    async def readyz(self, _: Request) -> Response:
        unready = self._engine.unready()
        told: dict[str, Any] = {"status": "unready" if unready else "ready"}
        if not self._with_keys:  # else whoever shows none would read names of functions here
            told["unready"] = {name: _reason(error) for name, error in unready.items()}
        return _json(told, status=503 if unready else 200)

    async def metrics(self, request: Request) -> Response:
        from servelite.adapters.metrics import MEDIA_TYPE as PROMETHEUS
        from servelite.adapters.metrics import exposition

        check_admin(request.state.key, "The metrics are")
        return Response(exposition(self._engine), headers={"Content-Type": PROMETHEUS})

    async def usage(self, request: Request) -> Response:
        return _json(await read_bill(self._engine, self._turn, request.state.key, request.query_params))

    async def call(self, request: Request) -> Response:
        rows = await read_calls(self._engine, self._turn, request.state.key, request.path_params["request_id"])
        if _prefers_text(request):
            return Response(f"{to_text(rows)}\n", media_type="text/plain")
        return _json(to_dict(rows))

    def _shown_to(self, key: ApiKey | None) -> list[Description]:
        return [one for one in self._engine.described() if key is None or key.may_call(one.name)]


async def _refused(request: Request, error: Exception) -> Response:
    told = error if isinstance(error, ServeliteError) else _told(request, error)
    request_id = request.scope["state"]["request_id"]
    headers = _allow(request, error)
    if told.retry_after_s is not None:
        headers["Retry-After"] = str(told.retry_after_s)
    return Response(problem(told, request_id), told.status, headers=headers, media_type=MEDIA_TYPE)


async def _failed(request: Request, _: Exception) -> Response:
    return await _refused(request, ServiceError("The server failed; its log has the reason."))


def _reason(error: ServeliteError | None) -> dict[str, str]:
    """Say why a function is not ready; what is wrong in its folder is for the log, for it names files."""
    if error is None:
        return {"code": ShuttingDown.code, "detail": "The server is ending, or its first worker is not started yet."}
    is_inside = isinstance(error, DefinitionError)
    return {"code": wire_code(error), "detail": "It can't be loaded; the server's log says why." if is_inside else error.detail}


def _prefers_text(request: Request) -> bool:
    return request.headers.get("accept", "").strip().startswith("text/plain")


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
