"""The `AccountBook` on DynamoDB: keys, what accounts spent, and who runs the call of an Idempotency-Key."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from servelite.core.accounts import ApiKey, Spent
from servelite.core.ports import CLAIM_US, KEEP_ANSWERS_US, Kept, RepeatKey, Seen
from servelite.stores.dynamodb import Table
from servelite.stores.dynamodb_keys import all_keys
from servelite.stores.dynamodb_requests import Item, Write
from servelite.stores.dynamodb_table import EXPIRES, VERSION_KEY, answer_key, api_key_key, gateway_lane, notes_key, spent_key, spent_keys

FREE = "attribute_not_exists(pk) OR at_us <= :old_us OR gateway = :gateway AND attribute_exists(until_us) OR until_us <= :now_us"
"""When a key may be taken: nothing is there, an answer that is too old, a claim of one's own, or one that holds no more."""

OWN = "attribute_exists(until_us) AND gateway = :gateway"


class DynamoAccountBook:
    """The `AccountBook` port on one table."""

    def __init__(self, table: Table, gateway: str) -> None:
        self._table = table
        self._gateway = gateway
        self._keys_seen: int | None = None

    def look(self, since_us: int | None) -> Seen:
        """Look at keys, at what others spent, and at which kept answers have come here; see `AccountBook`."""
        spent = [] if since_us is None else self._spent_elsewhere(since_us)
        return Seen(self.changed_keys(), spent, self._arrived_us())

    def changed_keys(self) -> list[ApiKey] | None:
        """Return all keys where one was added or revoked since the last time."""
        counted = self._table.get(VERSION_KEY)
        changes = counted["changes"] if counted else 0
        if changes == self._keys_seen:
            return None
        keys = all_keys(self._table)
        self._keys_seen = changes
        return keys

    def _spent_elsewhere(self, since_us: int) -> list[Spent]:
        items = (item for pk in spent_keys(since_us) for item in self._table.query(pk, is_exact=False))
        return _summed(item for item in items if item["lane"] != gateway_lane(self._gateway))

    def _arrived_us(self) -> int:
        """Return up to when the answers of this gateway's journals have come."""
        return max((item.get("answered_us", 0) for item in self._table.query(notes_key(self._gateway), is_exact=False)), default=0)

    def spent_by(self, account: str, since_us: int) -> Spent:
        """Return what an account used in a month, at this gateway too."""
        pk, prefix = spent_key(since_us, account, "")
        spent = _summed(self._table.query(pk, prefix))
        return spent[0] if spent else Spent(account, 0, 0, 0)

    def note_used(self, used_us: Mapping[str, int]) -> None:
        """Note when keys were last used, by id; see `AccountBook`."""
        condition = "attribute_exists(pk) AND (attribute_not_exists(last_used_us) OR last_used_us < :last_used_us)"
        for key_id, at_us in used_us.items():
            self._table.write(Write(api_key_key(key_id), set_to={"last_used_us": at_us}, condition=condition))

    def claim(self, account: str, repeat_key: str, fingerprint: str, now_us: int, until_us: int | None = None) -> Kept | str | None:
        """Take an Idempotency-Key in one write, whose condition is that nobody else has it; see `AccountBook`."""
        ends_us = until_us or now_us + CLAIM_US
        # so long after its end nobody needs to know of it; whoever's clock is behind may find it a little longer
        claim = {"fingerprint": fingerprint, "gateway": self._gateway, "until_us": ends_us, EXPIRES: ends_us // 1_000_000 + 60}
        values = {"old_us": now_us - KEEP_ANSWERS_US, "gateway": self._gateway, "now_us": now_us}
        found = self._table.write(Write(answer_key(account, repeat_key), put=claim, condition=FREE, values=values))
        if found is None:
            return None
        return str(found["fingerprint"]) if "until_us" in found else self._kept(found)

    def _kept(self, item: Item) -> Kept:
        """Return an answer, put together of its pieces."""
        body, who = item["body"], (item["account"], item["repeat_key"])
        if item["pieces"] > 1:
            others = (self._table.get(answer_key(*who, number)) for number in range(1, item["pieces"]))
            body = b"".join([body, *(other["body"] for other in others if other)])
        return Kept(**{name: item[name] for name in Kept._fields if name != "body"}, body=body)

    def renew(self, keys: Sequence[RepeatKey], now_us: int) -> None:
        """Hold on to keys that were taken."""
        until_us = now_us + CLAIM_US
        said, values = {"until_us": until_us, EXPIRES: until_us // 1_000_000 + 60}, {"gateway": self._gateway}
        for who in keys:
            self._table.write(Write(answer_key(*who), set_to=said, condition=OWN, values=values))

    def give_back(self, account: str, repeat_key: str) -> None:
        """Let go of a key whose call was not run."""
        self._table.delete(answer_key(account, repeat_key), OWN, {":gateway": self._gateway})

    def close(self) -> None:
        """Hang up."""
        self._table.close()


def _summed(items: Iterable[Item]) -> list[Spent]:
    """Add up what accounts spent in several lanes."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for item in items:
        more = [item.get(name, 0) for name in ("billed_us", "mib_us", "calls")]
        sums[item["account"]] = [before + added for before, added in zip(sums[item["account"]], more, strict=True)]
    return [Spent(account, *used) for account, used in sums.items()]
