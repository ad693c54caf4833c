"""One batch through the handler: decode, run, encode, with the stopwatch around all of it.

The same code runs in a worker process, in `servelite call`, in notebooks, tests and on Lambda.

A call that can't be decoded fails alone and its batch-mates go on. Where the handler raises on a
batch, the batch is halved and run again until the poisoned call is alone with its error.

Decoding and encoding are each call's own time. A run that answered is shared equally by its calls; one that
raised is shared by those of its calls that raised alone, for the others had no part in it (by all, if none did).
"""

import logging
import resource
import time
from collections.abc import Callable, Sequence
from typing import Any

from servelite.core.call import BatchReply, Call, Outcome
from servelite.core.errors import Cancelled, DefinitionError, FunctionError, FunctionFailed, ServeliteError, ServiceError
from servelite.core.function import Context
from servelite.worker.asking import Asking
from servelite.worker.loader import HANDLER, Function, Part, where
from servelite.worker.stopwatch import Stopwatch

logger = logging.getLogger("servelite.function")


class Runner:
    """Runs batches of one function's calls; `clock_ns` is what their time is taken with.

    Its handler asks other functions by way of `asking`; what it only waits for them is not the time of its calls.
    """

    def __init__(self, function: Function, asking: Asking | None = None, clock_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self._function = function
        self._asking = asking or Asking()
        self._clock_ns = self._asking.busy_clock(clock_ns)
        self._logger = logger.getChild(function.name)

    def run(self, calls: Sequence[Call]) -> BatchReply:
        """Answer every call of a batch, in order; never raises for what a call or the handler does."""
        self._asking.begin()
        cpu_ns, watch = time.process_time_ns(), Stopwatch(len(calls), self._clock_ns)
        values = self._decode(calls, watch)
        places = [place for place, value in enumerate(values) if not isinstance(value, ServeliteError)]
        if HANDLER in self._function.parts and self._function.handler.signature.batched:  # glue never is
            self._answer(calls, values, watch, places)
        else:
            self._answer_each(calls, values, watch, places)
        bodies, errors = self._encode(calls, values, watch)
        cpu_us = (time.process_time_ns() - cpu_ns) // 1000
        outcomes = map(Outcome, bodies, errors, watch.times_us())
        return BatchReply(list(outcomes), cpu_us, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    def _decode(self, calls: Sequence[Call], watch: Stopwatch) -> list[Any]:
        values: list[Any] = []
        for place, call in enumerate(calls):
            try:
                values.append(self._part(call).codec.decode(call.body, call.media_type))
            except ServeliteError as error:
                values.append(error)
            watch.charge(place)
        return values

    def _answer(self, calls: Sequence[Call], values: list[Any], watch: Stopwatch, places: list[int]) -> list[int]:
        """Put an output or an exception in each place, where its input is; return the places of those that raised."""
        if not places:
            return []
        raised: list[int] = []
        try:
            outputs = self._handle(calls, values, places)
        except (Exception, SystemExit) as error:  # noqa: BLE001  user code may raise anything; it fails its call, not the worker
            raised = places
            if len(places) == 1:
                values[places[0]] = error
        run_ns = watch.lap()
        if not raised:
            for place, output in zip(places, outputs, strict=True):
                values[place] = output
        elif half := len(places) // 2:
            raised = [one for part in (places[:half], places[half:]) for one in self._answer(calls, values, watch, part)]
        watch.share(run_ns, raised or places)
        return raised

    def _handle(self, calls: Sequence[Call], values: list[Any], places: list[int]) -> list[Any]:
        part = self._function.handler
        arguments: list[Any] = [[values[place] for place in places]]
        if part.signature.wants_context:
            arguments.append([self._context(calls[place]) for place in places])
        outputs = part.run(*arguments)
        if not isinstance(outputs, list) or len(outputs) != len(places):
            got = f"{len(outputs)} outputs" if isinstance(outputs, list) else type(outputs).__name__
            raise FunctionFailed(f"The handler got {len(places)} inputs and returned {got}; it must return a list, one output each.")
        return outputs

    def _answer_each(self, calls: Sequence[Call], values: list[Any], watch: Stopwatch, places: list[int]) -> None:
        for place in places:
            values[place] = self._single(calls[place], values[place])
            watch.charge(place)

    def _single(self, call: Call, value: Any) -> Any:
        part = self._part(call)
        try:
            if part.signature.wants_context:
                return part.run(value, self._context(call))
            return part.run(value)
        except (Exception, SystemExit) as error:  # noqa: BLE001  as above
            return error

    def _part(self, call: Call) -> Part:
        part = self._function.parts.get(call.part)
        if part is None:  # a pipeline's call began before the file was saved anew
            raise FunctionFailed(f"{self._function.name} has no {call.part} any more: it was saved anew while this call ran.")
        return part

    def _context(self, call: Call) -> Context:
        return Context(call.id, call.account, call.deadline_s, call.media_type, self._logger, self._asking.ask, call.traceparent)

    def _encode(self, calls: Sequence[Call], values: list[Any], watch: Stopwatch) -> tuple[list[bytes], list[ServeliteError | None]]:
        bodies, errors = [], []
        for place, call in enumerate(calls):
            body, error = self._end(call, values[place])
            bodies.append(body)
            errors.append(error)
            watch.charge(place)
        return bodies, errors

    def _end(self, call: Call, value: Any) -> tuple[bytes, ServeliteError | None]:
        if isinstance(value, BaseException):
            return b"", self._told(call, value)
        try:
            return self._part(call).codec.encode(value), None
        except FunctionFailed as error:
            return b"", self._told(call, error)

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
