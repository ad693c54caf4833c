"""The frames that gateway and worker exchange: length, kind, payload; bounded, no I/O here.

A frame is `length:u32 kind:u8 payload`, big-endian, `length` counting kind and payload. The
gateway sends BATCH; the worker sends READY (or BROKEN) once, then one REPLY for each BATCH. A reply
that is too large for one frame is sent in PARTs, shaped like it, with the REPLY last. Before it replies, a
worker may ASK for other functions, and is TOLD what came of each question, in any order.

    READY   JSON of a `Description`
    BROKEN  UTF-8 text: why the function can't be served
    BATCH   count:u16, then a call each: body:u32 id:u8 media:u8 account:u8 part:u8 traceparent:u8 deadline_s:f64 + those bytes
    REPLY   cpu_us:u64 peak_kib:u32 count:u16, then an outcome each:
            body:u32 code:u8 compute_us:u64 + those bytes; a code means an error, with {"detail", "errors", "stage"} as its body
    ASK     number:u32 body:u32 parent:u8 function:u8 media:u8 + those bytes, the body last
    TOLD    number:u32 media:u8 + those bytes, then an outcome as in REPLY

Everything that does not fit is a `FrameError`, never a wait for bytes that will not come.
"""

import json
import struct
from collections.abc import Iterator, Sequence
from enum import IntEnum
from struct import Struct

from servelite.core.call import BatchReply, Call, Outcome, Question, Told
from servelite.core.errors import FrameError, FunctionFailed, ServeliteError, from_wire, wire_code

MAX_FRAME_BYTES = 256 * 1024 * 1024
"""Largest frame: 42 bodies of the default 6 MiB limit; the pool fills a batch only up to a part of it."""

MOST_OUTCOMES = 0xFFFF
"""Outcomes that one frame can count."""

MOST_QUESTIONS = 64
"""Questions of one worker that may be open at the same time; a thread that has one more waits."""

HEAD = Struct("!IB")
_COUNT = Struct("!H")
_CALL = Struct("!IBBBBBd")
_REPLY = Struct("!QIH")
_OUTCOME = Struct("!IBQ")
_ASK = Struct("!IIBBB")
_TOLD = Struct("!IB")


class Kind(IntEnum):
    """What a frame holds."""

    READY = 1
    BROKEN = 2
    BATCH = 3
    REPLY = 4
    PART = 5
    ASK = 6
    TOLD = 7


def frame(kind: Kind, *parts: bytes) -> bytes:
    """Put a frame together.

    Raises:
        FrameError: it would be longer than MAX_FRAME_BYTES.
    """
    length = 1 + sum(map(len, parts))
    if length > MAX_FRAME_BYTES:
        raise FrameError(f"A frame of {length} bytes is over the limit of {MAX_FRAME_BYTES}.")
    return b"".join((HEAD.pack(length, kind), *parts))


def parse_head(head: bytes) -> tuple[int, Kind]:
    """Return how many payload bytes follow a frame's head, and what they are."""
    try:
        length, kind = HEAD.unpack(head)
        return checked_length(length), Kind(kind)
    except (struct.error, ValueError) as error:
        raise FrameError(f"Not a frame: it begins with {head.hex()}.") from error


def checked_length(length: int) -> int:
    """Return the payload's length from the frame's, or refuse it."""
    if not 1 <= length <= MAX_FRAME_BYTES:
        raise FrameError(f"A frame says that it has {length} bytes; 1 to {MAX_FRAME_BYTES} are possible.")
    return length - 1


class FrameReader:
    """Makes frames of bytes as they arrive, in whatever pieces."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Kind, bytes]]:
        """Take some bytes and yield every frame that is complete with them."""
        self._pending += data
        while len(self._pending) >= HEAD.size:
            size, kind = parse_head(bytes(self._pending[: HEAD.size]))
            end = HEAD.size + size
            if len(self._pending) < end:
                return
            payload = bytes(memoryview(self._pending)[HEAD.size : end])
            del self._pending[:end]
            yield kind, payload


def pack_batch(calls: Sequence[Call]) -> bytes:
    """Make the BATCH frame of some calls; FrameError where a field is longer than its length can say."""
    try:
        parts = [_COUNT.pack(len(calls))]
        for call in calls:
            id_, media, account, part = call.id.encode(), call.media_type.encode(), call.account.encode(), call.part.encode()
            trace, body = call.traceparent.encode(), call.body
            sizes = len(body), len(id_), len(media), len(account), len(part), len(trace)
            parts += (_CALL.pack(*sizes, call.deadline_s), id_, media, account, part, trace, body)
    except struct.error as error:
        raise FrameError(f"A batch of {len(calls)} calls makes no frame: {error}.") from error
    return frame(Kind.BATCH, *parts)


def unpack_batch(payload: bytes, function: str) -> list[Call]:
    """Read the calls of a BATCH frame's payload."""
    fields = _Fields(payload)
    (count,) = fields.take(_COUNT)
    calls = []
    for _ in range(count):
        body, *lengths, deadline_s = fields.take(_CALL)
        id_, media, account, part, traceparent = [fields.text(length) if length else "" for length in lengths]
        calls.append(Call(id_, function, media, fields.slice(body), account, deadline_s, part=part, traceparent=traceparent))
    fields.end()
    return calls


def pack_reply(reply: BatchReply) -> list[bytes]:
    """Make the frames of a batch's reply: PARTs where it is too large for one, and the REPLY.

    An outcome that fits no frame by itself becomes an error.
    """
    groups: list[list[bytes]] = [[]]
    room = most = MAX_FRAME_BYTES - 1 - _REPLY.size
    for outcome in reply.outcomes:
        packed = _outcome(outcome, most)
        if len(packed) > room or len(groups[-1]) == MOST_OUTCOMES:
            groups.append([])
            room = most
        groups[-1].append(packed)
        room -= len(packed)
    kinds = [Kind.PART] * (len(groups) - 1) + [Kind.REPLY]
    used = reply.cpu_us, reply.peak_kib
    return [frame(kind, _packed(_REPLY, *used, len(group)), *group) for kind, group in zip(kinds, groups, strict=True)]


def unpack_reply(payloads: Sequence[bytes], calls: int) -> BatchReply:
    """Read the payloads of a reply to some calls; FrameError where they are not as many outcomes."""
    outcomes: list[Outcome] = []
    for payload in payloads:
        fields = _Fields(payload)
        cpu_us, peak_kib, count = fields.take(_REPLY)
        outcomes += [_read_outcome(fields) for _ in range(count)]
        fields.end()
    if len(outcomes) != calls:
        raise FrameError(f"A batch of {calls} calls was answered with {len(outcomes)} outcomes.")
    return BatchReply(outcomes, cpu_us, peak_kib)


def pack_ask(question: Question) -> bytes:
    """Make the ASK frame of a question; FrameError where it fits none."""
    number, *names, body = question
    texts = [name.encode() for name in names]
    return frame(Kind.ASK, _packed(_ASK, number, len(body), *map(len, texts)), *texts, body)


def unpack_ask(payload: bytes) -> Question:
    """Read the payload of an ASK frame."""
    fields = _Fields(payload)
    number, body, *lengths = fields.take(_ASK)
    parent, function, media = map(fields.text, lengths)
    question = Question(number, parent, function, media, fields.slice(body))
    fields.end()
    return question


def pack_told(told: Told) -> bytes:
    """Make the TOLD frame that answers a question; an output that fits no frame becomes an error."""
    media = told.media_type.encode()
    head = _packed(_TOLD, told.number, len(media)) + media
    return frame(Kind.TOLD, head, _outcome(told.outcome, MAX_FRAME_BYTES - 1 - len(head)))


def unpack_told(payload: bytes) -> Told:
    """Read the payload of a TOLD frame."""
    fields = _Fields(payload)
    number, length = fields.take(_TOLD)
    media = fields.text(length)
    told = Told(number, _read_outcome(fields), media)
    fields.end()
    return told


def _read_outcome(fields: "_Fields") -> Outcome:
    body, code, compute_us = fields.take(_OUTCOME)
    if not code:
        return Outcome(fields.slice(body), None, compute_us)
    name = fields.text(code)
    return Outcome(b"", _failed(name, fields.slice(body)), compute_us)


def _outcome(outcome: Outcome, most: int) -> bytes:
    error, size = outcome.error, len(outcome.body)
    if error is None and size > most - _OUTCOME.size:
        error = FunctionFailed(f"The output has {size:,} bytes; at most {most:,} are possible.")
    code, body = (wire_code(error).encode(), _told(error)) if error else (b"", outcome.body)
    return _packed(_OUTCOME, len(body), len(code), outcome.compute_us) + code + body


def _packed(shape: Struct, *values: int) -> bytes:
    try:
        return shape.pack(*values)
    except struct.error as error:
        raise FrameError(f"A field does not fit its frame: {error}.") from error


def _told(error: ServeliteError) -> bytes:
    """Write an error's words; what a careless author put among them becomes text."""
    fields = [{key: str(value) for key, value in dict(field).items()} for field in error.errors]
    return json.dumps({"detail": error.detail, "errors": fields, "stage": str(error.stage)}).encode()


def _failed(code: str, content: bytes) -> ServeliteError:
    try:
        said = json.loads(content)
        error = from_wire(code, said["detail"], said["errors"])
        error.stage = str(said.get("stage", ""))
    except (ValueError, KeyError, TypeError, RecursionError) as wrong:
        raise FrameError(f"An error of the code '{code}' can't be read: {content[:80]!r}.") from wrong
    return error


class _Fields:
    """Walks through a payload; whatever reaches past its end is a FrameError."""

    def __init__(self, payload: bytes) -> None:
        self._payload = payload
        self._at = 0

    def take(self, shape: Struct) -> tuple:  # type: ignore[type-arg]  # Struct's fields are untyped
        try:
            values = shape.unpack_from(self._payload, self._at)
        except struct.error as error:
            raise FrameError(f"A frame ends at byte {len(self._payload)}, inside a field at {self._at}.") from error
        self._at += shape.size
        return values

    def slice(self, length: int) -> bytes:
        end = self._at + length
        if end > len(self._payload):
            raise FrameError(f"A frame ends at byte {len(self._payload)}, but a field of it at {end}.")
        value = self._payload[self._at : end]
        self._at = end
        return value

    def text(self, length: int) -> str:
        value = self.slice(length)
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise FrameError(f"A text in a frame is not UTF-8: {value!r}.") from error

    def end(self) -> None:
        if self._at != len(self._payload):
            raise FrameError(f"A frame has {len(self._payload) - self._at} bytes more than its fields.")
