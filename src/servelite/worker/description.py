"""What the world may know of a loaded function: its schemas, examples and card, read from its folder."""

import json
import tomllib
from pathlib import Path
from typing import Any, NoReturn

from servelite.core.errors import DefinitionError
from servelite.core.function import Description
from servelite.worker.loader import Function


def describe(function: Function) -> Description:
    """Describe a function.

    Raises:
        DefinitionError: examples.jsonl or card.toml can't be read, or a type has no JSON Schema.
    """
    input_schema, output_schema = function.codec.schemas()
    return Description(
        name=function.name,
        summary=function.summary,
        limits=function.limits,
        takes=function.codec.takes,
        gives=function.codec.gives,
        input_schema=input_schema,
        output_schema=output_schema,
        examples=tuple(read_examples(function.folder)),
        card=read_card(function.folder),
    )


def read_examples(folder: Path) -> list[dict[str, Any]]:
    """Read a folder's examples.jsonl: {"input": …, "output": …} a line, the output optional; none without the file."""
    file = folder / "examples.jsonl"
    if not file.is_file():
        return []
    lines = enumerate(file.read_bytes().split(b"\n"), start=1)
    return [_example(f"{file}:{number}", line) for number, line in lines if line.strip()]


def _example(place: str, line: bytes) -> dict[str, Any]:
    try:
        example = json.loads(line, parse_constant=_refuse_constant)
    except ValueError as error:
        raise DefinitionError(f"{place}: not JSON: {error}. Each line is one {{'input': …, 'output': …}}.") from error
    if not isinstance(example, dict) or "input" not in example:
        raise DefinitionError(f'{place}: an example is an object with an "input" and perhaps an "output".')
    return example


def read_card(folder: Path) -> dict[str, Any]:
    """Read a folder's card.toml; empty without the file."""
    file = folder / "card.toml"
    if not file.is_file():
        return {}
    try:
        card = tomllib.loads(file.read_text(encoding="utf-8"))
        plain: dict[str, Any] = json.loads(json.dumps(card, default=str, allow_nan=False))  # dates as text
        return plain
    except ValueError as error:
        raise DefinitionError(f"{file}: not TOML that JSON can say: {error}.") from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
