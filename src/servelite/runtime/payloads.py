"""What travels between the stages of a pipeline: bytes, cut, joined and converted only where a stage needs it."""

import base64
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple, NoReturn

from servelite.core.errors import FunctionFailed, InvalidInput, MalformedJson, ServeliteError
from servelite.core.function import BINARY, JSON, TEXT

MOST_ITEMS = 10_000
"""Items of one list: each is a call, with a row in the ledger."""


class Payload(NamedTuple):
    """What goes into a stage or comes out of it; `is_callers` if the pipeline's caller sent it, who is told what is wrong with it."""

    body: bytes
    media_type: str
    is_callers: bool = False


def as_media(given: Payload, takes: Sequence[str]) -> Payload:
    """Return a payload as its taker has it: text and bytes are JSON strings inside of JSON, bytes in base64.

    Raises:
        MalformedJson, InvalidInput: it can't be had so, and the caller sent it.
        FunctionFailed: it can't be had so, and a stage gave it.
    """
    media = given.media_type
    if media in takes or media not in (JSON, TEXT, BINARY):
        return given
    if JSON in takes:
        return given._replace(body=in_json(given), media_type=JSON)
    if BINARY in takes:
        return given._replace(body=_decoded(given), media_type=BINARY)
    return given._replace(body=_text(given).encode(), media_type=TEXT)


def in_json(given: Payload) -> bytes:
    """Return a payload as JSON has it."""
    if given.media_type == JSON:
        return given.body
    text = _text(given) if given.media_type == TEXT else base64.b64encode(given.body).decode()
    return json.dumps(text, ensure_ascii=False).encode()


def list_of(outputs: Iterable[Payload]) -> Payload:
    """Join payloads to a list."""
    return Payload(b"[%b]" % b",".join(map(in_json, outputs)), JSON)


def object_of(names: Iterable[str], outputs: Iterable[Payload]) -> Payload:
    """Join payloads to an object."""
    fields = (b"%b:%b" % (json.dumps(name).encode(), in_json(output)) for name, output in zip(names, outputs, strict=True))
    return Payload(b"{%b}" % b",".join(fields), JSON)


def items_of(given: Payload) -> list[Payload]:
    """Cut a list into its items; what they are is left to those who take them. Raises as `as_media`."""
    if given.media_type != JSON:
        raise _wrong(given, "a list is wanted, as JSON")
    try:
        text = given.body.decode()
        if text[_skipped(text, 0) : _skipped(text, 0) + 1] != "[":
            json.loads(text, parse_constant=_refuse_constant)
            raise _wrong(given, "a list is wanted")
        return [given._replace(body=item.encode()) for item in _few(given, _cut(text))]
    except (ValueError, RecursionError) as error:
        raise _malformed(given, f"not strict JSON: {error}") from error


def _few(given: Payload, items: Iterator[str]) -> Iterator[str]:
    for number, item in enumerate(items):
        if number == MOST_ITEMS:
            raise _wrong(given, f"a list has at most {MOST_ITEMS:,} items")
        yield item


def _cut(text: str) -> Iterator[str]:
    """Yield the items of a JSON array as they are written."""
    at = _skipped(text, _skipped(text, 0) + 1)
    is_more = text[at : at + 1] != "]"
    while is_more:
        _, end = _scan(text, at)
        yield text[at:end]
        at = _skipped(text, end)
        is_more = text[at : at + 1] == ","
        if is_more:
            at = _skipped(text, at + 1)
    if text[at : at + 1] != "]" or _skipped(text, at + 1) != len(text):
        raise ValueError(f"an item, ',' or ']' is wanted at character {at}, and nothing after the list")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")


_space = re.compile(r"[ \t\n\r]*")
_scan = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant).raw_decode  # numbers stay as they are written


def _skipped(text: str, at: int) -> int:
    """Return where the white space at a place ends."""
    found = _space.match(text, at)
    return found.end() if found else at


def _text(given: Payload) -> str:
    try:
        text: Any = json.loads(given.body) if given.media_type == JSON else given.body.decode()
    except (ValueError, RecursionError) as error:
        raise _malformed(given, f"not UTF-8 text: {error}") from error
    if not isinstance(text, str):
        raise _wrong(given, "a text is wanted")
    return text


def _decoded(given: Payload) -> bytes:
    text = _text(given)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise _wrong(given, f"bytes are wanted, written as base64: {error}") from error


def _wrong(given: Payload, rule: str) -> ServeliteError:
    if given.is_callers:
        return InvalidInput(f"input: {rule} (it is {_shown(given)}).", [{"field": "", "message": rule, "rule": "pipeline_input"}])
    return FunctionFailed(f"What came out of the stage before is not what is needed: {rule}.")


def _malformed(given: Payload, why: str) -> ServeliteError:
    if given.is_callers:
        return MalformedJson(f"The body is {why}.")
    return FunctionFailed(f"What came out of the stage before is {why}.")


def _shown(given: Payload) -> str:
    text = given.body[:61].decode(errors="replace")
    return text if len(text) <= 60 else f"{text[:57]}…"
