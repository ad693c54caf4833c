"""AWS Lambda's Invoke API: `POST /2015-03-31/functions/{name}/invocations`, so that boto3 and the AWS CLI call functions served here.

https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
"""

import asyncio
import base64
import json
import logging
import re
from functools import partial
from urllib.parse import parse_qs

from servelite.adapters.asgi import Headers, Receive, Scope, Send
from servelite.adapters.call_heads import read_head
from servelite.adapters.guard import check_scope
from servelite.adapters.invoke_errors import MEDIA_TYPE, invoke_error, type_of
from servelite.adapters.native import ClientGone, read_body, receipt_headers, respond, retry_after
from servelite.core.accounts import ApiKey
from servelite.core.call import Answer, Call
from servelite.core.errors import (
    BadRequest,
    DefinitionError,
    FunctionNotFound,
    InvalidInput,
    MalformedJson,
    Overloaded,
    PayloadTooLarge,
    ServeliteError,
    ServiceError,
    wire_code,
)
from servelite.core.function import JSON, Description
from servelite.runtime.engine import Engine, ReadBody

PREFIX = "/2015-03-31/functions/"
SUFFIX = "/invocations"

MOST_SYNC_BYTES = 6 * 1024 * 1024
MOST_ASYNC_BYTES = 1024 * 1024
MOST_ANSWER_BYTES = 6_291_556
"""Lambda's limits of a payload that is waited for, of one that is not, and of an answer."""

MOST_EVENTS = 1000
"""Events that wait or run together; more are refused."""

EVENT_WAITS_S = 900.0
"""How long an event waits for a worker: as long as a function on Lambda may run."""

LATEST = "$LATEST"

ARN = re.compile("(?:arn:[^:]*:lambda:[^:]*:)?[0-9]+:function:")
"""What stands before a name, in an ARN or in the last parts of one."""

LOG_BYTES = 4096

KINDS = ("RequestResponse", "Event", "DryRun")

logger = logging.getLogger("servelite.http")


class Invocations:
    """Answers invocations, and holds those that nobody waits for."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._events: set[asyncio.Task[Answer]] = set()

    async def answer(self, scope: Scope, receive: Receive, send: Send, key: ApiKey | None) -> None:
        """Answer one request."""
        call = Call(self._engine.new_id(), "")
        try:
            await self._answer(call, scope, receive, send, key)
        except ClientGone:
            return
        except ServeliteError as error:
            self._engine.refused[error.code] += 1
            await refuse_invocation(error, call.id, send)
        except Exception:  # the gateway's outer edge, see `native`
            logger.exception("request %s failed in the gateway", call.id, extra={"function": call.function, "call": call.id})
            await refuse_invocation(ServiceError("The server failed; its log has the reason under this request id."), call.id, send)

    async def _answer(self, call: Call, scope: Scope, receive: Receive, send: Send, key: ApiKey | None) -> None:
        headers = dict(scope["headers"])
        reading = read_head("", scope["headers"])
        call.patience_s, call.repeat_key = reading.patience_s, reading.repeat_key
        if self._engine.meter.spans is not None:
            self._engine.meter.spans.begin(call, scope["headers"])
        call.function, qualifier = _named(scope)
        if key is not None:
            check_scope(key, call.function, self._engine.pools)
            call.account, call.key_id = key.account, key.id
        function = _qualified(self._engine.describe(call.function), qualifier)
        kind = headers.get(b"x-amz-invocation-type", b"RequestResponse").decode("latin-1")
        if kind not in KINDS:
            raise BadRequest(f"X-Amz-Invocation-Type is '{kind[:40]}'. It is one of: {', '.join(KINDS)}.")
        if kind == "DryRun":
            await _respond(send, 204, b"", call.id, function)
            return
        call.media_type = ""  # whatever is sent is JSON, of the input as examples.jsonl has it
        most = MOST_ASYNC_BYTES if kind == "Event" else MOST_SYNC_BYTES

        async def read() -> bytes:
            return _input(await self._read(call, receive, reading.body_bytes, most), function)

        if kind == "Event":
            await self._begin(call, read)
            await _respond(send, 202, b"", call.id, function)
        else:
            wants_log = headers.get(b"x-amz-log-type") == b"Tail"
            await _tell(send, call, await self._engine.call(call, read), function, wants_log=wants_log)

    async def _read(self, call: Call, receive: Receive, length: int, most: int) -> bytes:
        try:
            return await read_body(self._engine, call, receive, length, min(most, self._engine.bodies.max_bytes))
        except PayloadTooLarge as error:
            if self._engine.bodies.max_bytes < most:
                raise
            raise PayloadTooLarge(f"The payload is longer than {most:,} bytes, which is what Lambda takes of such a call.") from error

    async def _begin(self, call: Call, read: ReadBody) -> None:
        """Run a call that nobody waits for, and return when its payload is here; an error that refuses it until then is raised."""
        if len(self._events) >= MOST_EVENTS:
            raise Overloaded(f"{MOST_EVENTS} events wait already. Try again later.")
        call.patience_s = EVENT_WAITS_S
        is_here = asyncio.get_running_loop().create_future()

        async def read_and_say() -> bytes:
            payload = await read()
            is_here.set_result(None)
            return payload

        running = asyncio.create_task(self._engine.call(call, read_and_say))
        self._events.add(running)  # also while its payload comes, or as many as have connections would be let in together
        running.add_done_callback(self._events.discard)
        try:
            await asyncio.wait([running, is_here], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:  # its client left before
            running.cancel()
            raise
        if not is_here.done():
            running.result()
        running.add_done_callback(partial(_log_end, call))


def _log_end(call: Call, ended: "asyncio.Task[Answer]") -> None:
    """Say in the log what nobody else is told of an event's end."""
    if ended.cancelled():
        return
    error = ended.exception() or ended.result().error
    said = {"function": call.function, "call": call.id}
    if isinstance(error, ServeliteError):
        logger.error("event %s failed: %s: %s", call.id, wire_code(error), error.detail, extra={**said, "reason": error.code})
    elif error is not None:
        logger.error("event %s failed in the gateway", call.id, exc_info=error, extra=said)


def is_invocation(path: str) -> bool:
    """Tell whether a POST on a path is an invocation."""
    return path.startswith(PREFIX) and path.endswith(SUFFIX)


async def refuse_invocation(error: ServeliteError, request_id: str, send: Send, receipt: Headers | None = None) -> None:
    """Answer a request that ran nothing, as AWS does; one that a worker found out about has a receipt."""
    status, body = invoke_error(error)
    headers = [*_ids(request_id), (b"x-amzn-errortype", type_of(error).encode()), *retry_after(error), *(receipt or [])]
    await respond(send, status, MEDIA_TYPE, body, headers)


def _named(scope: Scope) -> tuple[str, str]:
    """Return the function's name and the qualifier of a path: NAME, NAME:QUALIFIER, an ARN, or its last parts."""
    said = scope["path"][len(PREFIX) : -len(SUFFIX)]
    before = ARN.match(said)
    name, _, qualifier = said[before.end() if before else 0 :].partition(":")
    asked = parse_qs(scope["query_string"].decode("latin-1")).get("Qualifier", [""])[-1]
    if qualifier and asked and qualifier != asked:
        raise BadRequest(f"The name's qualifier is '{qualifier[:40]}', and Qualifier is '{asked[:40]}'. Send one of them.")
    return name, qualifier or asked


def _qualified(function: Description, qualifier: str) -> Description:
    """Return a function, if the qualifier is its version, or means whatever is served."""
    if qualifier not in ("", LATEST, function.version):
        told = f"{function.name} has no version '{qualifier[:40]}' here"
        raise FunctionNotFound(f"{told}: version '{function.version}' is served. Leave the qualifier out, or send {LATEST}.")
    return function


def _input(payload: bytes, function: Description) -> bytes:
    """Return the body that a payload stands for: text and bytes are taken out of their JSON, all else is parsed by the worker."""
    payload = payload or b"{}"
    if function.takes[0] == JSON:
        return payload
    try:
        value = json.loads(payload)
        if not isinstance(value, str):
            raise InvalidInput(f"{function.name} takes {function.takes[0]}, so the payload is a JSON string, bytes in base64.")
        return function.encode_input(value)
    except DefinitionError as error:
        raise InvalidInput(f"{function.name} takes bytes, and the payload is not base64. Encode it.") from error
    except (ValueError, RecursionError) as error:
        raise MalformedJson(f"The payload is not JSON: {str(error)[:200]}. A text is sent in quotes.") from error


async def _tell(send: Send, call: Call, answer: Answer, function: Description, *, wants_log: bool) -> None:
    headers = receipt_headers(call.id, answer.receipt)[1:]
    if answer.is_repeated:
        headers.append((b"idempotent-replayed", b"true"))
    if isinstance(answer.error, MalformedJson):  # what Lambda itself would refuse
        await refuse_invocation(answer.error, call.id, send, headers)
        return
    error = answer.error or _too_long(body := _output(answer, function))
    if error is not None:
        body = json.dumps({"errorMessage": error.detail, "errorType": _error_type(error), "requestId": _uuid(call.id)}).encode()
        headers += [(b"x-amz-function-error", b"Unhandled"), *retry_after(error)]
    if wants_log:
        headers.append((b"x-amz-log-result", _log(call, answer, function)))
    await _respond(send, 200, body, call.id, function, headers)


def _output(answer: Answer, function: Description) -> bytes:
    if answer.error is not None or function.gives == JSON:
        return answer.body
    return json.dumps(function.decode_output(answer.body), ensure_ascii=False).encode()


def _too_long(body: bytes) -> PayloadTooLarge | None:
    if len(body) <= MOST_ANSWER_BYTES:
        return None
    return PayloadTooLarge(f"The answer has {len(body):,} bytes, and Lambda takes {MOST_ANSWER_BYTES:,}. Have the function answer less.")


def _error_type(error: ServeliteError) -> str:
    return "Function.ResponseSizeTooLarge" if isinstance(error, PayloadTooLarge) else wire_code(error)


async def _respond(send: Send, status: int, body: bytes, call: str, function: Description, headers: Headers | None = None) -> None:
    version = (function.version or LATEST).encode("ascii", "replace")
    await respond(send, status, MEDIA_TYPE, body, [*_ids(call), (b"x-amz-executed-version", version), *(headers or [])])


def _ids(call: str) -> Headers:
    return [(b"x-request-id", call.encode()), (b"x-amzn-requestid", _uuid(call).encode())]


def _uuid(call: str) -> str:
    """Return a call's id as AWS writes ids."""
    return f"{call[:8]}-{call[8:12]}-{call[12:16]}-{call[16:20]}-{call[20:]}"


def _log(call: Call, answer: Answer, function: Description) -> bytes:
    """Return the lines that Lambda's log has of a call, what its handler prints left out, in base64."""
    receipt, uuid = answer.receipt, _uuid(call.id)
    billed_ms = -(-receipt.billed_us // 1000)
    report = [f"REPORT RequestId: {uuid}", f"Duration: {receipt.compute_us / 1000:.2f} ms", f"Billed Duration: {billed_ms} ms"]
    report.append(f"Memory Size: {function.limits.memory_mib} MB")
    if receipt.cold:
        report.append(f"Init Duration: {receipt.init_us / 1000:.2f} ms")
    failed = [f"{uuid} {wire_code(answer.error)}: {answer.error.detail}"] if answer.error else []
    lines = [f"START RequestId: {uuid} Version: {function.version or LATEST}", *failed, f"END RequestId: {uuid}", "\t".join(report)]
    return base64.b64encode("\n".join([*lines, ""]).encode()[-LOG_BYTES:])
