"""boto3's client for AWS Lambda, with a server of ours as its endpoint."""

import json
from typing import Any

import boto3
from botocore.config import Config

from tests.server import Server


def client_of(server: Server, key: str = "anybody") -> Any:
    """Return boto3's client for a server, which tries nothing again."""
    said = {"aws_access_key_id": key, "aws_secret_access_key": "unchecked", "region_name": "eu-central-1", "endpoint_url": server.url}
    return boto3.client("lambda", **said, config=Config(retries={"total_max_attempts": 1}, read_timeout=30))


def invoked(client: Any, function: str, value: Any, **said: Any) -> dict[str, Any]:
    """Invoke a function with a value, and return what boto3 does, the payload read."""
    reply: dict[str, Any] = client.invoke(FunctionName=function, Payload=json.dumps(value), **said)
    content = reply["Payload"].read()
    reply["Payload"] = json.loads(content) if content else None
    return reply


def id_of(reply: dict[str, Any]) -> str:
    """Return the id that the ledger has of what boto3 was answered."""
    return str(reply["ResponseMetadata"]["HTTPHeaders"]["x-request-id"])
