"""Events to bodies, and answers to what Lambda's runtime writes: inputs and outputs stand in JSON as examples.jsonl has them."""

import json
from typing import Any

from servelite.core.errors import DefinitionError, FunctionFailed, InvalidInput, MalformedJson, PayloadTooLarge
from servelite.core.function import BINARY, JSON, TEXT, Description
from servelite.core.schema import to_body

MOST_ANSWER_BYTES = 6_291_556
"""The longest answer that Lambda takes; a longer one would end the process."""

MOST_GROWTH = 6
"""How many bytes one byte of an answer may become at most when it is written again: `\\u0080`."""


def body_of(value: Any, function: Description) -> tuple[str, bytes]:
    """Return the media type and the body that send a value of an event: text as it is, bytes from base64, all else as JSON.

    Raises:
        MalformedJson: it holds NaN, Infinity or half a character.
        InvalidInput: the function takes bytes, and it is not base64.
    """
    try:
        if isinstance(value, str) and function.takes[0] in (TEXT, BINARY):
            return "", function.encode_input(value)
        return to_body(value)
    except DefinitionError as error:
        raise InvalidInput(f"{function.name} takes bytes, and the payload is not base64: {value[:40]!r}. Encode it.") from error
    except (FunctionFailed, UnicodeEncodeError) as error:
        raise MalformedJson("The payload can't be said in strict JSON: it holds NaN, Infinity or half a character.") from error


def body_of_text(text: str, function: Description) -> tuple[str, bytes]:
    """Return the media type and the body of a message: it is the input's JSON, or the text itself, or base64 where bytes are taken."""
    if function.takes[0] == BINARY:
        return body_of(text, function)
    try:
        return (TEXT if function.takes[0] == TEXT else JSON), text.encode()
    except UnicodeEncodeError as error:
        raise MalformedJson("The message holds half a character.") from error


def output_of(body: bytes, function: Description, *, is_ascii: bool) -> Any:
    """Return an answer as the runtime is to write it; PayloadTooLarge where that would be more than Lambda takes."""
    output = function.decode_output(body)
    if len(body) * MOST_GROWTH > MOST_ANSWER_BYTES:
        check_size(len(written(output, is_ascii=is_ascii)))
    return output


def written(value: Any, *, is_ascii: bool) -> bytes:
    """Return what the runtime writes: JSON, in ASCII or not."""
    return json.dumps(value, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")


def check_size(size: int) -> None:
    """Refuse an answer that is too long for Lambda."""
    if size > MOST_ANSWER_BYTES:
        told = f"The answer has {size:,} bytes, and Lambda takes {MOST_ANSWER_BYTES:,}"
        raise PayloadTooLarge(f"{told}. Have the function answer less, or give it objects in S3: its results are written there.")
