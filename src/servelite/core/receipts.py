"""Reads receipts: what a client makes of the `Servelite-Receipt` header, which `core.call.Receipt` writes."""

import re

from servelite.core.call import Receipt

MEMBER = re.compile(r"(?P<key>[a-z*][a-z0-9_.*-]*)(?:=(?:\?(?P<boolean>[01])|(?P<integer>-?[0-9]{1,15})))?", re.ASCII)

FIELDS = {
    "compute-us": "compute_us",
    "cpu-us": "cpu_us",
    "queue-us": "queue_us",
    "batch": "batch",
    "cold": "cold",
    "billed-us": "billed_us",
    "free-left-us": "free_left_us",
}


def read_receipt(header: str) -> Receipt:
    """Read a receipt, an RFC 9651 dictionary of integers and booleans; members that a later version may add are passed over.

    Raises:
        ValueError: it is no such dictionary.
    """
    said = dict(map(_member, re.split(r"[ \t]*,[ \t]*", header.strip(" ")))) if header.strip(" ") else {}
    known = {FIELDS[key]: value for key, value in said.items() if key in FIELDS}
    for name, value in known.items():
        if isinstance(value, bool) is not (name == "cold"):
            raise ValueError(f"A receipt has no {name.replace('_', '-')} of {value!r}: {header[:200]!r}")
    return Receipt(**known)  # type: ignore[arg-type]  # which of them is a boolean was checked


def _member(text: str) -> tuple[str, int | bool]:
    found = MEMBER.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:100]!r} is not a member of a receipt.")
    if found["integer"] is not None:
        return found["key"], int(found["integer"])
    return found["key"], found["boolean"] != "0"  # a key alone is true
