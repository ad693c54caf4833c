"""A process on AWS Lambda for tests: functions behind the door, what it logs of calls, and the objects of a store in memory."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from servelite.adapters.aws_lambda.door import make_handler
from servelite.adapters.aws_lambda.environment import Environment
from servelite.assembly.environment import LambdaSurroundings
from servelite.core.errors import NotFound

EVENTS = Path(__file__).parent / "events"

TOTAL = '''
"""Adds up."""
from pydantic import BaseModel
from servelite import function

class Numbers(BaseModel):
    x: list[float]

@function(max_batch=8)
def total(batch: list[Numbers]) -> list[float]:
    return [sum(one.x) for one in batch]
'''
"""Takes what most of the sample events hold."""

SHOUT = """
from servelite import function
@function
def shout(text: str) -> str:
    return text.upper()
"""

FLIP = """
from servelite import function
@function
def flip(data: bytes) -> bytes:
    return data[::-1]
"""


def event(name: str) -> Any:
    """Return a sample event."""
    return json.loads((EVENTS / f"{name}.json").read_text(encoding="utf-8"))


class Context:
    """What Lambda tells of an invocation."""

    def __init__(self, request_id: str, left_s: float, function: str) -> None:
        self.aws_request_id = request_id
        self.client_context = type("ClientContext", (), {"custom": {"servelite-function": function}})() if function else None
        self._left_ms = int(left_s * 1000)

    def get_remaining_time_in_millis(self) -> int:
        return self._left_ms


@dataclass
class MemoryObjects:
    """The `Objects` port in memory."""

    kept: dict[tuple[str, str], tuple[str, bytes]] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)

    def get(self, bucket: str, key: str, version: str, most_bytes: int) -> tuple[str, bytes] | None:
        self.asked.append((bucket, key, version))
        if (bucket, key) not in self.kept:
            raise NotFound(f"s3://{bucket}/{key} can't be read: there is no such object (NoSuchKey).")
        media_type, content = self.kept[bucket, key]
        return (media_type, content) if len(content) <= most_bytes else None

    def put(self, bucket: str, key: str, content: bytes, media_type: str) -> None:
        self.kept[bucket, key] = (media_type, content)


class Lambda:
    """A process on Lambda."""

    def __init__(self, functions: Path, **surroundings: Any) -> None:
        self._written: list[str] = []
        self.environment = Environment(LambdaSurroundings(functions, **surroundings), self._written.append)
        self.objects = self.environment.objects = MemoryObjects()
        self._handler = make_handler(self.environment)
        self._requests = 0

    def __call__(self, sent: Any, left_s: float = 30.0, request_id: str = "", function: str = "") -> Any:
        """Send an event, and return what the handler does."""
        self._requests += 1
        request_id = request_id or f"00000000-0000-4000-8000-{self._requests:012}"
        return self._handler(sent, Context(request_id, left_s, function))

    @property
    def calls(self) -> list[dict[str, Any]]:
        """What was logged of calls, a line each."""
        return [json.loads(line) for text in self._written for line in text.splitlines()]


def queue_event(bodies: Iterable[Any], groups: Iterable[str] = (), **fields: Any) -> dict[str, Any]:
    """Return an event of SQS, with messages m0, m1, …; of a FIFO queue where there are groups."""
    named = list(groups)
    records = []
    for place, body in enumerate(bodies):
        attributes = {"MessageGroupId": named[place]} if named else {}
        text = body if isinstance(body, str) else json.dumps(body)
        arn = "arn:aws:sqs:us-east-1:123456789012:jobs" + ".fifo" * bool(named)
        records.append(
            {"messageId": f"m{place}", "body": text, "attributes": attributes, "eventSource": "aws:sqs", "eventSourceARN": arn, **fields}
        )
    return {"Records": records}


def failed(answer: dict[str, Any]) -> list[str]:
    """Return the messages that come again."""
    return [one["itemIdentifier"] for one in answer["batchItemFailures"]]
