"""Spans of calls: in the client's trace, each below the call that it was part of, with the times of the waterfall."""

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from servelite.core.call import Call
from servelite.core.errors import DefinitionError
from servelite.stores import spans as room
from servelite.stores.spans import GivenIds, OpenTelemetrySpans, open_spans
from tests.stores.rows import NOON, row

TRACE, CLIENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
SENT = f"00-{TRACE}-{CLIENT}-01"


class Traced:
    """Spans into memory."""

    def __init__(self):
        self.exporter, ids = InMemorySpanExporter(), GivenIds()
        provider = TracerProvider(id_generator=ids, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = OpenTelemetrySpans(provider, ids)

    def begun(self, made, *headers):
        """Return the call of a row, which came with some headers."""
        call = Call(made.id, made.function)
        self.spans.begin(call, headers)
        return call

    @property
    def made(self):
        return {f"{span.context.span_id:016x}": span for span in self.exporter.get_finished_spans()}


@pytest.fixture
def traced():
    made = Traced()
    yield made
    made.spans.close()


def test_a_call_has_a_span_with_its_times_and_figures(traced):
    one = row(at_us=NOON, queue_us=200, init_us=300, compute_us=1_000, version="3", batch=1, cold=1)
    traced.spans.record([(traced.begun(one), one)])
    (span,) = traced.made.values()
    assert (span.name, span.kind, span.parent, span.status.status_code) == ("f", SpanKind.SERVER, None, StatusCode.UNSET)
    assert (span.start_time, span.end_time) == ((NOON - 1_500) * 1000, NOON * 1000)
    assert (f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}") == (one.id, one.id[16:])
    said = {name.removeprefix("servelite."): value for name, value in span.attributes.items()}
    assert {name: said[name] for name in ("function", "version", "compute_us", "queue_us", "cold")} == {
        "function": "f",
        "version": "3",
        "compute_us": 1_000,
        "queue_us": 200,
        "cold": True,
    }


def test_a_call_that_failed_says_so(traced):
    one = row(code="timed_out", status=504)
    traced.spans.record([(traced.begun(one), one)])
    (span,) = traced.made.values()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "timed_out")


def test_a_clients_trace_goes_on(traced):
    one = row()
    call = traced.begun(one, (b"host", b"x"), (b"traceparent", SENT.encode()))
    assert call.traceparent == f"00-{TRACE}-{one.id[16:]}-01"
    traced.spans.record([(call, one)])
    (span,) = traced.made.values()
    assert (f"{span.context.trace_id:032x}", f"{span.parent.span_id:016x}", span.parent.is_remote) == (TRACE, CLIENT, True)


def test_what_a_client_does_not_sample_has_no_span(traced):
    one = row()
    call = traced.begun(one, (b"traceparent", SENT[:-1].encode() + b"0"))
    traced.spans.record([(call, one)])
    assert (call.traceparent[-2:], traced.made) == ("00", {})


@pytest.mark.parametrize(
    "sent", ["", "00", SENT.upper(), SENT[:-1], f"ff{SENT[2:]}", f"00-{'0' * 32}-{CLIENT}-01", f"00-{TRACE}-{'0' * 16}-01", "é" * 55]
)
def test_a_header_that_is_none_begins_a_trace(traced, sent):
    one = row()
    assert traced.begun(one, (b"traceparent", sent.encode("latin-1"))).traceparent == f"00-{one.id}-{one.id[16:]}-01"


def test_parts_are_below_what_they_are_part_of(traced):
    whole = row(function="whole")
    stage = row(function="g", parent=whole.id, stage="whole/g")
    asked = row(function="asked", parent=stage.id)
    call = traced.begun(whole, (b"traceparent", SENT.encode()))
    traced.spans.record([(Call(asked.id, "asked"), asked)])
    traced.spans.record([(Call(stage.id, "g"), stage)])
    assert traced.made == {}
    traced.spans.record([(call, whole)])
    parents = {span.name: span.parent.span_id for span in traced.made.values()}
    assert {name: f"{parent:016x}" for name, parent in parents.items()} == {
        "whole": CLIENT,
        "whole/g": whole.id[16:],
        "asked": stage.id[16:],
    }
    assert {f"{span.context.trace_id:032x}" for span in traced.made.values()} == {TRACE}


def test_stages_stand_in_the_trace_of_their_call(traced):
    one = row()
    parent = traced.begun(one, (b"traceparent", SENT.encode()))
    stage = Call(row().id, "g")
    stage.join_trace(parent)
    assert stage.traceparent == f"00-{TRACE}-{stage.id[16:]}-01"
    alone = Call(row().id, "g")
    alone.join_trace(Call(one.id, "f"))
    assert alone.traceparent == ""


def test_parts_whose_call_never_ends_are_forgotten(traced, monkeypatch):
    monkeypatch.setattr(room, "MOST_HELD", 3)
    whole = row()
    for _ in range(4):
        traced.spans.record([(Call("x", "g"), row(parent="gone", stage="g"))])
    part = row(parent=whole.id, stage="g")
    traced.spans.record([(Call(part.id, "g"), part)])
    traced.spans.record([(traced.begun(whole), whole)])
    assert sorted(span.name for span in traced.made.values()) == ["f", "g"]


def test_an_exporter_that_is_not_there_is_told_with_the_cure():
    with pytest.raises(DefinitionError, match=r"no exporter 'nothing'; there are: .*console.*pip install opentelemetry-exporter-otlp"):
        open_spans("nothing", "servelite")
