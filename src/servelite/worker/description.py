"""What the world may know of a loaded function: its schemas, examples and card, read from its folder."""

import hashlib
import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from servelite.core.errors import DefinitionError
from servelite.core.function import JSON, Contract, Description
from servelite.worker.loader import Function, Part

UNRESOLVED = Contract((JSON,), JSON, {}, {})
"""What a pipeline takes and gives before its stages are known; the gateway knows them."""

MOST_VERSION = 64
"""Characters of a version that are kept."""

SAMPLE_BYTES = 1024 * 1024


def describe(function: Function) -> Description:
    """Describe a function.

    Raises:
        DefinitionError: examples.jsonl or card.toml can't be read, or a type has no JSON Schema.
    """
    card = read_card(function.folder)
    own = _contract(function.handler) if function.pipeline is None else UNRESOLVED
    return Description(
        name=function.name,
        summary=function.summary,
        limits=function.limits,
        takes=own.takes,
        gives=own.gives,
        input_schema=own.input_schema,
        output_schema=own.output_schema,
        pipeline=function.pipeline.to_dict() if function.pipeline else None,
        glue={name: _contract(part) for name, part in function.parts.items()} if function.pipeline else {},
        examples=tuple(read_examples(function.folder)),
        card=card,
        version=read_version(function.folder, card),
        takes_context=any(part.signature.wants_context for part in function.parts.values()),
    )


def _contract(part: Part) -> Contract:
    input_schema, output_schema = part.codec.schemas()
    return Contract(part.codec.takes, part.codec.gives, input_schema, output_schema)


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


def read_version(folder: Path, card: dict[str, Any]) -> str:
    """Return the `version` of a card, else the first 12 hexadecimal digits of a SHA-256 over the folder's files.

    Hidden files and caches do not count. Of a large file its size, beginning and end do, for a start must not wait for more.
    """
    if isinstance(card.get("version"), str):
        return str(card["version"])[:MOST_VERSION]
    digest = hashlib.sha256()
    for file in _files(folder):
        digest.update(f"{file.relative_to(folder)}\0{file.stat().st_size}\0".encode(errors="surrogateescape"))
        with file.open("rb") as content:
            digest.update(content.read(SAMPLE_BYTES))
            content.seek(max(content.tell(), file.stat().st_size - SAMPLE_BYTES))
            digest.update(content.read(SAMPLE_BYTES))
    return digest.hexdigest()[:12]


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        yield from (Path(place, name) for name in sorted(files) if not name.startswith(".") and Path(place, name).is_file())


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
