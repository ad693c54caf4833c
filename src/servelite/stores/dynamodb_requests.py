"""What is asked of DynamoDB, in its own form: writes with their conditions, and values with their kinds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from servelite.stores.dynamodb_table import Key

Item = dict[str, Any]
"""What stands in an item, by attribute: texts, whole numbers, bytes."""


@dataclass(frozen=True, slots=True)
class Write:
    """One write: an item that is put, or what becomes of the one that is there; done only where its condition holds.

    set_to, add    attributes that are set, and numbers that are added to
    condition      in DynamoDB's words, with `:NAME` for a value of `values`; empty where it is done in any case
    """

    key: Key
    put: Item | None = None
    set_to: Item | None = None
    add: Mapping[str, int] | None = None
    condition: str = ""
    values: Item | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a transaction: written, or nothing was: which of the writes found their condition unmet, or others were at the items."""

    unmet: frozenset[int] = frozenset()
    is_contended: bool = False

    @property
    def is_written(self) -> bool:
        """Whether all of it is written."""
        return not (self.unmet or self.is_contended)


def request(write: Write) -> tuple[str, dict[str, Any]]:
    """Return the client's method for a write, and what it is given."""
    said = {f":{name}": value for name, value in (write.values or {}).items()}
    condition = {"ConditionExpression": write.condition} if write.condition else {}
    if write.put is not None:
        values = {"ExpressionAttributeValues": written(said)} if said else {}
        return "put_item", {"Item": {**written_key(write.key), **written(write.put)}, **condition, **values}
    set_to, add = write.set_to or {}, write.add or {}
    said |= {f":{name}": value for name, value in (*set_to.items(), *add.items())}
    parts = [("SET", [f"#{name} = :{name}" for name in set_to]), ("ADD", [f"#{name} :{name}" for name in add])]
    return "update_item", {
        "Key": written_key(write.key),
        "UpdateExpression": " ".join(f"{verb} {', '.join(what)}" for verb, what in parts if what),
        "ExpressionAttributeNames": {f"#{name}": name for name in (*set_to, *add)},  # some names are words of DynamoDB's own
        "ExpressionAttributeValues": written(said),
        **condition,
    }


def written_key(key: Key) -> dict[str, dict[str, Any]]:
    """Return a key as DynamoDB has it."""
    return {"pk": _value(key[0]), "sk": _value(key[1])}


def written(item: Item) -> dict[str, dict[str, Any]]:
    """Return values as DynamoDB has them."""
    return {name: _value(value) for name, value in item.items()}


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, int):
        return {"N": str(value)}
    if isinstance(value, bytes):
        return {"B": value}
    value.encode()  # half a character has no UTF-8: that is a ValueError, here and not at the server
    return {"S": value}


def read_item(item: Mapping[str, Mapping[str, Any]]) -> Item:
    """Return an item of DynamoDB's without its kinds."""
    return {name: int(value["N"]) if "N" in value else value.get("S", value.get("B")) for name, value in item.items()}
