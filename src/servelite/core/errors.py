"""Every error of servelite, in one tree that branches by who must act.

    ServeliteError
    ├── CallerError               the caller must change the request, or wait; not billed
    │   ├── BadRequest            400  bad_request
    │   ├── MalformedJson         400  malformed_json
    │   ├── Unauthorized          401  unauthorized
    │   ├── QuotaExhausted        402  quota_exhausted
    │   ├── Forbidden             403  forbidden
    │   ├── NotFound              404  not_found
    │   ├── FunctionNotFound      404  function_not_found
    │   ├── MethodNotAllowed      405  method_not_allowed
    │   ├── IdempotencyKeyInUse   409  idempotency_key_in_use
    │   ├── AnswerNotKept         409  answer_not_kept
    │   ├── PayloadTooLarge       413  payload_too_large
    │   ├── UnsupportedMediaType  415  unsupported_media_type
    │   ├── MisdirectedHost       421  misdirected_host
    │   ├── InvalidInput          422  invalid_input
    │   ├── IdempotencyKeyReused  422  idempotency_key_reused
    │   ├── Overloaded            429  overloaded
    │   │   └── RateLimited       429  rate_limited
    │   ├── HeadersTooLarge       431  headers_too_large
    │   └── Cancelled             499  cancelled: billed, for it used compute until its client left
    ├── FunctionError             the function's author must act; billed, for it used compute
    │   ├── FunctionFailed        500  function_failed
    │   ├── WorkerDied            502  worker_died
    │   │   └── WorkerKilled      502  worker_died
    │   ├── TimedOut              504  timed_out
    │   └── OutOfMemory           507  out_of_memory
    ├── ServiceError         500  server_failed: the operator must act, or the caller try later; never billed
    │   ├── NoWorker              503  no_worker
    │   ├── LedgerUnavailable     503  ledger_unavailable
    │   ├── ShuttingDown          503  shutting_down
    │   └── FrameError            500  frame_error
    └── DefinitionError           the folder is wrong; seen before any call, exit code 2

`code` and `status` sit on the class, so nobody parses a message. A message says what happened,
the value, the rule and the cure; what a client reads never holds a traceback or a path.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, TypedDict


class FieldError(TypedDict):
    """One field that does not fit: where it is (`a.b[2]`), what the rule is, and the rule's name."""

    field: str
    message: str
    rule: str


class ServeliteError(Exception):
    """The root. Raised by a handler, its message is meant for the caller (500 `function_failed`)."""

    code: ClassVar[str] = "function_failed"
    status: ClassVar[int] = 500
    billed: ClassVar[bool] = True
    retry_after_s: int | None = None
    detail = ""
    errors: tuple[FieldError, ...] = ()
    stage = ""
    """The stage of a pipeline where it happened, as `lines.ocr_recognise[3]`, or the function that a handler called."""

    def __init__(self, detail: str = "", errors: Sequence[FieldError] = ()) -> None:
        super().__init__(detail)
        self.detail = str(detail) or (type(self).__doc__ or "").partition("\n")[0]
        self.errors = tuple(errors)


class CallerError(ServeliteError):
    """The request is at fault."""

    billed = False


class BadRequest(CallerError):
    """What arrived is not an HTTP request that could be answered."""

    code, status = "bad_request", 400


class MalformedJson(CallerError):
    """The body is not strict UTF-8 JSON."""

    code, status = "malformed_json", 400


class Unauthorized(CallerError):
    """The key is missing, or none that is valid: one answer for all."""

    code, status = "unauthorized", 401


class QuotaExhausted(CallerError):
    """What the account may use this month is used up; `retry_after_s` is set where the rest is only held back."""

    code, status = "quota_exhausted", 402


class Forbidden(CallerError):
    """The request is understood and not allowed."""

    code, status = "forbidden", 403


class NotFound(CallerError):
    """No page has this path."""

    code, status = "not_found", 404


class FunctionNotFound(CallerError):
    """No function has this name."""

    code, status = "function_not_found", 404


class MethodNotAllowed(CallerError):
    """The path exists, but not for this HTTP method."""

    code, status = "method_not_allowed", 405


class IdempotencyKeyInUse(CallerError):
    """The first call with this Idempotency-Key still runs."""

    code, status, retry_after_s = "idempotency_key_in_use", 409, 1


class AnswerNotKept(CallerError):
    """The call with this Idempotency-Key was answered before, with more than is kept."""

    code, status = "answer_not_kept", 409


class PayloadTooLarge(CallerError):
    """The body is longer than the server accepts."""

    code, status = "payload_too_large", 413


class UnsupportedMediaType(CallerError):
    """The Content-Type is not one that the function takes."""

    code, status = "unsupported_media_type", 415


class MisdirectedHost(CallerError):
    """The Host header names a server that this is not."""

    code, status = "misdirected_host", 421


class InvalidInput(CallerError):
    """The input does not fit the function's type, or the handler says that it can't be answered."""

    code, status = "invalid_input", 422


class IdempotencyKeyReused(CallerError):
    """The Idempotency-Key was used before, for another call."""

    code, status = "idempotency_key_reused", 422


class Overloaded(CallerError):
    """More is asked than can be answered in time; said at once, with the seconds after which to try again."""

    code, status, retry_after_s = "overloaded", 429, 1

    def __init__(self, detail: str = "", errors: Sequence[FieldError] = (), *, retry_after_s: int = 1) -> None:
        super().__init__(detail, errors)
        self.retry_after_s = retry_after_s


class RateLimited(Overloaded):
    """The account makes more calls than it may, in a second or at once."""

    code = "rate_limited"


class HeadersTooLarge(CallerError):
    """The request's headers are more than the door takes."""

    code, status = "headers_too_large", 431


class Cancelled(CallerError):
    """The client left while its call ran, and the run was stopped; nobody reads this answer, the ledger keeps it."""

    code, status, billed = "cancelled", 499, True


class FunctionError(ServeliteError):
    """The function is at fault."""


class FunctionFailed(FunctionError):
    """The handler raised, or answered something that does not fit its annotation."""

    code, status = "function_failed", 500


class WorkerDied(FunctionError):
    """The worker ended while it ran the call: a crash, a segfault, an exit."""

    code, status = "worker_died", 502


class WorkerKilled(WorkerDied):
    """The worker was killed from outside (SIGKILL): the call is not to blame, and is run again once."""


class TimedOut(FunctionError):
    """The handler ran past `timeout_s`; its worker was killed."""

    code, status = "timed_out", 504


class OutOfMemory(FunctionError):
    """The worker passed `memory_mib` and was killed."""

    code, status = "out_of_memory", 507


class ServiceError(ServeliteError):
    """The server is at fault, for now."""

    code, status, billed = "server_failed", 500, False


class NoWorker(ServiceError):
    """No worker of the function can be started at the moment."""

    code, status, retry_after_s = "no_worker", 503, 5


class LedgerUnavailable(ServiceError):
    """The ledger can't be written, and no call is served unmetered."""

    code, status, retry_after_s = "ledger_unavailable", 503, 5


class ShuttingDown(ServiceError):
    """The server is ending and takes no new calls."""

    code, status, retry_after_s = "shutting_down", 503, 1


class FrameError(ServiceError):
    """Gateway and worker misunderstood each other: a short, oversize or unknown frame."""

    code, status = "frame_error", 500


class DefinitionError(ServeliteError):
    """A function's folder is wrong; `detail` begins with the file and line where that is known."""

    code, status, billed = "definition_error", 500, False


def all_errors(root: type[ServeliteError] = ServeliteError) -> Iterator[type[ServeliteError]]:
    """Yield every class of the tree that has a `code` of its own."""
    if "code" in vars(root):
        yield root
    for child in root.__subclasses__():
        if child.__module__ == __name__:
            yield from all_errors(child)


def wire_code(error: ServeliteError) -> str:
    """Return the code of the nearest class of this tree: an author's subclass keeps its parent's."""
    kinds = [kind for kind in type(error).__mro__ if issubclass(kind, ServeliteError) and kind.__module__ == __name__]
    return kinds[0].code


def from_wire(code: str, detail: str, errors: Sequence[FieldError] = ()) -> ServeliteError:
    """Make the error again that another process named by its code."""
    return _BY_CODE.get(code, FunctionFailed)(detail, errors)


_BY_CODE: dict[str, type[ServeliteError]] = {kind.code: kind for kind in all_errors() if kind is not ServeliteError}
