"""One batch through the handler: decode, run, encode, with the stopwatch around all of it.

The same code runs in a worker process, in `servelite call`, in notebooks, tests and on Lambda.

A call that can't be decoded fails alone and its batch-mates go on. Where the handler raises on a
batch, the batch is halved and run again until the poisoned call is alone with its error.
"""

import logging
import resource
import time
from collections.abc import Sequence
from typing import Any

from servelite.core.call import BatchReply, Call, Outcome
from servelite.core.errors import Cancelled, DefinitionError, FunctionError, FunctionFailed, ServeliteError, ServiceError
from servelite.core.function import Context
from servelite.worker.asking import Asking
from servelite.worker.loader import Function, Part, where

logger = logging.getLogger("servelite.function")


class Runner:
    """Runs batches of one function's calls; its handler asks other functions by way of `asking`."""

    def __init__(self, function: Function, asking: Asking | None = None) -> None:
        self._function = function
        self._asking = asking or Asking()
        self._logger = logger.getChild(function.name)

    def run(self, calls: Sequence[Call]) -> BatchReply:
        """Answer every call of a batch, in order; never raises for what a call or the handler does."""
        self._asking.begin()
        wall_ns, cpu_ns = time.perf_counter_ns(), time.process_time_ns()
        outcomes = self._outcomes(calls)
        compute_us = (time.perf_counter_ns() - wall_ns - self._asking.waited_ns) // 1000
        cpu_us = (time.process_time_ns() - cpu_ns) // 1000
        return BatchReply(outcomes, compute_us, cpu_us, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    def _outcomes(self, calls: Sequence[Call]) -> list[Outcome]:
        decoded = [self._decode(call) for call in calls]
        good = [(call, value) for call, value in zip(calls, decoded, strict=True) if not isinstance(value, ServeliteError)]
        outputs = iter(self._answer(good))
        values = [value if isinstance(value, ServeliteError) else next(outputs) for value in decoded]
        return [self._encode(call, value) for call, value in zip(calls, values, strict=True)]

    def _decode(self, call: Call) -> Any:
        try:
            return self._part(call).codec.decode(call.body, call.media_type)
        except ServeliteError as error:
            return error

    def _answer(self, batch: list[tuple[Call, Any]]) -> list[Any]:
        """Return an output or an exception for each call."""
        if not batch:
            return []
        if not self._part(batch[0][0]).signature.batched:  # glue never is
            return [self._single(call, value) for call, value in batch]
        try:
            return self._handle(batch)
        except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything; it fails its call, not the worker
            if len(batch) == 1:
                return [error]
        half = len(batch) // 2
        return self._answer(batch[:half]) + self._answer(batch[half:])

    def _handle(self, batch: list[tuple[Call, Any]]) -> list[Any]:
        part = self._part(batch[0][0])
        arguments: list[Any] = [[value for _, value in batch]]
        if part.signature.wants_context:
            arguments.append([self._context(call) for call, _ in batch])
        outputs = part.run(*arguments)
        if not isinstance(outputs, list) or len(outputs) != len(batch):
            got = f"{len(outputs)} outputs" if isinstance(outputs, list) else type(outputs).__name__
            raise FunctionFailed(f"The handler got {len(batch)} inputs and returned {got}; it must return a list, one output each.")
        return outputs

    def _single(self, call: Call, value: Any) -> Any:
        part = self._part(call)
        try:
            if part.signature.wants_context:
                return part.run(value, self._context(call))
            return part.run(value)
        except (Exception, SystemExit) as error:  # noqa: BLE001  as above
            return error

    def _part(self, call: Call) -> Part:
        return self._function.parts[call.part]

    def _context(self, call: Call) -> Context:
        return Context(call.id, call.account, call.deadline_s, call.media_type, self._logger, self._asking.ask)

    def _encode(self, call: Call, value: Any) -> Outcome:
        if isinstance(value, BaseException):
            return Outcome(error=self._told(call, value))
        try:
            return Outcome(self._part(call).codec.encode(value))
        except FunctionFailed as error:
            return Outcome(error=self._told(call, error))

    def _told(self, call: Call, error: BaseException) -> ServeliteError:
        """Log what went wrong inside; tell the caller only what is meant for them, as is what another function said that was called."""
        is_inside = isinstance(error, (FunctionError, ServiceError, DefinitionError, Cancelled))
        if isinstance(error, ServeliteError) and (error.stage or not is_inside):
            return error
        about = {"function": self._function.name, "call": call.id}
        if isinstance(error, FunctionFailed):  # found by servelite: its own frames say nothing to the author
            self._logger.error("request %s failed: %s", call.id, error.detail, extra=about)
        else:
            place = where(error, self._function.folder / "handler.py")
            self._logger.error("request %s failed: %s: %s: %s", call.id, place, type(error).__name__, error, exc_info=error, extra=about)
        return FunctionFailed(f"{self._function.name} failed on this input. Its log has the reason under request {call.id}.")
