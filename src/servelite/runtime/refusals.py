"""What callers are told whose calls are not run."""

from collections.abc import Iterable
from copy import copy

from servelite.core.call import Call
from servelite.core.errors import (
    FunctionNotFound,
    NoWorker,
    Overloaded,
    PayloadTooLarge,
    ServeliteError,
    ShuttingDown,
    UnsupportedMediaType,
)
from servelite.core.function import Description
from servelite.runtime.statistics import Statistics
from servelite.runtime.waiting import Waiting


def refuse(calls: Iterable[Waiting], error: ServeliteError, statistics: Statistics) -> None:
    """Tell callers that wait, each with an exception of its own, for a raised one grows a traceback; and count them."""
    for waiting in calls:
        if not waiting.answer.done():
            statistics.calls[error.code] += not waiting.call.part
            waiting.answer.set_exception(copy(error))


def not_run(name: str) -> ShuttingDown:
    """The server ends."""
    return ShuttingDown(f"The server is ending; {name} was not run. Try again, there or elsewhere.")


def no_worker(name: str) -> NoWorker:
    """There is none, and the last start failed."""
    return NoWorker(f"{name} has no worker: it could not be started. The server's log says why; it is tried again.")


def queue_full(name: str, limit: int) -> Overloaded:
    """Too many wait."""
    return Overloaded(f"{name} has {limit:,} calls waiting, and takes no more for now. Try again later.")


def would_wait(name: str, wait_us: float, patience_us: float) -> Overloaded:
    """It would take too long; Retry-After says how much."""
    expected = f"{name} would keep this call waiting for {wait_us / 1e6:.2g} s, beyond its deadline of {patience_us / 1e6:g} s."
    retry_after_s = max(1, round((wait_us - patience_us) / 1e6))
    return Overloaded(f"{expected} Try again later, or allow more.", retry_after_s=retry_after_s)


def too_late(name: str) -> Overloaded:
    """It took too long."""
    return Overloaded(f"No worker of {name} was free before this call's deadline; it was not run. Try again later.")


def no_function(name: str, functions: Iterable[str]) -> FunctionNotFound:
    """Return the error for a name that no function has; it names those that there are."""
    return FunctionNotFound(f"No function named '{name}'. Functions here: {', '.join(sorted(functions)) or 'none'}.")


def too_large(limit: int) -> PayloadTooLarge:
    """Return the error for a body over the limit, in bytes."""
    return PayloadTooLarge(f"The body is longer than {limit:,} bytes. Send less, or have the server started with a larger --max-body.")


def check_media_type(function: Description, call: Call) -> None:
    """Hold a body's media type against what a function takes; without one, the first of these is assumed."""
    if not function.accepts(call.media_type):
        raise UnsupportedMediaType(f"{function.name} does not take '{call.media_type}'. Send Content-Type: {' or '.join(function.takes)}.")
    if not call.media_type:
        call.media_type = function.takes[0]
