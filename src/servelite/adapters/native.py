"""The native dialect: `POST /functions/{name}`, body in, body out, the receipt in the headers.

No framework, because this is the hot path: bytes go to the engine as they came, those of a call that is there in full without even a task.
"""

import asyncio
import logging
from functools import lru_cache, partial

from servelite.adapters.asgi import Headers, Receive, Scope, Send
from servelite.adapters.call_heads import Reading, read_head
from servelite.adapters.exchange import Exchange, field_lines
from servelite.adapters.guard import Guard, check_scope
from servelite.adapters.problems import MEDIA_TYPE, problem
from servelite.core.accounts import ApiKey
from servelite.core.call import Answer, Call, Receipt
from servelite.core.errors import ServeliteError, ServiceError
from servelite.runtime.engine import Engine
from servelite.runtime.refusals import too_large

PREFIX = "/functions/"

SMALL_BODY_BYTES = 64 * 1024
"""Bodies up to here are bounded by the number of calls that may wait; larger ones are counted."""

logger = logging.getLogger("servelite.http")


class ClientGone(Exception):
    """The client hung up before its body was complete: there is nobody to answer."""


async def answer_call(engine: Engine, scope: Scope, receive: Receive, send: Send, key: ApiKey | None = None) -> None:
    """Answer one POST below `/functions/`, for the account of the key that was shown."""
    call = Call(engine.new_id(), _function(scope))
    try:
        reading = read_head(call.function, scope["headers"])
        _let_in(engine, scope, call, reading, key)
        answer = await engine.call(call, lambda: read_body(engine, call, receive, reading.body_bytes, engine.bodies.max_bytes))
    except ClientGone:
        return
    except Exception as error:  # noqa: BLE001  the gateway's outer edge
        await _send(send, *_refusal(engine, call, error))
    else:
        await _send(send, *_response(call, answer))


def begin_call(engine: Engine, guard: Guard, exchange: Exchange) -> "asyncio.Future[Answer] | None":
    """Begin to answer a request that has come whole, if it is a call that waits for its worker and nothing else; None if not.

    Neither a task nor ASGI's messages are made for it, which would be a third of the gateway's work for a call.
    """
    scope, reading = exchange.scope, exchange.reading
    name = _called(scope) if reading is None else reading.function
    pool = engine.pools.get(name)
    if pool is None or not pool.is_plain:
        return None
    call = Call(engine.new_id(), name)
    on_end = partial(_finish, engine, call, exchange)
    try:
        if reading is None:
            guard.check_sender(scope)
        key = guard.key(scope)  # before anything of the function is told
        if reading is None:
            reading = read_head(name, scope["headers"])
            if reading.repeat_key:
                return None
        _let_in(engine, scope, call, reading, key)
        exchange.reading = reading
        call.body = exchange.whole_body()
        return engine.begin(call, on_end)
    except Exception as error:  # noqa: BLE001  the gateway's outer edge
        refused: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        refused.add_done_callback(on_end)
        refused.set_exception(error)
        return refused


def _finish(engine: Engine, call: Call, exchange: Exchange, answering: "asyncio.Future[Answer]") -> None:
    if answering.cancelled():  # the client is gone
        return
    try:
        error = answering.exception()
        answer = answering.result() if error is None else None
        if answer is not None and answer.error is None:
            fields = b"content-type: %b\r\n%b" % (_media(answer.media_type), receipt_lines(call.id, answer.receipt))
            exchange.answer(200, fields, answer.body)
        else:
            status, headers, body = _refusal(engine, call, error) if error is not None else _response(call, answering.result())
            exchange.answer(status, field_lines(headers), body)
    except Exception:  # the gateway's outer edge: nobody may wait for ever
        logger.exception("request %s could not be answered", call.id, extra={"function": call.function, "call": call.id})
        exchange.give_up()


def _called(scope: Scope) -> str:
    """Return the function that a request calls, "" if none."""
    return _function(scope) if scope["method"] == "POST" and scope["path"].startswith(PREFIX) else ""


def _function(scope: Scope) -> str:
    name: str = scope["path"][len(PREFIX) :]
    return name.removesuffix("/")


def _let_in(engine: Engine, scope: Scope, call: Call, reading: Reading, key: ApiKey | None) -> None:
    """Give a call what its request's head says, and let its key at its function."""
    if key is not None:
        check_scope(key, call.function, engine.pools)
        call.account, call.key_id = key.account, key.id
    call.media_type, call.patience_s, call.repeat_key = reading.media_type, reading.patience_s, reading.repeat_key
    if engine.meter.spans is not None:
        engine.meter.spans.begin(call, scope["headers"])


Response = tuple[int, Headers, bytes]
"""Status, headers, body."""


def _response(call: Call, answer: Answer) -> Response:
    headers = receipt_headers(call.id, answer.receipt)
    if answer.is_repeated:
        headers.append((b"idempotent-replayed", b"true"))
    if answer.error:  # one that a worker found, or a pipeline's, whose first stages have run
        return answer.error.status, [PROBLEM, *headers, *retry_after(answer.error)], problem(answer.error, call.id)
    return 200, [_content_type(answer.media_type), *headers], answer.body


def _refusal(engine: Engine, call: Call, error: BaseException) -> Response:
    """Tell a client why its call was not run; whatever went wrong inside, it gets an answer and the log the reason."""
    if isinstance(error, ServeliteError):
        engine.refused[error.code] += 1
    else:
        about = {"function": call.function, "call": call.id}
        logger.error("request %s failed in the gateway", call.id, exc_info=error, extra=about)
        error = ServiceError("The server failed; its log has the reason under this request id.")
    return _refused(error, call.id)


def _refused(error: ServeliteError, request_id: str) -> Response:
    headers = [PROBLEM, (b"x-request-id", request_id.encode()), *retry_after(error)]
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return error.status, headers, problem(error, request_id)


async def refuse(error: ServeliteError, request_id: str, send: Send) -> None:
    """Answer a request that ran nothing."""
    await _send(send, *_refused(error, request_id))


def retry_after(error: ServeliteError) -> Headers:
    """Return the header that says when to try again, where an error knows."""
    return [] if error.retry_after_s is None else [(b"retry-after", str(error.retry_after_s).encode())]


async def respond(send: Send, status: int, media_type: str, body: bytes, headers: Headers) -> None:
    """Send one whole response."""
    await _send(send, status, [_content_type(media_type), *headers], body)


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


def _content_type(media_type: str) -> tuple[bytes, bytes]:
    return b"content-type", _media(media_type)


@lru_cache
def _media(media_type: str) -> bytes:
    """Return the value of a Content-Type header; of those that functions give there are few."""
    return media_type.encode() + (b"; charset=utf-8" if media_type.startswith("text/") else b"")


PROBLEM = _content_type(MEDIA_TYPE)


def receipt_lines(request_id: str, receipt: Receipt) -> bytes:
    """Write a receipt as lines of a head, and Server-Timing (ms) for browsers."""
    timing = f"queue;dur={receipt.queue_us / 1000:.3f}, init;dur={receipt.init_us / 1000:.3f}, compute;dur={receipt.compute_us / 1000:.3f}"
    return f"x-request-id: {request_id}\r\nservelite-receipt: {receipt}\r\nserver-timing: {timing}\r\n".encode()


def receipt_headers(request_id: str, receipt: Receipt) -> Headers:
    """Return the same as headers: a name and a value each."""
    return [(name, value) for name, _, value in (line.partition(b": ") for line in receipt_lines(request_id, receipt).splitlines())]


async def read_body(engine: Engine, call: Call, receive: Receive, length: int, limit: int) -> bytes:
    """Read a request's body, of a length that is said or 0; it is refused as soon as it is known to be longer than `limit`.

    Raises:
        ClientGone: the client hung up.
        PayloadTooLarge, Overloaded: it can't be held.
    """
    if length > limit:
        raise too_large(limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body: bytes = message.get("body", b"")
        size += len(body)
        if size > limit:
            raise too_large(limit)
        if size > SMALL_BODY_BYTES:
            engine.bodies.hold(call, size)
        chunks.append(body)
        if not message.get("more_body"):
            return b"".join(chunks)
