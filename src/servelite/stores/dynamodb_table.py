"""The ledger's table on DynamoDB as data: how it is made, what a function may do with it, and where each thing stands in it.

One table, two keys (`pk`, `sk`), no index. What stands together is read together:

| pk                      | sk                                | holds                                                        |
|-------------------------|-----------------------------------|--------------------------------------------------------------|
| `call#ID`               | `0`                               | a client's call: its row; goes after `keep_days`             |
| `call#PARENT`           | ID                                | a row of a call that another waited for; goes as well        |
| `days#LANE`             | `DAY#ACCOUNT#KEY#FUNCTION#STAGE`  | a day's sums; stay                                           |
| `spent#MONTH#BUCKET`    | `ACCOUNT#LANE`                    | what an account used in a month; goes two months later       |
| `answer#ACCOUNT#REPEAT` | `0`, `1`, …                       | a claim; then the answer, in pieces if it is long; goes      |
| `keys`                  | `key#ID`, `version`               | API keys; how often one was added or revoked                 |
| `journal#GATEWAY`       | a file's name                     | how far a journal of `servelite run` has been moved          |

Sums are written by many at once, and DynamoDB lets one at a time at an item: so each sum stands in LANES lanes, any of which may be
added to, and whoever reads adds them up.
"""

import hashlib
import zlib
from collections.abc import Iterable
from typing import Any

from servelite.core.month import DAY_US, CalendarMonth, day_of

EXPIRES = "expires_s"
"""The attribute that says when DynamoDB may delete an item: seconds since 1970."""

TABLE: dict[str, Any] = {
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "BillingMode": "PAY_PER_REQUEST",
}
"""How the table is made: properties of CreateTable, and of AWS::DynamoDB::Table."""

TIME_TO_LIVE: dict[str, Any] = {"AttributeName": EXPIRES, "Enabled": True}
"""TimeToLiveSpecification of the same, which CreateTable does not take."""

FUNCTION_ACTIONS = ("dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "dynamodb:UpdateItem")
"""What a function needs to be allowed on the table; its transactions are made of these."""

OPERATOR_ACTIONS = (*FUNCTION_ACTIONS, "dynamodb:CreateTable", "dynamodb:DescribeTable", "dynamodb:UpdateTimeToLive")
"""What `servelite usage`, `keys` and `run` need; CreateTable and UpdateTimeToLive only where there is no table yet."""

LANES = 16
"""Lanes of a sum: each takes some hundred transactions a second."""

BUCKETS = 8
"""Parts of what accounts spent: all of them are read where all accounts are looked at, one for a single account."""

LAST_US = CalendarMonth(9999, 12).begins_us - 1
"""The last moment that has a day and a month of its own: what a broken clock says of times after it is counted there."""

MOST_KEY_BYTES = 900
"""A longer key is replaced by its digest: DynamoDB takes 1,024 bytes. What it is made of stands in the item, too."""

Key = tuple[str, str]
"""What an item is found by: `pk` and `sk`."""


def joined(*names: str) -> str:
    """Return names as one, which no other names give."""
    whole = "#".join(name.replace("%", "%25").replace("#", "%23") for name in names)
    return whole if len(whole.encode(errors="replace")) <= MOST_KEY_BYTES else hashlib.sha256(whole.encode(errors="replace")).hexdigest()


def lane_name(number: int) -> str:
    """Return the name of a lane."""
    return f"{number % LANES:02}"


def gateway_lane(gateway: str) -> str:
    """Return the lane of what is spent at a gateway that counts for itself."""
    return f"gateway-{joined(gateway)}"


OWN_ROW = "0"
"""The `sk` of a row that has no parent."""


def row_key(call: str, parent: str = "") -> Key:
    """Return where a call's row stands: with its parent's, if it has one."""
    return (below_key(parent), joined(call)) if parent else (below_key(call), OWN_ROW)


def below_key(call: str) -> str:
    """Return where the rows stand of calls that were made for a call, and its own if nobody waited for it."""
    return f"call#{joined(call)}"


def lane_key(lane: str) -> str:
    """Return where the sums of days of a lane stand."""
    return f"days#{lane}"


def day_key(lane: str, at_us: int, names: Iterable[str]) -> Key:
    """Return where a day's sums stand; names are those of account, key, function and stage."""
    return lane_key(lane), f"{day_name(at_us)}#{joined(*names)}"


def days_between(since_us: int, until_us: int) -> tuple[str, str]:
    """Return the edges of the sums of whole days in a time span."""
    end_us = -(-until_us // DAY_US) * DAY_US
    return day_name(since_us), day_name(end_us) if end_us <= LAST_US else "9999-12-31"


def day_name(at_us: int) -> str:
    """Return the day of a moment, as people write it."""
    return f"{day_of(min(at_us, LAST_US))}"


def month_of(at_us: int) -> CalendarMonth:
    """Return the month of a moment."""
    return CalendarMonth.of(min(at_us, LAST_US))


def spent_keys(at_us: int) -> list[str]:
    """Return where all that accounts spent in a month stands."""
    return [f"spent#{month_of(at_us)}#{bucket}" for bucket in range(BUCKETS)]


def spent_key(at_us: int, account: str, lane: str) -> Key:
    """Return where stands what an account spent in a month, as far as it was written in a lane."""
    bucket = zlib.crc32(account.encode(errors="replace")) % BUCKETS
    return f"spent#{month_of(at_us)}#{bucket}", f"{joined(account)}#{lane}"


def answer_key(account: str, repeat_key: str, piece: int = 0) -> Key:
    """Return where a piece of a kept answer stands; of the first, in its place, a claim."""
    return f"answer#{joined(account, repeat_key)}", f"{piece}"


KEYS = "keys"
"""Where API keys stand."""

KEY_PREFIX = "key#"

VERSION_KEY: Key = (KEYS, "version")
"""Where it is counted how often an API key was added or revoked."""


def api_key_key(key_id: str) -> Key:
    """Return where an API key stands."""
    return KEYS, f"{KEY_PREFIX}{joined(key_id)}"


def notes_key(gateway: str) -> str:
    """Return where the notes on the journals of a gateway stand."""
    return f"journal#{joined(gateway)}"
