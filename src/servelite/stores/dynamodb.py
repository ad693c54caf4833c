"""One table on DynamoDB: read, written, and made where there is none; boto3 has its room here, and none of its errors leave it."""

import contextlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlsplit

from servelite.core.errors import DefinitionError, LedgerUnavailable
from servelite.stores.database import unusable
from servelite.stores.dynamodb_requests import Item, Outcome, Write, read_item, request, written, written_key
from servelite.stores.dynamodb_table import TABLE, TIME_TO_LIVE, Key

HOW_TO_WRITE = "Write dynamodb://TABLE, and perhaps ?region=eu-central-1 or ?endpoint=http://127.0.0.1:8000."

TABLE_NAME = re.compile("[A-Za-z0-9_.-]{3,255}")

REGION = re.compile("[a-z]{2,4}(-[a-z]+)+-[0-9]+")

CONNECT_S, READ_S, ATTEMPTS = 2, 5, 3
"""How long an attempt waits, and how many there are; botocore gives each the same token, so none is done twice."""

MADE_WITHIN_S = 60.0
"""How long a new table may take."""

CURES = {
    "AccessDeniedException": "the role may not do this. Allow it what servelite.stores.dynamodb_table names",
    "ExpiredTokenException": "the credentials have expired. Get new ones",
    "IncompleteSignatureException": "the credentials can't be used. Look at AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "InvalidSignatureException": "the credentials are wrong, or this machine's clock is. Look at AWS_SECRET_ACCESS_KEY",
    "ProvisionedThroughputExceededException": "the table is throttled: it has too little capacity. Make it PAY_PER_REQUEST",
    "RequestLimitExceeded": "this AWS account is throttled. Try again later",
    "ResourceNotFoundException": "there is no such table, and the role may not make one. Deploy it, or allow dynamodb:CreateTable",
    "ThrottlingException": "the table is throttled. Try again later",
    "UnrecognizedClientException": "the credentials are not known there. Look at AWS_ACCESS_KEY_ID",
    "NoCredentialsError": "there are no credentials. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
    "NoRegionError": "no region is named. Write dynamodb://TABLE?region=eu-central-1, or set AWS_DEFAULT_REGION",
    "PartialCredentialsError": "the credentials are not complete. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY both",
    "ProfileNotFound": "AWS_PROFILE names no profile of this machine",
}
"""What errors of AWS, or of its client, mean here, and the cure."""


@dataclass(frozen=True, slots=True)
class Where:
    """What a ledger's URL names: a table; None for what the surroundings say (AWS_DEFAULT_REGION, AWS_ENDPOINT_URL)."""

    url: str
    table: str
    region: str | None = None
    endpoint: str | None = None


def read_url(url: str) -> Where:
    """Read a ledger's URL.

    Raises:
        DefinitionError: it can't be read.
    """
    try:
        parts = urlsplit(url)
        said = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise DefinitionError(f"The ledger's URL can't be read: {error}. {HOW_TO_WRITE}") from error
    options = dict(said)
    unknown = sorted(options.keys() - {"region", "endpoint"})
    if unknown or len(options) < len(said):
        raise DefinitionError(f"The ledger's URL says '{unknown[0] if unknown else 'a thing'}' beside region and endpoint. {HOW_TO_WRITE}")
    if not TABLE_NAME.fullmatch(parts.netloc) or parts.path not in ("", "/") or parts.fragment:
        raise DefinitionError(f"The ledger's URL names no table: 3 to 255 letters, digits, and signs of '_.-'. {HOW_TO_WRITE}")
    region, endpoint = options.get("region"), options.get("endpoint")
    if region is not None and not REGION.fullmatch(region):
        raise DefinitionError(f"'{region[:50]}' is no region of AWS. {HOW_TO_WRITE}")
    if endpoint is not None and not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+/?", endpoint):
        raise DefinitionError(f"The endpoint in the ledger's URL is none: http or https, a host, and perhaps a port. {HOW_TO_WRITE}")
    return Where(url, parts.netloc, region, endpoint)


class Table:
    """One table; what goes wrong is LedgerUnavailable. It is made where there is none, if that is allowed."""

    def __init__(self, where: Where) -> None:
        """Make the client, which is heavy; it connects when it is first asked.

        Raises:
            DefinitionError: boto3 is not installed.
            LedgerUnavailable: no region is named.
        """
        try:
            import boto3
            import botocore.config
            import botocore.exceptions
        except ImportError as error:
            raise DefinitionError("A ledger on DynamoDB needs boto3. Install it: pip install 'servelite[aws]'") from error
        self._where = where
        self._errors = botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError
        config = botocore.config.Config(
            connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"mode": "standard", "total_max_attempts": ATTEMPTS}, tcp_keepalive=True
        )
        try:
            session = boto3.session.Session()  # the default one is shared by all threads
            self._client: Any = session.client("dynamodb", region_name=where.region, endpoint_url=where.endpoint, config=config)
        except self._errors as error:
            self._refuse(error)

    def exists(self) -> bool:
        """Tell whether there is such a table."""
        try:
            self._client.describe_table(TableName=self._where.table)
        except self._errors as error:
            if _code(error) == "ResourceNotFoundException":
                return False
            self._refuse(error)
        return True

    def get(self, key: Key) -> Item | None:
        """Return an item as it is now."""
        found = self._call("get_item", Key=written_key(key), ConsistentRead=True)
        return read_item(found["Item"]) if "Item" in found else None

    def query(self, pk: str, prefix: str = "", between: tuple[str, str] | None = None, *, is_exact: bool = True) -> Iterator[Item]:
        """Return the items of a `pk`, in order: those whose `sk` begins so, or lies between two; as they are now if `is_exact`."""
        said: Item = {":pk": pk, **({":from": between[0], ":to": between[1]} if between else {":prefix": prefix} if prefix else {})}
        narrowed = " AND sk BETWEEN :from AND :to" if between else " AND begins_with(sk, :prefix)" if prefix else ""
        asked = {
            "KeyConditionExpression": f"pk = :pk{narrowed}",
            "ExpressionAttributeValues": written(said),
            "ConsistentRead": is_exact,
        }
        while True:
            page = self._call("query", **asked)
            yield from map(read_item, page["Items"])
            if "LastEvaluatedKey" not in page:
                return
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def write(self, write: Write) -> Item | None:
        """Do one write; return None where it is done, else the item that stands in its way, empty where there is none."""
        method, asked = request(write)
        try:
            self._call(method, **asked, ReturnValuesOnConditionCheckFailure="ALL_OLD")
        except _Unmet as unmet:
            return unmet.item
        return None

    def delete(self, key: Key, condition: str = "attribute_exists(pk)", values: Item | None = None) -> None:
        """Delete an item, where a condition holds."""
        said = {"ExpressionAttributeValues": written(values)} if values else {}
        try:
            self._call("delete_item", Key=written_key(key), ConditionExpression=condition, **said)
        except _Unmet:
            return

    def transact(self, writes: Sequence[Write]) -> Outcome:
        """Do all of some writes, or none.

        Raises:
            ValueError: a value can't stand in an item.
        """
        items = []
        for write in writes:
            method, asked = request(write)
            items.append({"Put" if method == "put_item" else "Update": {"TableName": self._where.table, **asked}})
        try:
            self._call("transact_write_items", TransactItems=items)
        except _Cancelled as cancelled:
            return cancelled.outcome
        except LedgerUnavailable as error:
            if _code(error.__cause__) in ("ValidationException", "ParamValidationError", "SerializationException"):
                raise ValueError(_words(error.__cause__)) from error
            raise
        return Outcome()

    def close(self) -> None:
        """Hang up; whoever asks again connects again."""
        self._client.close()

    def _call(self, method: str, **asked: Any) -> Any:
        named = asked if method == "transact_write_items" else {"TableName": self._where.table, **asked}
        try:
            try:
                return getattr(self._client, method)(**named)
            except self._errors as error:
                if _code(error) != "ResourceNotFoundException":
                    raise
                self._make(error)
                return getattr(self._client, method)(**named)
        except self._errors as error:
            self._tell(error)

    def _tell(self, error: Exception) -> NoReturn:
        """Raise an error of the client as what it means."""
        code, response = _code(error), _response(error)
        if code == "ConditionalCheckFailedException":
            raise _Unmet(read_item(response.get("Item", {}))) from error
        if code in ("TransactionConflictException", "TransactionInProgressException"):
            raise _Cancelled(Outcome(is_contended=True)) from error
        if code == "TransactionCanceledException":
            raise _Cancelled(self._outcome(response.get("CancellationReasons", []), error)) from error
        self._refuse(error)

    def _outcome(self, reasons: Sequence[Mapping[str, str]], error: Exception) -> Outcome:
        codes = [reason.get("Code", "") for reason in reasons]
        if "ValidationError" in codes:
            raise ValueError(reasons[codes.index("ValidationError")].get("Message", "")) from error
        unmet = frozenset(number for number, code in enumerate(codes) if code == "ConditionalCheckFailed")
        return Outcome(unmet, is_contended=not unmet)  # all other reasons pass: a conflict, too much at once

    def _make(self, missing: Exception) -> None:
        """Make the table; whoever may not is told that it is missing."""
        try:
            self._client.create_table(TableName=self._where.table, **TABLE)
        except self._errors as error:
            if _code(error) != "ResourceInUseException":  # somebody else is making it
                raise missing from error
        self._wait_until_made()
        try:
            self._client.update_time_to_live(TableName=self._where.table, TimeToLiveSpecification=TIME_TO_LIVE)
        except self._errors as error:
            if _code(error) != "ValidationException":  # it is so already
                raise

    def _wait_until_made(self) -> None:
        waiter = self._client.get_waiter("table_exists")
        waiter.wait(TableName=self._where.table, WaiterConfig={"Delay": 1, "MaxAttempts": int(MADE_WITHIN_S)})

    def _refuse(self, error: Exception) -> NoReturn:
        raise unusable(self._where.url, CURES.get(_code(error)) or _words(error)) from error


class _Unmet(Exception):
    """A condition does not hold; `item` is what stands there."""

    def __init__(self, item: Item) -> None:
        super().__init__()
        self.item = item


class _Cancelled(Exception):
    """A transaction was not done."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__()
        self.outcome = outcome


def table_exists(where: Where) -> bool:
    """Tell whether there is a table; see `Table.exists`."""
    with contextlib.closing(Table(where)) as table:
        return table.exists()


def _code(error: BaseException | None) -> str:
    """Return what AWS calls an error, or the client."""
    return str(_response(error).get("Error", {}).get("Code") or type(error).__name__)


def _response(error: BaseException | None) -> Mapping[str, Any]:
    """Return the answer that an error was made of, empty where there was none."""
    return getattr(error, "response", None) or {}


def _words(error: BaseException | None) -> str:
    """Return an error's first line."""
    return str(error).strip().partition("\n")[0].rstrip(".")
