"""HTTP events: of API Gateway's REST and HTTP APIs, Function URLs and load balancers; Mangum and Starlette come with the first of them."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from servelite.adapters.aws_lambda.environment import Environment
from servelite.adapters.aws_lambda.invocation import Invocation
from servelite.adapters.aws_lambda.payloads import MOST_ANSWER_BYTES, MOST_GROWTH, check_size, written
from servelite.core.errors import PayloadTooLarge

if TYPE_CHECKING:
    from mangum.types import ASGI

    from servelite.adapters.asgi import App, Message, Receive, Scope, Send

TEXT_TYPES = ("text/", "application/json", "application/problem+json", "image/svg+xml", "application/javascript")
"""Media types whose bodies are sent as text; all others as base64."""

HEAD_BYTES = 8192
"""What an answer's status and headers take at most beside its body."""


def answer(environment: Environment, invocation: Invocation) -> Any:
    """Answer a request as `servelite run` does."""
    if environment.http is None:
        environment.http = open_http(environment)
    environment.engine.ids.given = invocation.call_id
    try:
        return environment.http(_without_stage(invocation.event), None)
    finally:
        environment.engine.ids.given = ""


def open_http(environment: Environment) -> Callable[[Any, Any], Any]:
    """Make what answers HTTP events: the gateway's application behind Mangum, on the kept loop."""
    from mangum import Mangum

    from servelite.adapters.gateway import gateway
    from servelite.adapters.guard import Guard

    asyncio.set_event_loop(environment.loop)  # Mangum runs on the thread's own
    keyring = environment.engine.accounts.keyring if environment.surroundings.requires_key else None
    application = gateway(environment.engine, Guard(hosts=None, keyring=keyring))  # AWS sends but requests for this function's own names
    return Mangum(cast("ASGI", _sized(application, environment)), lifespan="off", text_mime_types=list(TEXT_TYPES))


def _without_stage(event: Any) -> Any:
    """Return an event of an HTTP API without its stage's name in the path, where it has a named one."""
    context = event["requestContext"]
    stage = context.get("stage", "$default")
    path = context.get("http", {}).get("path", "")
    if "http" not in context or not path.startswith(f"/{stage}/"):
        return event
    return {**event, "requestContext": {**context, "http": {**context["http"], "path": path[len(stage) + 1 :]}}}


def _sized(application: "App", environment: Environment) -> "App":
    """Answer 413 in place of what would be too long for Lambda."""
    from servelite.adapters.native import refuse

    async def sized(scope: "Scope", receive: "Receive", send: "Send") -> None:
        head: list[Message] = []

        async def measured(message: "Message") -> None:
            if message["type"] == "http.response.start":
                head.append(message)
                return
            if head:
                start = head.pop()
                try:
                    _check(start, message.get("body", b""), is_ascii=environment.surroundings.is_ascii)
                except PayloadTooLarge as error:
                    await refuse(error, dict(start["headers"]).get(b"x-request-id", b"").decode(), send)
                    return
                await send(start)
            await send(message)

        await application(scope, receive, measured)

    return sized


def _check(start: "Message", body: bytes, *, is_ascii: bool) -> None:
    if len(body) * MOST_GROWTH <= MOST_ANSWER_BYTES - HEAD_BYTES:
        return
    media_type = dict(start["headers"]).get(b"content-type", b"").decode("latin-1")
    is_text = any(kind in media_type for kind in TEXT_TYPES)
    size = len(written(body.decode("utf-8", "replace"), is_ascii=is_ascii)) if is_text else -(-len(body) // 3) * 4
    check_size(size + HEAD_BYTES)
