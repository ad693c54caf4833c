"""What a message is about: inputs, or objects that hold them; envelopes that AWS puts around each other are opened, SNS within SQS too."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from servelite.adapters.aws_lambda.environment import Environment
from servelite.adapters.aws_lambda.payloads import body_of, body_of_text, output_of
from servelite.adapters.aws_lambda.stored import Stored, answer_stored, read_notification, read_s3_detail
from servelite.core.call import Call
from servelite.core.function import Description
from servelite.runtime.ids import lasting_id

ENVELOPE_MARKS = ('"TopicArn"', '"aws:s3"', '"s3:TestEvent"', '"detail-type"')
"""One of them stands in each envelope; a message without is an input, and not parsed here."""


@dataclass(frozen=True, slots=True)
class Text:
    """An input that came as text."""

    text: str


@dataclass(frozen=True, slots=True)
class Value:
    """An input that came within JSON."""

    value: Any


Work = Text | Value | Stored


def read_message(text: str) -> list[Work]:
    """Return what a message is about."""
    envelope = _parsed(text) if any(mark in text for mark in ENVELOPE_MARKS) else None
    if envelope is None:
        return [Text(text)]
    if envelope.get("Type") == "Notification" and "TopicArn" in envelope and isinstance(envelope.get("Message"), str):
        return read_message(envelope["Message"])
    if envelope.get("Event") == "s3:TestEvent":  # S3 sends one when its notifications are set up
        return []
    if isinstance(envelope.get("Records"), list) and any(_is_of_s3(record) for record in envelope["Records"]):
        return list(read_notification(envelope))
    if {"detail-type", "detail", "source", "id"} <= envelope.keys():
        return read_detail(envelope)
    return [Text(text)]


def read_detail(event: Mapping[str, Any]) -> list[Work]:
    """Return what an event of EventBridge is about."""
    if event["source"] == "aws.s3":
        return list(read_s3_detail(event))
    return [Value(event["detail"])]


def named(attributes: Any, field: str) -> str:
    """Return the function that a message's attribute `servelite-function` names, "" for none."""
    attribute = attributes.get("servelite-function") if isinstance(attributes, dict) else None
    return str(attribute.get(field, "")) if isinstance(attribute, dict) else ""


async def answer_all(
    environment: Environment, function: Description, works: Sequence[Work], message_id: str, patience_s: float = 0.0
) -> list[Any]:
    """Answer what a message is about, one after the other, with ids made of the message's; the first error ends it.

    Raises:
        ServeliteError: what came of a call.
    """
    ids = [message_id, *(lasting_id(message_id, str(place)) for place in range(1, len(works)))]
    return [await _answer(environment, function, work, call_id, patience_s) for work, call_id in zip(works, ids, strict=False)]


async def _answer(environment: Environment, function: Description, work: Work, call_id: str, patience_s: float) -> Any:
    if isinstance(work, Stored):
        return await answer_stored(environment, function, work, Call(call_id, function.name, patience_s=patience_s))
    media_type, body = body_of_text(work.text, function) if isinstance(work, Text) else body_of(work.value, function)
    answer = await environment.call(Call(call_id, function.name, media_type, body, patience_s=patience_s))
    return output_of(answer.body, function, is_ascii=environment.surroundings.is_ascii)


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _is_of_s3(record: Any) -> bool:
    return isinstance(record, dict) and record.get("eventSource") == "aws:s3"
