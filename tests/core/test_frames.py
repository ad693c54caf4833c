import contextlib
import json
import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servelite.core import frames
from servelite.core.call import BatchReply, Call, Outcome, Question, Told
from servelite.core.errors import FrameError, FunctionFailed, InvalidInput, ServeliteError, all_errors
from servelite.core.frames import HEAD, MAX_FRAME_BYTES, FrameReader, Kind

SHORT = st.text(max_size=60)  # at most 240 bytes of UTF-8: the length of a name has one byte
WORDS = st.text(st.characters(codec="utf-8"))
CALLS = st.lists(
    st.builds(
        Call,
        id=SHORT,
        function=st.just("f"),
        media_type=SHORT,
        body=st.binary(),
        account=SHORT,
        deadline_s=st.floats(allow_nan=False),
        traceparent=SHORT,
    ),
    max_size=8,
)
ERRORS = st.builds(
    lambda kind, detail, errors: kind(detail, errors),
    st.sampled_from([kind for kind in all_errors() if kind is not ServeliteError]),
    WORDS,
    st.lists(st.fixed_dictionaries({"field": WORDS, "message": WORDS, "rule": WORDS}), max_size=3),
)
U32, U64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
REPLIES = st.builds(
    BatchReply,
    outcomes=st.lists(
        st.builds(Outcome, body=st.binary(), error=st.none(), compute_us=U64)
        | st.builds(Outcome, body=st.just(b""), error=ERRORS, compute_us=U64),
        max_size=8,
    ),
    cpu_us=U64,
    peak_kib=U32,
)
QUESTIONS = st.builds(Question, number=U32, parent=SHORT, function=SHORT, media_type=SHORT, body=st.binary())
TOLD = st.builds(
    Told,
    number=U32,
    outcome=st.builds(Outcome, body=st.binary(), error=st.none(), compute_us=U64)
    | st.builds(Outcome, body=st.just(b""), error=ERRORS, compute_us=U64),
    media_type=SHORT,
)
FRAMES = st.lists(st.tuples(st.sampled_from(Kind), st.binary(max_size=200)), max_size=6)


def payload_of(frame: bytes) -> bytes:
    return frame[HEAD.size :]


def unpacked(*payloads: bytes, calls: int | None = None) -> BatchReply:
    """Read a reply to as many calls as it says, or to those that are named."""
    return frames.unpack_reply(payloads, int.from_bytes(payloads[0][12:14]) if calls is None else calls)


def plain(reply: BatchReply) -> tuple[object, ...]:
    """Return what a reply says, comparable: exceptions are equal only to themselves."""
    said = [(one.body, one.error and (type(one.error), one.error.detail, one.error.errors), one.compute_us) for one in reply.outcomes]
    return said, reply.compute_us, reply.cpu_us, reply.peak_kib


def raw_reply(*outcomes: tuple[bytes, bytes]) -> bytes:
    """Make a REPLY payload of (code, content) by hand."""
    parts = [struct.pack("!QIH", 1, 1, len(outcomes))]
    parts += [struct.pack("!IBQ", len(content), len(code), 1) + code + content for code, content in outcomes]
    return b"".join(parts)


def plain_told(told: Told) -> tuple[object, ...]:
    """Return what a handler is told, comparable."""
    error = told.outcome.error
    return told.number, told.media_type, told.outcome.body, error and (type(error), error.detail, error.errors, error.stage)


def raw_ask(parent: bytes = b"1", function: bytes = b"f", media: bytes = b"m", body: bytes = b"") -> bytes:
    """Make an ASK payload by hand."""
    return struct.pack("!IIBBB", 1, len(body), len(parent), len(function), len(media)) + parent + function + media + body


def raw_told(media: bytes = b"m", code: bytes = b"", content: bytes = b"") -> bytes:
    """Make a TOLD payload by hand."""
    return struct.pack("!IB", 1, len(media)) + media + struct.pack("!IB", len(content), len(code)) + code + content


def raw_call(id_: bytes = b"1", media: bytes = b"m", account: bytes = b"a") -> bytes:
    """Make a BATCH payload of one call by hand."""
    return struct.pack("!HIBBBd", 1, 0, len(id_), len(media), len(account), 0.0) + id_ + media + account


@given(CALLS)
def test_a_batch_arrives_as_it_was_sent(calls):
    assert frames.unpack_batch(payload_of(frames.pack_batch(calls)), "f") == calls


@given(REPLIES)
def test_a_reply_arrives_as_it_was_sent(reply):
    assert plain(unpacked(payload_of(*frames.pack_reply(reply)))) == plain(reply)


@given(QUESTIONS)
def test_a_question_arrives_as_it_was_asked(question):
    assert frames.unpack_ask(payload_of(frames.pack_ask(question))) == question


@given(TOLD)
def test_what_is_told_arrives_as_it_was_sent(told):
    assert plain_told(frames.unpack_told(payload_of(frames.pack_told(told)))) == plain_told(told)


def test_an_error_keeps_the_stage_where_it_happened():
    error = InvalidInput("lines.count[3]: too long")
    error.stage = "lines.count[3]"
    told = frames.unpack_told(payload_of(frames.pack_told(Told(1, Outcome(error=error), ""))))
    assert told.outcome.error is not None
    assert told.outcome.error.stage == "lines.count[3]"


def test_a_batch_of_thousands_arrives():
    calls = [Call(f"{number:032x}", "f", body=b"x" * (number % 7), account="Zoë") for number in range(5000)]
    assert frames.unpack_batch(payload_of(frames.pack_batch(calls)), "f") == calls


def test_a_body_of_megabytes_arrives():
    body = bytes(range(256)) * 4096 * 8
    (call,) = frames.unpack_batch(payload_of(frames.pack_batch([Call("1", "f", body=body)])), "f")
    assert call.body == body


@given(sent=FRAMES, cuts=st.lists(st.integers(0, 1500), max_size=20))
def test_frames_are_the_same_in_whatever_pieces_they_arrive(sent, cuts):
    stream = b"".join(frames.frame(kind, payload) for kind, payload in sent)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    reader = FrameReader()
    read = [frame for start, end in pairwise(edges) for frame in reader.feed(stream[start:end])]
    assert read == sent


def test_frames_arrive_byte_by_byte():
    stream = frames.frame(Kind.READY, b"{}") + frames.frame(Kind.BROKEN, b"why")
    reader = FrameReader()
    assert [frame for byte in stream for frame in reader.feed(bytes([byte]))] == [(Kind.READY, b"{}"), (Kind.BROKEN, b"why")]


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(struct.pack("!IB", 0, Kind.BATCH), id="length zero"),
        pytest.param(struct.pack("!IB", MAX_FRAME_BYTES + 1, Kind.BATCH), id="one byte over the limit"),
        pytest.param(struct.pack("!IB", 2**32 - 1, Kind.BATCH), id="the largest length"),
        pytest.param(struct.pack("!IB", 1, 0), id="kind zero"),
        pytest.param(struct.pack("!IB", 1, 8), id="an unknown kind"),
        pytest.param(struct.pack("!IB", 1, 255), id="the largest kind"),
        pytest.param(b"HTTP/1.1 200 OK\r\n"[:5], id="another protocol"),
    ],
)
def test_a_head_that_begins_no_frame_is_refused_at_once(head):
    with pytest.raises(FrameError):
        frames.parse_head(head)
    with pytest.raises(FrameError):
        list(FrameReader().feed(head))


@pytest.mark.parametrize("size", [0, 4, 6])
def test_a_head_of_another_size_is_refused(size):
    with pytest.raises(FrameError):
        frames.parse_head(bytes(size))


@pytest.mark.parametrize("size", [0, 1, MAX_FRAME_BYTES - 1])
def test_a_head_says_how_many_bytes_follow(size):
    assert frames.parse_head(struct.pack("!IB", size + 1, Kind.REPLY)) == (size, Kind.REPLY)


def test_a_frame_over_the_limit_is_not_made():
    part = bytes(MAX_FRAME_BYTES // 8)
    with pytest.raises(FrameError, match=f"{MAX_FRAME_BYTES + 1} bytes is over the limit"):
        frames.frame(Kind.BATCH, *[part] * 8)


@given(CALLS.filter(bool), st.data())
def test_a_batch_cut_short_anywhere_is_a_frame_error(calls, data):
    payload = payload_of(frames.pack_batch(calls))
    with pytest.raises(FrameError):
        frames.unpack_batch(payload[: data.draw(st.integers(0, len(payload) - 1))], "f")


@given(REPLIES, st.data())
def test_a_reply_cut_short_anywhere_is_a_frame_error(reply, data):
    payload = payload_of(*frames.pack_reply(reply))
    with pytest.raises(FrameError):
        unpacked(payload[: data.draw(st.integers(0, len(payload) - 1))])


@given(QUESTIONS, st.data())
def test_a_question_cut_short_anywhere_is_a_frame_error(question, data):
    payload = payload_of(frames.pack_ask(question))
    with pytest.raises(FrameError):
        frames.unpack_ask(payload[: data.draw(st.integers(0, len(payload) - 1))])


@given(TOLD, st.data())
def test_what_is_told_cut_short_anywhere_is_a_frame_error(told, data):
    payload = payload_of(frames.pack_told(told))
    with pytest.raises(FrameError):
        frames.unpack_told(payload[: data.draw(st.integers(0, len(payload) - 1))])


@given(QUESTIONS, TOLD, st.binary(min_size=1, max_size=9))
def test_bytes_after_a_question_or_its_answer_are_a_frame_error(question, told, more):
    with pytest.raises(FrameError, match=f"{len(more)} bytes more"):
        frames.unpack_ask(payload_of(frames.pack_ask(question)) + more)
    with pytest.raises(FrameError, match=f"{len(more)} bytes more"):
        frames.unpack_told(payload_of(frames.pack_told(told)) + more)


@given(CALLS, REPLIES, st.binary(min_size=1, max_size=9))
def test_bytes_after_the_last_field_are_a_frame_error(calls, reply, more):
    with pytest.raises(FrameError, match=f"{len(more)} bytes more"):
        frames.unpack_batch(payload_of(frames.pack_batch(calls)) + more, "f")
    with pytest.raises(FrameError, match=f"{len(more)} bytes more"):
        unpacked(payload_of(*frames.pack_reply(reply)) + more)


NAMES = st.binary(max_size=20)


@given(st.binary() | st.builds(raw_call, NAMES, NAMES, NAMES))
def test_any_bytes_are_a_batch_or_a_frame_error(payload):
    with contextlib.suppress(FrameError):
        assert all(isinstance(call, Call) for call in frames.unpack_batch(payload, "f"))


@given(st.binary() | st.builds(lambda outcomes: raw_reply(*outcomes), st.lists(st.tuples(NAMES, st.binary()))))
def test_any_bytes_are_a_reply_or_a_frame_error(payload):
    with contextlib.suppress(FrameError):
        assert isinstance(unpacked(payload), BatchReply)


@given(st.binary() | st.builds(raw_ask, NAMES, NAMES, NAMES, st.binary()))
def test_any_bytes_are_a_question_or_a_frame_error(payload):
    with contextlib.suppress(FrameError):
        assert isinstance(frames.unpack_ask(payload), Question)


@given(st.binary() | st.builds(raw_told, NAMES, NAMES, st.binary()))
def test_any_bytes_are_told_or_a_frame_error(payload):
    with contextlib.suppress(FrameError):
        assert isinstance(frames.unpack_told(payload), Told)


@pytest.mark.parametrize("field", ["id_", "media", "account"])
def test_text_of_a_call_that_is_not_utf_8_is_a_frame_error(field):
    with pytest.raises(FrameError):
        frames.unpack_batch(raw_call(**{field: b"\xff"}), "f")


@pytest.mark.parametrize(
    ("code", "content"),
    [
        pytest.param(b"\xff", b'{"detail": "", "errors": []}', id="a code that is not UTF-8"),
        pytest.param(b"timed_out", b"", id="no content"),
        pytest.param(b"timed_out", b"{", id="torn JSON"),
        pytest.param(b"timed_out", b'"\xff"', id="JSON that is not UTF-8"),
        pytest.param(b"timed_out", b"[]", id="no object"),
        pytest.param(b"timed_out", b'{"errors": []}', id="no detail"),
        pytest.param(b"timed_out", b'{"detail": "x"}', id="no errors"),
        pytest.param(b"timed_out", b'{"detail": "x", "errors": 5}', id="errors that are no list"),
        pytest.param(b"timed_out", b"[" * 100_000, id="nesting without end"),
    ],
)
def test_an_error_that_can_not_be_read_is_a_frame_error(code, content):
    with pytest.raises(FrameError):
        unpacked(raw_reply((code, content)))


def test_an_unknown_code_is_read_as_function_failed():
    content = json.dumps({"detail": "from the future", "errors": []}).encode()
    (outcome,) = unpacked(raw_reply((b"no_such_code", content))).outcomes
    assert isinstance(outcome.error, FunctionFailed)


@pytest.mark.parametrize("field", ["id", "media_type", "account"])
def test_text_that_is_longer_than_its_length_can_say_is_a_frame_error(field):
    call = Call("1", "f")
    setattr(call, field, "x" * 256)
    with pytest.raises(FrameError):
        frames.pack_batch([call])


@pytest.mark.parametrize("field", ["parent", "function", "media_type"])
def test_text_of_a_question_that_is_longer_than_its_length_can_say_is_a_frame_error(field):
    with pytest.raises(FrameError):
        frames.pack_ask(Question(1, "p", "f", "m", b"")._replace(**{field: "x" * 256}))


def test_a_question_that_fits_no_frame_is_a_frame_error(monkeypatch):
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 100)
    with pytest.raises(FrameError, match="over the limit of 100"):
        frames.pack_ask(Question(1, "p", "f", "m", bytes(100)))


def test_an_output_that_fits_no_frame_is_told_as_an_error(monkeypatch):
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 300)
    told = frames.unpack_told(payload_of(frames.pack_told(Told(7, Outcome(b"b" * 400), "text/plain"))))
    assert told.number == 7
    assert isinstance(told.outcome.error, FunctionFailed)
    assert "400 bytes" in told.outcome.error.detail


def test_more_calls_than_a_frame_can_count_are_a_frame_error():
    with pytest.raises(FrameError):
        frames.pack_batch([Call("1", "f")] * 65_536)


def test_more_outcomes_than_a_frame_can_count_are_sent_in_parts():
    sent = frames.pack_reply(BatchReply([Outcome(b"x", None, 7)] * 65_536, 5, 3))
    assert [frames.parse_head(frame[: HEAD.size])[1] for frame in sent] == [Kind.PART, Kind.REPLY]
    reply = unpacked(*map(payload_of, sent), calls=65_536)
    assert (len(reply.outcomes), reply.compute_us) == (65_536, 7 * 65_536)


def test_a_reply_that_is_too_large_for_a_frame_is_sent_in_parts(monkeypatch):
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 100)
    outcomes = [Outcome(bytes([number]) * 60, None, number) for number in range(5)]
    sent = frames.pack_reply(BatchReply(outcomes, 5, 3))
    assert len(sent) == 5
    assert unpacked(*map(payload_of, sent), calls=5).outcomes == outcomes


def test_an_output_that_fits_no_frame_fails_alone(monkeypatch):
    monkeypatch.setattr(frames, "MAX_FRAME_BYTES", 300)
    sent = frames.pack_reply(BatchReply([Outcome(b"a"), Outcome(b"b" * 400, None, 7), Outcome(b"c")], 5, 3))
    first, huge, last = unpacked(*map(payload_of, sent), calls=3).outcomes
    assert (first, last) == (Outcome(b"a"), Outcome(b"c"))
    assert isinstance(huge.error, FunctionFailed)
    assert huge.compute_us == 7
    assert "400 bytes" in huge.error.detail


@given(REPLIES, st.integers(0, 9))
def test_a_reply_with_more_or_fewer_outcomes_than_calls_is_a_frame_error(reply, calls):
    if calls != len(reply.outcomes):
        with pytest.raises(FrameError, match=f"{calls} calls was answered with {len(reply.outcomes)} outcomes"):
            unpacked(*map(payload_of, frames.pack_reply(reply)), calls=calls)


@pytest.mark.parametrize("field", ["outcomes", "cpu_us", "peak_kib"])
def test_a_number_that_does_not_fit_its_field_is_a_frame_error(field):
    wrong = [Outcome(compute_us=2**64)] if field == "outcomes" else -1
    with pytest.raises(FrameError):
        frames.pack_reply(BatchReply(**{"outcomes": [], "cpu_us": 0, "peak_kib": 0, field: wrong}))


class Forgetful(InvalidInput):
    """An author's error that does not call its parent's constructor."""

    def __init__(self, words: int) -> None:
        self.words = words


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(InvalidInput(ValueError("too long")), id="an exception as the detail"),
        pytest.param(InvalidInput("too long", [{"field": {1, 2}, "message": "", "rule": ""}]), id="a set among the fields"),
        pytest.param(Forgetful(7), id="a constructor that forgets its parent"),
    ],
)
def test_an_authors_careless_error_still_crosses(error):
    (outcome,) = unpacked(payload_of(*frames.pack_reply(BatchReply([Outcome(error=error)], 1, 1)))).outcomes
    assert isinstance(outcome.error, InvalidInput)


def test_a_detail_with_a_lone_surrogate_crosses():
    (outcome,) = unpacked(payload_of(*frames.pack_reply(BatchReply([Outcome(error=InvalidInput("\ud800"))], 1, 1)))).outcomes
    assert outcome.error is not None
    assert outcome.error.detail == "\ud800"
