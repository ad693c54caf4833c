"""The ledger's `Tables` on DynamoDB: rows are written, days summed, keys kept, and it is noted how far journals have come."""

import random
import time
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence

from servelite.core.accounts import ApiKey
from servelite.core.errors import LedgerUnavailable
from servelite.core.month import DAY_US
from servelite.core.ports import Kept, Row, Usage
from servelite.stores.dynamodb import Table
from servelite.stores.dynamodb_keys import all_keys, key_item
from servelite.stores.dynamodb_requests import Item, Write
from servelite.stores.dynamodb_rows import TRIES, Recorder, read_row
from servelite.stores.dynamodb_table import (
    EXPIRES,
    LANES,
    VERSION_KEY,
    api_key_key,
    below_key,
    days_between,
    lane_key,
    lane_name,
    notes_key,
)
from servelite.stores.families import MOST_ROWS, own_first
from servelite.stores.journal import gateway_of
from servelite.stores.sums import SUMS
from servelite.stores.tables import ReadOn

FIRST_WAIT_S, LONGEST_WAIT_S = 0.01, 0.3
"""How long is waited on the average where others write at the same moment: twice as long each time."""

NOTE_STAYS_US = 366 * DAY_US
"""How long a note on a journal stays, should its machine never come back: longer than a file that is written."""

_chance = random.SystemRandom()  # as a process may be one of many copies, frozen with the state of any other

GROUPS = {"function": "function", "account": "account", "key": "key_id", "day": "day", "stage": "stage"}
"""What usage is summed by, and where it stands in an item."""


class DynamoTables:
    """`Tables` in one table on DynamoDB."""

    def __init__(self, table: Table, keep_days: int) -> None:
        """Keep rows for so many days: each says when it is written how long it stays."""
        self._table = table
        self._recorder = Recorder(table.transact, keep_days, _chance.randrange, wait)
        self._moved: dict[str, int] = {}

    def record(self, rows: Sequence[Row], kept: Sequence[Kept] = ()) -> None:
        """Write rows and answers, each row with its part of the sums in one transaction; see `Tables`."""
        self._recorder.record(rows, kept)

    def usage(self, by: Sequence[str], since_us: int, until_us: int, account: str | None = None) -> dict[str, list[Usage]]:
        """Sum the calls of some days, all ways from one reading; see `Tables`."""
        sums: dict[str, dict[str, list[int]]] = {one: defaultdict(lambda: [0] * len(SUMS)) for one in by}
        groups = {one: GROUPS[one] for one in by}
        for item in self._days(since_us, until_us):
            if account in (None, item["account"]):
                for one in (one for one in by if (one == "stage") == bool(item["stage"])):
                    _add(sums[one][item[groups[one]]], item)
        found = {one: [Usage(group, *added) for group, added in of_one.items()] for one, of_one in sums.items()}
        return {one: sorted(usages, key=lambda usage: (-usage.compute_us, usage.group)) for one, usages in found.items()}

    def _days(self, since_us: int, until_us: int) -> Iterator[Item]:
        between = days_between(since_us, until_us)
        for number in range(LANES):
            yield from self._table.query(lane_key(lane_name(number)), between=between)

    def family(self, call: str) -> list[Row]:
        """Return the row of a client's call, then those of all below it; see `Tables`. Those are not found by themselves."""
        rows: list[Row] = []
        to_read = deque([call])
        while to_read and len(rows) < MOST_ROWS:
            found = [read_row(item) for item in self._table.query(below_key(to_read.popleft()))]
            to_read += [row.id for row in found if row.parent]
            rows += found
        return own_first(call, rows)

    def moved(self, names: Sequence[str]) -> dict[str, int]:
        """Return how far files have been moved, as was known when it was first asked: what comes twice is counted once."""
        for name in names:
            if name not in self._moved:
                note = self._table.get((notes_key(gateway_of(name)), name))
                self._moved[name] = note["moved_bytes"] if note else 0
        return {name: self._moved[name] for name in names}

    def move(self, name: str, read_on: ReadOn) -> int | None:
        """Take in what comes next, then note how far that is: rows that come twice, for want of a note, are counted once; see `Tables`."""
        came = read_on(self.moved([name])[name])
        if came is None:
            return None
        (rows, kept), end = came
        self.record(rows, kept)
        self._note(name, end, max((one.at_us for one in kept), default=0))
        self._moved[name] = end
        return end

    def _note(self, name: str, end: int, answered_us: int) -> None:
        """Note how far a file has been moved; not where another has moved more of it."""
        said = {"moved_bytes": end, EXPIRES: (time.time_ns() // 1000 + NOTE_STAYS_US) // 1_000_000}
        said |= {"answered_us": answered_us} if answered_us else {}
        key = notes_key(gateway_of(name)), name
        condition, values = "attribute_not_exists(pk) OR moved_bytes < :end", {"end": end}
        self._table.write(Write(key, set_to=said, condition=condition, values=values))

    def forget(self, name: str) -> None:
        """Forget a file that is gone."""
        self._table.delete((notes_key(gateway_of(name)), name))
        self._moved.pop(name, None)

    def free(self, gateway: str) -> None:
        """Do nothing: nothing here leads from a gateway to its Idempotency-Keys, and they are free after CLAIM_US."""

    def let_go(self, now_us: int, keep_days: int) -> bool:
        """Do nothing: DynamoDB deletes what has become old, by itself and for nothing."""
        return False

    def add_key(self, key: ApiKey) -> None:
        """Keep a new key; LedgerUnavailable where its id was given before."""
        self._change_keys(Write(api_key_key(key.id), put=key_item(key), condition="attribute_not_exists(pk)"), f"a key has the id {key.id}")

    def all_keys(self) -> list[ApiKey]:
        """Return every key, revoked ones too, oldest first."""
        return all_keys(self._table)

    def revoke_key(self, key_id: str, now_us: int) -> None:
        """Make a key worth nothing from now on; one that was revoked before stays so since then."""
        condition = "attribute_exists(pk) AND attribute_not_exists(revoked_us)"
        self._change_keys(Write(api_key_key(key_id), set_to={"revoked_us": now_us}, condition=condition))

    def _change_keys(self, write: Write, unmet: str = "") -> None:
        """Do a write at a key, and count it as a change; where its condition does not hold nothing is done, or that is told."""
        tries = 0
        while (outcome := self._table.transact([write, Write(VERSION_KEY, add={"changes": 1})])).is_contended:
            tries += 1
            if tries == TRIES:
                raise LedgerUnavailable("Too many change keys at once. Try again later.")
            wait(tries)
        if outcome.unmet and unmet:
            raise LedgerUnavailable(f"The ledger takes no such key: {unmet} already.")

    def is_in_place(self) -> bool:
        """Return True: a table that was deleted refuses by itself."""
        return True

    def close(self) -> None:
        """Hang up."""
        self._table.close()


def _add(sums: list[int], item: Item) -> None:
    sums[:] = [before + item.get(name, 0) for before, name in zip(sums, SUMS, strict=True)]


def wait(tries: int) -> None:
    """Wait before another try, at random, so that those who met do not meet again."""
    time.sleep(_chance.uniform(0, min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**tries)))
