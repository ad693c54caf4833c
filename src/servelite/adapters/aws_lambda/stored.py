"""Objects in S3 that events tell of: read as inputs; the outputs are written beside them, or where SERVELITE_OUTPUT says.

A result's key ends in `.servelite.json`, `.txt` or `.bin`. Objects whose key does are never inputs: a result makes a notification
as any object does, and would be answered again for ever.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from servelite.adapters.aws_lambda.environment import Environment
from servelite.adapters.aws_lambda.failures import lacks
from servelite.core.call import Call
from servelite.core.errors import DefinitionError, PayloadTooLarge
from servelite.core.function import BINARY, JSON, TEXT, Description

MOST_OBJECT_BYTES = 64 * 1024 * 1024
"""The largest object that is read; it is held in memory with all that is made of it."""

ENDINGS = {JSON: ".servelite.json", TEXT: ".servelite.txt", BINARY: ".servelite.bin"}

OUTPUT = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")


@dataclass(frozen=True, slots=True)
class Stored:
    """An object; `version` is "" where its bucket keeps but one, and `sequencer` orders what happened to it."""

    bucket: str
    key: str
    version: str = ""
    sequencer: str = ""

    @property
    def identity(self) -> tuple[str, ...]:
        """What tells it from all other objects, and from itself before and after."""
        return self.bucket, self.key, self.version, self.sequencer

    @property
    def is_result(self) -> bool:
        """Whether servelite wrote it."""
        return self.key.endswith(tuple(ENDINGS.values()))


def read_notification(event: Mapping[str, Any]) -> Iterator[Stored]:
    """Yield the objects that were made; S3 writes their keys as forms do."""
    for record in event["Records"]:
        if not str(record.get("eventName", "ObjectCreated")).removeprefix("s3:").startswith("ObjectCreated"):
            continue
        try:
            bucket, made = record["s3"]["bucket"]["name"], record["s3"]["object"]
            stored = Stored(bucket, unquote_plus(made["key"]), made.get("versionId", ""), made.get("sequencer", ""))
        except (KeyError, TypeError) as error:
            raise lacks("a record of S3", "s3.object.key") from error
        if not stored.is_result:
            yield stored


def read_s3_detail(event: Mapping[str, Any]) -> Iterator[Stored]:
    """Yield the object that was made, as EventBridge tells of it: its key as it is."""
    if event.get("detail-type") != "Object Created":
        return
    try:
        bucket, made = event["detail"]["bucket"]["name"], event["detail"]["object"]
        stored = Stored(bucket, made["key"], made.get("version-id", ""), made.get("sequencer", ""))
    except (KeyError, TypeError) as error:
        raise lacks("an event of S3", "detail.object.key") from error
    if not stored.is_result:
        yield stored


async def answer_stored(environment: Environment, function: Description, stored: Stored, call: Call) -> dict[str, str]:
    """Answer an object, and tell where the output is."""
    found = environment.objects.get(stored.bucket, stored.key, stored.version, MOST_OBJECT_BYTES)
    if found is None:
        told = f"s3://{stored.bucket}/{stored.key} has more than {MOST_OBJECT_BYTES // 1024**2} MiB, and is not read"
        raise PayloadTooLarge(f"{told}. Split it.")
    media_type, call.body = found
    call.media_type = media_type if function.accepts(media_type) else ""
    answer = await environment.call(call)
    bucket, key = result_place(stored, environment.surroundings.output, function.gives)
    environment.objects.put(bucket, key, answer.body, function.gives)
    return {"input": f"s3://{stored.bucket}/{stored.key}", "output": f"s3://{bucket}/{key}"}


def result_place(stored: Stored, output: str, media_type: str) -> tuple[str, str]:
    """Return the bucket and the key of an object's result.

    Raises:
        DefinitionError: the output's place can't be read.
    """
    key = stored.key + ENDINGS.get(media_type, ENDINGS[BINARY])
    if not output:
        return stored.bucket, key
    place = OUTPUT.fullmatch(output)
    if place is None:
        raise DefinitionError(f"SERVELITE_OUTPUT is '{output}', which names no place. Write s3://BUCKET/PREFIX.")
    prefix = (place[2] or "").strip("/")
    return place[1], f"{prefix}/{key}" if prefix else key
