"""Spans of calls, for OpenTelemetry: made of rows once a client's call is settled; opentelemetry has its room here.

Nothing is measured twice: a span has the times of `core.waterfall`. A call's id holds the ids of its trace, if no client sent one, and of
its span, so what a handler passes on is known before there is a span.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from importlib.metadata import entry_points

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, set_span_in_context

from servelite.core.call import Call
from servelite.core.errors import DefinitionError
from servelite.core.ports import Row
from servelite.core.waterfall import Span, spans

TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-((?!0{32})[0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
"""https://www.w3.org/TR/trace-context/#traceparent-header"""

MOST_HELD = 10_000
"""Rows that are held until the row comes of which they are part; beyond that those that are held are forgotten."""

EXPORTERS = "opentelemetry_traces_exporter"
"""The group of entry points that exporters of OpenTelemetry are found in."""

logger = logging.getLogger("servelite.spans")


class OpenTelemetrySpans:
    """The `Spans` port on OpenTelemetry's SDK, which reads its own OTEL_… variables: sampler, endpoint, headers, resource."""

    def __init__(self, provider: TracerProvider, ids: "GivenIds") -> None:
        self._provider = provider
        self._ids = ids
        self._tracer = provider.get_tracer("servelite")
        self._parts: dict[str, list[Row]] = defaultdict(list)
        self._held = 0

    def begin(self, call: Call, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Have a client's call continue the trace that its headers name, or begin one; see `Spans`."""
        sent = next((TRACEPARENT.fullmatch(value) for name, value in headers if name == b"traceparent"), None)
        trace, call.came_from, flags = (part.decode() for part in sent.groups()) if sent else (call.id, "", "01")
        call.traceparent = f"00-{trace}-{call.id[16:]}-{flags}"

    def record(self, settled: Sequence[tuple[Call, Row]]) -> None:
        """Make the spans of calls, each with what it was made of; see `Spans`."""
        for call, row in settled:
            if row.parent:
                self._hold(row)
            elif call.traceparent:
                self._export(call, spans([row, *self._take(row.id)]))

    def close(self) -> None:
        """Send what is not sent yet."""
        self._provider.shutdown()

    def _hold(self, row: Row) -> None:
        if self._held >= MOST_HELD:
            logger.warning("%d calls have no span: the calls that they are part of did not end", self._held)
            self._parts.clear()
            self._held = 0
        self._parts[row.parent].append(row)
        self._held += 1

    def _take(self, call: str) -> list[Row]:
        parts = self._parts.pop(call, [])
        self._held -= len(parts)
        return [*parts, *(below for part in parts for below in self._take(part.id))]

    def _export(self, call: Call, whole: Sequence[Span]) -> None:
        _, trace, _, flags = call.traceparent.split("-")
        contexts: dict[str, Context] = {}
        outside = Context()
        if call.came_from:
            remote = SpanContext(int(trace, 16), int(call.came_from, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
            outside = set_span_in_context(NonRecordingSpan(remote), outside)
        for one in whole:
            self._ids.trace_id, self._ids.span_id = int(trace, 16), int(one.row.id[16:], 16)
            made = self._tracer.start_span(
                one.row.stage or one.row.function,
                contexts.get(one.row.parent, outside),
                SpanKind.INTERNAL if one.depth else SpanKind.SERVER,
                _attributes(one.row),
                start_time=one.begins_us * 1000,
            )
            if one.row.code != "ok":
                made.set_status(Status(StatusCode.ERROR, one.row.code))
            made.end(one.ends_us * 1000)
            contexts[one.row.id] = set_span_in_context(made, outside)


class GivenIds(IdGenerator):
    """Gives the next span the ids that were set."""

    trace_id = span_id = 1

    def generate_trace_id(self) -> int:
        """Return the id of the trace."""
        return self.trace_id

    def generate_span_id(self) -> int:
        """Return the id of the span."""
        return self.span_id


def open_spans(exporter: str, service: str) -> OpenTelemetrySpans:
    """Have spans sent by an exporter of OpenTelemetry; `service` names this server where OTEL_… does not, "" where it does.

    Raises:
        DefinitionError: there is no such exporter.
    """
    found = entry_points(group=EXPORTERS, name=exporter)
    if not found:
        there = ", ".join(sorted(entry_points(group=EXPORTERS).names))
        cure = "For otlp: pip install opentelemetry-exporter-otlp-proto-http"
        raise DefinitionError(f"OTEL_TRACES_EXPORTER: there is no exporter '{exporter}'; there are: {there}. {cure}")
    ids = GivenIds()
    provider = TracerProvider(
        resource=Resource.create({"service.name": service} if service else {}), id_generator=ids, shutdown_on_exit=False
    )
    provider.add_span_processor(BatchSpanProcessor(next(iter(found)).load()()))
    return OpenTelemetrySpans(provider, ids)


def _attributes(row: Row) -> dict[str, str | int | bool]:
    said = {name: getattr(row, name) for name in ("function", "version", "account", "code", "queue_us", "init_us", "compute_us", "batch")}
    return {f"servelite.{name}": value for name, value in {**said, "cold": bool(row.cold), "call": row.id}.items()}
