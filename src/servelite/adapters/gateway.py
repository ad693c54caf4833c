"""The gateway's front: a call goes straight to the dialect that it is made in, everything else to the pages."""

from servelite.adapters.asgi import App, Message, Receive, Scope, Send
from servelite.adapters.guard import Guard
from servelite.adapters.invocations import Invocations, is_invocation, refuse_invocation
from servelite.adapters.native import PREFIX, answer_call, refuse
from servelite.adapters.pages import pages
from servelite.core.errors import CallerError
from servelite.runtime.engine import Engine


def gateway(engine: Engine, guard: Guard) -> App:
    """Make the ASGI application that serves an engine to those whom the guard lets in."""
    others = pages(engine, with_keys=guard.wants_keys)
    invocations = Invocations(engine)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            key = guard.check(scope)
        except CallerError as error:
            engine.refused[error.code] += 1
            await (refuse_invocation if is_invocation(scope["path"]) else refuse)(error, engine.new_id(), send)
            return
        if scope["method"] == "POST" and scope["path"].startswith(PREFIX):
            await answer_call(engine, scope, receive, send, key)
            return
        if scope["method"] == "POST" and is_invocation(scope["path"]):
            await invocations.answer(scope, receive, send, key)
            return
        request_id = engine.new_id()
        scope["state"] = {"request_id": request_id, "key": key}

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        await others(scope, receive, send_with_id)

    return app
