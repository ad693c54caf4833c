"""A server that OpenTelemetry's variables tell to make spans; without them it makes none, and loads nothing for it."""

import json
import signal
from pathlib import Path

import pytest

from tests.server import Server

TRACE = "0af7651916cd43dd8448eb211c80319c"
SENT = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}

PASSING = """
from servelite import Context, function

@function
def passing(value: int, context: Context) -> str:
    return context.call("below", value) + " " + context.traceparent
"""

BELOW = """
from servelite import Context, function

@function
def below(value: int, context: Context) -> str:
    return context.traceparent
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, source in (("passing", PASSING), ("below", BELOW)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "handler.py").write_text(source)
    return tmp_path


def read_spans(text: str) -> list[dict[str, object]]:
    """Read what the console's exporter wrote: JSON objects, one behind the other."""
    decoder, found, text = json.JSONDecoder(), [], text.strip()
    while text:
        one, end = decoder.raw_decode(text)
        found.append(one)
        text = text[end:].lstrip()
    return found


def test_calls_have_spans_and_handlers_pass_their_trace_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    server = Server(folder, cwd=folder)
    try:
        server.wait_ready()
        reply = server.request("POST", "/functions/passing", b"1", SENT)
        assert reply.status == 200
        call = reply.headers["x-request-id"]
        below, own = reply.body.decode().split()
        assert own == f"00-{TRACE}-{call[16:]}-01"
        server.process.send_signal(signal.SIGTERM)
        written, _ = server.process.communicate(timeout=30)
    finally:
        server.kill()
    spans = {span["name"]: span for span in read_spans(written[written.index("{") :])}
    assert spans.keys() == {"passing", "below"}
    assert spans["passing"]["context"]["trace_id"] == spans["below"]["context"]["trace_id"] == f"0x{TRACE}"  # type: ignore[index]
    assert spans["below"]["parent_id"] == f"0x{call[16:]}"
    assert below == f"00-{TRACE}-{spans['below']['context']['span_id'][2:]}-01"  # type: ignore[index]
    assert spans["passing"]["resource"]["attributes"]["service.name"] == "servelite"  # type: ignore[index]


def test_without_the_variables_there_is_no_trace(folder: Path) -> None:
    server = Server(folder / "below", cwd=folder)
    try:
        server.wait_ready()
        assert server.request("POST", "/functions/below", b"1", SENT).body == b""
        assert "opentelemetry" not in Path(f"/proc/{server.process.pid}/maps").read_text()
    finally:
        server.kill()


def test_an_exporter_that_is_not_there_ends_the_start(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "nothing")
    server = Server(folder / "below", cwd=folder)
    try:
        assert server.process.wait(30) == 2
        assert "OTEL_TRACES_EXPORTER: there is no exporter 'nothing'" in server.errors()
    finally:
        server.kill()
