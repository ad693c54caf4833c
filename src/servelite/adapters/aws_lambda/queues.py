"""Queues: SQS batches become batches of the model, and only the messages that failed come again."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from servelite.adapters.aws_lambda.environment import Environment
from servelite.adapters.aws_lambda.failures import lacks
from servelite.adapters.aws_lambda.invocation import SPARE_S, Invocation
from servelite.adapters.aws_lambda.works import answer_all, named, read_message
from servelite.core.errors import ServeliteError, wire_code
from servelite.runtime.ids import lasting_id

AT_ONCE = 1000
"""Messages that wait together: Lambda sends up to 10,000 in a batch, and a pool has room for 2000."""

logger = logging.getLogger("servelite.lambda")


@dataclass(frozen=True, slots=True)
class Message:
    """A message of a queue; `group` is "" where the queue keeps no order."""

    id: str
    text: str
    function: str
    group: str


def answer(environment: Environment, invocation: Invocation) -> dict[str, Any]:
    """Answer the messages of a batch, and tell which of them failed: Lambda deletes the others from the queue.

    What can't be begun SPARE_S before the deadline has failed too. Of a FIFO queue each group is answered message by message; where
    one fails, those that follow in its group are not begun, and come again behind it.
    """
    messages = [_read(record) for record in invocation.event["Records"]]
    failed = environment.run(_answer(environment, invocation, messages))
    return {"batchItemFailures": [{"itemIdentifier": message.id} for message in messages if message.id in failed]}


def _read(record: Mapping[str, Any]) -> Message:
    for field in ("messageId", "body"):
        if not isinstance(record.get(field), str):
            raise lacks("a record of SQS", field)
    is_fifo = str(record.get("eventSourceARN", "")).endswith(".fifo")  # other queues may have groups too, without an order
    group = str(record.get("attributes", {}).get("MessageGroupId", "")) if is_fifo else ""
    return Message(record["messageId"], record["body"], named(record.get("messageAttributes"), "stringValue"), f"group {group}" * is_fifo)


async def _answer(environment: Environment, invocation: Invocation, messages: Sequence[Message]) -> set[str]:
    failed: set[str] = set()
    for first in range(0, len(messages), AT_ONCE):
        lines = _in_lines(messages[first : first + AT_ONCE])
        for ids in await asyncio.gather(*(_answer_line(environment, invocation, line) for line in lines)):
            failed |= ids
    return failed


def _in_lines(messages: Sequence[Message]) -> list[list[Message]]:
    """Return the messages of each group in their order; one that has no group is a line of its own."""
    lines: dict[str, list[Message]] = {}
    for message in messages:
        lines.setdefault(message.group or message.id, []).append(message)
    return list(lines.values())


async def _answer_line(environment: Environment, invocation: Invocation, line: Sequence[Message]) -> set[str]:
    """Answer messages one after the other; return the ids of the first that failed, and of those behind it."""
    for place, message in enumerate(line):
        if not await _is_answered(environment, invocation, message):
            return {one.id for one in line[place:]}
    return set()


async def _is_answered(environment: Environment, invocation: Invocation, message: Message) -> bool:
    patience_s = environment.engine.ends_s - time.monotonic() - SPARE_S
    if patience_s <= 0:
        logger.warning("message %s was not begun: its time is up in %g s", message.id, SPARE_S + patience_s)
        return False
    try:
        function = environment.function(invocation, message.function)
        call_id = lasting_id("aws:sqs", function.name, message.id)
        await answer_all(environment, function, read_message(message.text), call_id, patience_s)
    except ServeliteError as error:
        logger.warning("message %s failed: %s: %s", message.id, wire_code(error), error.detail)
        return False
    return True
