"""API keys as they stand in the table on DynamoDB."""

from servelite.core.accounts import ApiKey
from servelite.stores.dynamodb import Table
from servelite.stores.dynamodb_requests import Item
from servelite.stores.dynamodb_table import KEY_PREFIX, KEYS

SEPARATOR = ","
"""Between the functions of a key, none of which has it."""


def all_keys(table: Table) -> list[ApiKey]:
    """Return every key, revoked ones too, oldest first."""
    return sorted(map(_key, table.query(KEYS, KEY_PREFIX)), key=lambda key: (key.created_us, key.id))


def key_item(key: ApiKey) -> Item:
    """Return a new key as an item."""
    expires = {} if key.expires_us is None else {"expires_us": key.expires_us}
    said = {"account": key.account, "name": key.name, "hash": key.hash, "functions": SEPARATOR.join(key.functions)}
    return {"id": key.id, **said, "is_admin": int(key.is_admin), "created_us": key.created_us, **expires}


def _key(item: Item) -> ApiKey:
    functions = tuple(item["functions"].split(SEPARATOR)) if item["functions"] else ()
    times = item["created_us"], item.get("expires_us"), item.get("revoked_us"), item.get("last_used_us")
    return ApiKey(item["id"], item["account"], item["name"], item["hash"], functions, bool(item["is_admin"]), *times)
