"""The lines of a journal: a batch's rows, and the answers kept with them, as JSON; written, read, and told from damage.

A line is the JSON array of a batch's rows, or an object where answers are kept with them (`rows`, and `kept` with bodies in
base64). What an older servelite wrote is read too: its rows are shorter by the columns that came later.
"""

import base64
import json
from collections.abc import Sequence
from typing import Any

from servelite.core.ports import Kept, Row
from servelite.stores.sums import KEY_OF_DAYS

FIRST_FIELDS = 16
"""What a row of the first servelite had."""

FIRST_TARIFF_PICO = 100
"""What a microsecond cost then, for rows did not say it: there was one tariff, a cent per 100 s."""

LARGEST = 2**60
"""Beyond what a call can take; sums of such numbers would not fit into 64 bits."""

LONGEST_NAME_BYTES = 500
"""Beyond what accounts, functions and the like are called; five such names fit into an index of PostgreSQL."""

_ROW_KINDS = list(Row.__annotations__.values())
_KEPT_KINDS = list(Kept.__annotations__.values())

_NAMES = {"id", "repeat_key", *KEY_OF_DAYS}

Lines = tuple[list[Row], list[Kept]]
"""The rows and the kept answers of some lines."""


def write_line(rows: Sequence[Row], kept: Sequence[Kept] = ()) -> bytes:
    """Return the line of some rows, and of the answers that are kept with them."""
    return _write_json({"rows": rows, "kept": list(map(_writable, kept))} if kept else rows).encode() + b"\n"


def read_lines(lines: Sequence[bytes]) -> Lines:
    """Return the rows and answers of lines; ValueError where they are none."""
    parts = list(map(_parts, lines))
    return [row for rows, _ in parts for row in rows], [one for _, kept in parts for one in kept]


def is_sound(line: bytes) -> bool:
    """Tell whether every value of a line can stand in its column, in every database."""
    try:
        rows, kept = _parts(line)
    except ValueError:
        return False
    named = [one._asdict() for one in rows] + [one._asdict() for one in kept]
    is_summable = all(_fits(row.compute_us * row.memory_mib) for row in rows)
    return is_summable and all(_fits(value, name) for one in named for name, value in one.items())


def _writable(kept: Kept) -> list[str | int]:
    """Return an answer as JSON can have it, its body in base64."""
    return [base64.b64encode(field).decode() if isinstance(field, bytes) else field for field in kept]


_write_json = json.JSONEncoder(separators=(",", ":")).encode


def _parts(line: bytes) -> Lines:
    """Return the rows of a line, and the answers that are kept with them."""
    try:
        said = json.loads(line)
        rows, kept = (said["rows"], said["kept"]) if isinstance(said, dict) else (said, [])
        return list(map(_row, rows)), [_kept(*one) for one in kept]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"not a line of a journal: {error}") from error


def _row(fields: list[Any]) -> Row:
    """Return a row; one that an older servelite wrote lacks columns, and one of the first its price."""
    row = Row(*fields)
    if len(fields) == FIRST_FIELDS:
        row = row._replace(cost_pico=row.billed_us * FIRST_TARIFF_PICO)
    if list(map(type, row)) != _ROW_KINDS:
        raise ValueError("a value is of another type than its column")
    return row


def _kept(*fields: Any) -> Kept:
    one = Kept(*fields)
    one = one._replace(body=base64.b64decode(one.body, validate=True))
    if list(map(type, one)) != _KEPT_KINDS:
        raise ValueError("a value is of another type than its column")
    return one


def _fits(value: object, name: str = "") -> bool:
    if isinstance(value, int):
        return 0 <= value < LARGEST
    if isinstance(value, bytes):
        return True
    text = str(value)
    is_text = not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)
    return is_text and not (name in _NAMES and len(text.encode()) > LONGEST_NAME_BYTES)
