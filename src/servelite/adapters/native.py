"""The native dialect: `POST /functions/{name}`, body in, body out, the receipt in the headers.

Plain ASGI, because this is the hot path: bytes go to the engine as they came.
"""

import asyncio
import logging
import re
from collections.abc import Iterable
from functools import partial

from servelite.adapters.asgi import Headers, Receive, Scope, Send
from servelite.adapters.exchange import Exchange
from servelite.adapters.guard import Guard, check_scope
from servelite.adapters.problems import MEDIA_TYPE, problem
from servelite.core.accounts import ApiKey
from servelite.core.call import Answer, Call, Receipt
from servelite.core.errors import BadRequest, ServeliteError, ServiceError, UnsupportedMediaType
from servelite.runtime.engine import Engine
from servelite.runtime.refusals import too_large

PREFIX = "/functions/"

MAX_SHOWN_HEADER = 100
"""Bytes of a client's Content-Type that are kept; the longest real ones have about 70."""

MOST_DEADLINE_DIGITS = 9
"""Eleven days, in milliseconds."""

SMALL_BODY_BYTES = 64 * 1024
"""Bodies up to here are bounded by the number of calls that may wait; larger ones are counted."""

PREFERRED_WAIT = re.compile(rb"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,9})\b", re.IGNORECASE)

REPEAT_KEY = re.compile(rb"[!-~]{1,255}")

logger = logging.getLogger("servelite.http")


class ClientGone(Exception):
    """The client hung up before its body was complete: there is nobody to answer."""


async def answer_call(engine: Engine, scope: Scope, receive: Receive, send: Send, key: ApiKey | None = None) -> None:
    """Answer one POST below `/functions/`, for the account of the key that was shown."""
    call = Call(engine.new_id(), _function(scope))
    try:
        length = _let_in(engine, scope, call, key)
        answer = await engine.call(call, lambda: read_body(engine, call, receive, length, engine.bodies.max_bytes))
    except ClientGone:
        return
    except Exception as error:  # noqa: BLE001  the gateway's outer edge
        await _send(send, *_refusal(engine, call, error))
    else:
        await _send(send, *_response(call, answer))


def begin_call(engine: Engine, guard: Guard, exchange: Exchange) -> "asyncio.Future[Answer] | None":
    """Begin to answer a request that has come whole, if it is a call that waits for its worker and nothing else; None if not.

    Neither a task nor ASGI's messages are made for it: they took a third of the gateway's time for a call.
    """
    scope = exchange.scope
    if scope["method"] != "POST" or not scope["path"].startswith(PREFIX):
        return None
    pool = engine.pools.get(_function(scope))
    if pool is None or not pool.is_plain or exchange.size > SMALL_BODY_BYTES:
        return None
    call = Call(engine.new_id(), pool.name)
    try:
        _let_in(engine, scope, call, guard.check(scope))
        if call.repeat_key:
            return None
        call.body = exchange.whole_body()
        answering = engine.begin(call)
    except Exception as error:  # noqa: BLE001  the gateway's outer edge
        answering = asyncio.get_running_loop().create_future()
        answering.set_exception(error)
    answering.add_done_callback(partial(_finish, engine, call, exchange))
    return answering


def _finish(engine: Engine, call: Call, exchange: Exchange, answering: "asyncio.Future[Answer]") -> None:
    if answering.cancelled():  # the client is gone
        return
    error = answering.exception()
    exchange.finish(*(_response(call, answering.result()) if error is None else _refusal(engine, call, error)))


def _function(scope: Scope) -> str:
    name: str = scope["path"][len(PREFIX) :]
    return name.removesuffix("/")


def _let_in(engine: Engine, scope: Scope, call: Call, key: ApiKey | None) -> int:
    """Take from a request's head what its call needs, and return the body's length, 0 where it is not said."""
    if key is not None:
        check_scope(key, call.function, engine.pools)
        call.account, call.key_id = key.account, key.id
    length = read_headers(scope["headers"], call)
    if engine.meter.spans is not None:
        engine.meter.spans.begin(call, scope["headers"])
    return length


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
    return b"content-type", media_type.encode() + (b"; charset=utf-8" if media_type.startswith("text/") else b"")


PROBLEM = _content_type(MEDIA_TYPE)


def receipt_headers(request_id: str, receipt: Receipt) -> Headers:
    """Write a receipt, and Server-Timing (ms) for browsers."""
    timing = f"queue;dur={receipt.queue_us / 1000:.3f}, init;dur={receipt.init_us / 1000:.3f}, compute;dur={receipt.compute_us / 1000:.3f}"
    return [
        (b"x-request-id", request_id.encode()),
        (b"servelite-receipt", str(receipt).encode()),
        (b"server-timing", timing.encode()),
    ]


def read_headers(headers: Iterable[tuple[bytes, bytes]], call: Call) -> int:
    """Take from the headers what a call needs; return the body's length, 0 where it is not said."""
    length = 0
    call.media_type = ""
    for name, value in headers:
        if name == b"content-type":
            call.media_type = value.partition(b";")[0].strip().lower()[:MAX_SHOWN_HEADER].decode("latin-1")
        elif name == b"content-length":
            length = int(value)
        elif name == b"x-deadline-ms":
            call.patience_s = _deadline_s(value)
        elif name == b"idempotency-key":
            call.repeat_key = _repeat_key(value)
        elif name == b"prefer":
            call.patience_s = call.patience_s or _preferred_wait_s(value)
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise UnsupportedMediaType("Compressed bodies are not taken. Send the body without Content-Encoding.")
    return length


def _deadline_s(value: bytes) -> float:
    """Read X-Deadline-Ms: how long the caller waits for a worker."""
    if not value.isdigit() or len(value) > MOST_DEADLINE_DIGITS or int(value) == 0:
        raise BadRequest("X-Deadline-Ms is a whole number of milliseconds from 1, for example 500.")
    return int(value) / 1000


def _repeat_key(value: bytes) -> str:
    """Read Idempotency-Key: an RFC 9651 string as the IETF draft has it, or bare as most clients send it."""
    key = value[1:-1] if len(value) > 1 and value[:1] == value[-1:] == b'"' else value
    if not REPEAT_KEY.fullmatch(key):
        raise BadRequest("Idempotency-Key is 1 to 255 visible ASCII characters, for example a UUID.")
    return key.decode("ascii")


def _preferred_wait_s(value: bytes) -> float:
    """Read RFC 7240's `Prefer: wait=SECONDS`; other preferences, and what can't be read, are ignored as it demands."""
    found = PREFERRED_WAIT.search(value)
    return float(found[1]) if found else 0.0


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
