"""From bytes to a handler's typed input, and from its output to bytes; pydantic has its room here.

Strict JSON only. pydantic's parser lets NaN, Infinity and numbers beyond a float through (also as
strings in float fields) and its writer turns them into null, so a body that could hold one (a cheap
look at its bytes) has its values walked.
"""

import json
import math
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import is_dataclass
from typing import Annotated, Any, NoReturn, get_args, get_origin

from pydantic import BaseModel, PydanticUndefinedAnnotation, PydanticUserError, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails, PydanticSerializationError, to_json
from pydantic_core.core_schema import DataclassField, ModelField, TypedDictField

from servelite.core.errors import DefinitionError, FieldError, FunctionFailed, InvalidInput, MalformedJson, ServeliteError
from servelite.core.function import BINARY, JSON, TEXT

MAX_FIELD_ERRORS = 20
"""Field errors in one answer: enough to mend a form, bounded for a list of a million wrong items."""

MAX_TOLD_CHARS = 200
"""Most of a field's path, or of a message, that an answer repeats: both may hold what the caller sent, megabytes of it."""

_FOLDED = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ123456789+", b"abcdefghijklmnopqrstuvwxyz0000000000")
_LONG_NUMBER = b"0" * 300


class Codec:
    """Decodes the input and encodes the output of one function."""

    def __init__(self, input_type: Any, output_type: Any) -> None:
        self._input = _adapter(input_type)
        self._output = _adapter(output_type)
        self._reads = _plain(input_type)
        self._writes = _plain(output_type)
        self.takes = {str: (TEXT, JSON), bytes: (BINARY, "image/*", "audio/*")}.get(self._reads, (JSON,))
        self.gives = {str: TEXT, bytes: BINARY}.get(self._writes, JSON)

    def schemas(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the JSON Schemas of input and output; DefinitionError where a type has none."""
        try:
            return self._input.json_schema(mode="validation"), self._output.json_schema(schema_generator=_Given, mode="serialization")
        except PydanticUserError as error:
            raise DefinitionError(f"A type has no JSON Schema: {error.message}") from error

    def decode(self, body: bytes, media_type: str) -> Any:
        """Make the handler's input of a body.

        Raises:
            MalformedJson: it is not strict JSON, or not UTF-8.
            InvalidInput: it does not fit the type.
            FunctionFailed: a validator of the type raised something of its own.
        """
        try:
            if self._reads is bytes:
                return self._input.validate_python(body)
            if self._reads is str and media_type != JSON:
                return self._input.validate_python(body.decode())
            value = self._input.validate_json(body)
        except ValidationError as error:
            _refuse(body, error)
        except UnicodeDecodeError as error:
            raise MalformedJson(f"The body is not UTF-8 text: byte {error.start} is {body[error.start]:#04x}.") from error
        except ServeliteError:
            raise  # a validator of the type speaks to the caller
        except Exception as error:  # a type's validators are user code
            raise FunctionFailed(f"A validator of the input type raised {type(error).__name__}: {error}") from error
        if _could_overflow(body):
            _refuse_non_finite(body, value)
        return value

    def encode(self, output: Any) -> bytes:
        """Make the answer's body of a handler's output.

        Raises:
            FunctionFailed: it does not fit the handler's return type, holds NaN or Infinity, or a validator raised.
        """
        try:
            value = self._output.validate_python(output)
            if self._writes is bytes:
                return bytes(value)
            if self._writes is str:
                return str(value).encode()
            body = self._output.dump_json(value, by_alias=True)  # as the schema names them
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False)
            raise FunctionFailed(f"The output does not fit the return type: {'; '.join(map(_sentence, found[:3]))}.") from error
        except (PydanticSerializationError, UnicodeEncodeError) as error:
            raise FunctionFailed(f"The output does not fit the return type: {error}") from error
        except Exception as error:  # as above
            raise FunctionFailed(f"A validator of the return type raised {type(error).__name__}: {error}") from error
        if b"null" in body or b"NaN" in body or b"Infinity" in body:
            self._refuse_non_finite_output(value)
        return body

    def _refuse_non_finite_output(self, value: Any) -> None:
        path = _non_finite(self._output.dump_python(value))
        if path is not None:
            raise FunctionFailed(f"The output holds NaN or Infinity at {_cut(path) or 'its root'}, which JSON has no words for.")


class _Given(GenerateJsonSchema):
    """What an output holds always: fields with a default too, for they are written like all others."""

    def field_is_required(self, field: ModelField | DataclassField | TypedDictField, total: bool) -> bool:  # noqa: FBT001  pydantic's own signature
        if field["type"] == "typed-dict-field" or field.get("serialization_exclude_if"):
            return super().field_is_required(field, total)
        return True


def to_body(value: Any) -> tuple[str, bytes]:
    """Return the media type and body that send any value: bytes as they are, all else as JSON; FunctionFailed where it can't say it."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return BINARY, bytes(value)
    try:
        body = to_json(value)
    except Exception as error:  # types may bring serializers, which are user code
        cure = "Send what JSON can say: for an array array.tolist()"
        raise FunctionFailed(f"{type(value).__name__} can't be written as JSON: {error}. {cure}.") from error
    if (b"NaN" in body or b"Infinity" in body) and (path := _non_finite(value)) is not None:
        raise FunctionFailed(f"What was to be sent holds NaN or Infinity at {path or 'its root'}, which JSON has no words for.")
    return JSON, body


def from_body(body: bytes, media_type: str) -> Any:
    """Return what an answer's body says: text, bytes, or the value of JSON."""
    if media_type == TEXT:
        return body.decode()
    return json.loads(body) if media_type == JSON else body


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        adapter = TypeAdapter(annotation)
        if not adapter.pydantic_complete:  # it names something that is not defined: ask now, not in the first call
            adapter.rebuild()
    except (PydanticUserError, PydanticUndefinedAnnotation) as error:
        why, cure = (
            error.message.partition("\n")[0],
            "Use types that JSON can say: for an array list[float], and np.array(x) in the handler",
        )
        raise DefinitionError(f"The type {annotation} can't be validated: {why} {cure}.") from error
    return adapter


def _plain(annotation: Any) -> Any:
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def _refuse(body: bytes, error: ValidationError) -> NoReturn:
    found = error.errors(include_url=False, include_context=False)
    if found[0]["type"] == "json_invalid":
        raise MalformedJson(f"The body is not strict JSON: {found[0]['msg'].removeprefix('Invalid JSON: ')}.") from error
    _refuse_constants(body)
    said: list[FieldError] = [
        {"field": _path(one["loc"]), "message": _cut(one["msg"]), "rule": one["type"]} for one in found[:MAX_FIELD_ERRORS]
    ]
    raise InvalidInput("; ".join(map(_sentence, found[:3])) + ".", said) from error


def _sentence(one: ErrorDetails) -> str:
    shown = f" (it is {_shown(one['input'])})" if one["type"] != "missing" else ""
    return f"{_path(one['loc']) or 'input'}: {_cut(one['msg'])}{shown}"


def _shown(value: object) -> str:
    return _cut(repr(value), 58)


def _cut(text: str, most: int = MAX_TOLD_CHARS) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _path(location: tuple[int | str, ...]) -> str:
    """Write a location as people do: `lines[2].text`, cut where it is long."""
    return _cut("".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix("."))


def _could_overflow(body: bytes) -> bool:
    """Tell, in about 2 µs a KB, whether a body could hold NaN, Infinity or a number like 1e999, plain or escaped."""
    folded = body.translate(_FOLDED, b"_")  # in a string, pydantic takes 1_000 for a number
    if b"n" in folded and (b"nan" in folded or b"inf" in folded):  # one letter is found ten times as fast as a word
        return True
    return b"e0" in folded or (b"\\" in folded and b"\\u" in folded) or _LONG_NUMBER in folded


def _refuse_non_finite(body: bytes, value: Any) -> None:
    _refuse_constants(body)
    if (found := _non_finite(value)) is not None:
        path = _cut(found)
        rule: FieldError = {"field": path, "message": "Input should be a finite number", "rule": "finite_number"}
        raise InvalidInput(f"{path or 'input'}: Input should be a finite number.", [rule])


def _refuse_constants(body: bytes) -> None:
    if b"NaN" in body or b"Infinity" in body:
        with suppress(ValueError):  # bytes that were no JSON
            json.loads(body, parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedJson(f"The body is not strict JSON: it holds {name}; JSON numbers are finite.")


def _non_finite(value: Any, path: str = "") -> str | None:
    """Return where the first NaN or Infinity stands in a value, None where all is finite."""
    if isinstance(value, (float, complex)):
        return None if math.isfinite(abs(value)) else path
    for step, part in _parts(value):
        if (found := _non_finite(part, f"{path}{step}")) is not None:
            return found.removeprefix(".")
    return None


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f".{key}", part) for key in value for part in (key, value[key]))
    elif isinstance(value, (list, tuple, set, frozenset, deque)):
        yield from ((f"[{index}]", part) for index, part in enumerate(value))
    elif isinstance(value, BaseModel):
        yield from ((f".{name}", part) for name, part in {**value.__dict__, **(value.__pydantic_extra__ or {})}.items())
    elif is_dataclass(value):
        yield from ((f".{name}", getattr(value, name, None)) for name in value.__dataclass_fields__)
