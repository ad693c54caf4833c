"""`servelite run` as boto3 sees it: AWS Lambda's Invoke API, with Lambda's limits and errors."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.functional.invoking import client_of, id_of, invoked
from tests.functional.ledger import wait_for_rows
from tests.keys import make_key
from tests.server import Server, until

FUNCTIONS = Path(__file__).parent / "functions"
NAMES = ("double", "shout", "flip", "misbehave", "anything")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve functions to anybody."""
    started = Server(*(FUNCTIONS / name for name in NAMES), cwd=tmp_path_factory.mktemp("invoked"))
    try:
        yield started.wait_ready()
    finally:
        started.kill()


@pytest.fixture(scope="module")
def client(server: Server) -> Any:
    return client_of(server)


@pytest.mark.parametrize(
    ("function", "given", "output"),
    [("double", 4, 8), ("shout", "hey", "HEY!"), ("flip", base64.b64encode(b"\0\xff").decode(), base64.b64encode(b"\xff\0").decode())],
    ids=["json", "text", "bytes"],
)
def test_a_payload_is_an_input_as_examples_have_it(client: Any, function: str, given: Any, output: Any) -> None:
    reply = invoked(client, function, given)
    assert (reply["StatusCode"], reply["Payload"], "FunctionError" in reply) == (200, output, False)


def test_the_answer_has_ids_version_and_receipt(server: Server, client: Any) -> None:
    reply = invoked(client, "double", 4)
    headers = reply["ResponseMetadata"]["HTTPHeaders"]
    assert reply["ResponseMetadata"]["RequestId"].replace("-", "") == headers["x-request-id"]
    assert reply["ExecutedVersion"] == server.get("/functions/double").json()["version"]
    assert headers["servelite-receipt"].startswith("compute-us=")


@pytest.mark.parametrize(
    "name",
    [
        "double",
        "double:$LATEST",
        "arn:aws:lambda:eu-central-1:123456789012:function:double",
        "arn:aws:lambda:eu-central-1:123456789012:function:double:$LATEST",
        "123456789012:function:double",
    ],
)
def test_a_function_is_named_as_on_lambda(client: Any, name: str) -> None:
    assert invoked(client, name, 1)["Payload"] == 2


def test_a_version_is_named_by_itself(server: Server, client: Any) -> None:
    version = server.get("/functions/double").json()["version"]
    assert invoked(client, "double", 1, Qualifier=version)["Payload"] == 2
    assert invoked(client, f"double:{version}", 1)["Payload"] == 2
    with pytest.raises(client.exceptions.ResourceNotFoundException, match=f"version '{version}' is served"):
        invoked(client, "double", 1, Qualifier="7")
    with pytest.raises(client.exceptions.InvalidParameterValueException, match="Send one of them"):
        invoked(client, "double:8", 1, Qualifier="7")


@pytest.mark.parametrize(("function", "value", "kind"), [("double", "x", "invalid_input"), ("misbehave", "fail", "function_failed")])
def test_what_a_function_does_wrong_is_its_answer(client: Any, function: str, value: Any, kind: str) -> None:
    reply = invoked(client, function, value)
    assert (reply["StatusCode"], reply["FunctionError"], reply["Payload"]["errorType"]) == (200, "Unhandled", kind)
    assert reply["Payload"]["errorMessage"].endswith(".")
    assert reply["Payload"]["requestId"] == reply["ResponseMetadata"]["RequestId"]


def test_a_function_that_is_not_there_is_told_as_by_aws(client: Any) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="double") as caught:
        invoked(client, "nothing", 1)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


@pytest.mark.parametrize("payload", [b"{", b"NaN", b"\xff"])
@pytest.mark.parametrize("function", ["double", "shout"])
def test_a_payload_that_is_no_json_is_refused(client: Any, function: str, payload: bytes) -> None:
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke(FunctionName=function, Payload=payload)


def test_an_unknown_type_is_refused(client: Any, server: Server) -> None:
    reply = server.request("POST", "/2015-03-31/functions/double/invocations", b"1", {"X-Amz-Invocation-Type": "Later"})
    assert (reply.status, reply.headers["x-amzn-ErrorType"]) == (400, "InvalidParameterValueException")
    assert reply.json()["Type"] == "User"


def test_an_empty_payload_is_an_empty_object(client: Any) -> None:
    reply = client.invoke(FunctionName="anything")
    assert json.loads(reply["Payload"].read()) == {}


def test_a_dry_run_runs_nothing(server: Server, client: Any) -> None:
    count = re.compile(r'servelite_calls_total\{[^}]*"flip"[^}]*\} .*')
    invoked(client, "flip", "AA==")
    before = count.findall(server.get("/metrics").body.decode())
    assert before
    assert client.invoke(FunctionName="flip", InvocationType="DryRun", Payload=b'"AA=="')["StatusCode"] == 204
    assert count.findall(server.get("/metrics").body.decode()) == before
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName="nothing", InvocationType="DryRun")


def test_an_event_is_run_though_nobody_waits(server: Server, client: Any) -> None:
    reply = client.invoke(FunctionName="shout", InvocationType="Event", Payload=b'"event"')
    assert (reply["StatusCode"], reply["Payload"].read()) == (202, b"")
    call = id_of(reply)
    until(lambda: server.get(f"/calls/{call}").status == 200)
    assert server.get(f"/calls/{call}").json()["calls"][0]["code"] == "ok"


def test_an_event_that_fails_is_told_in_the_log(server: Server, client: Any) -> None:
    reply = client.invoke(FunctionName="misbehave", InvocationType="Event", Payload=b'"fail"')
    call = id_of(reply)
    until(lambda: any(f"event {call} failed: function_failed" in line for line in server.troubles()))


def test_the_tail_of_the_log_has_lambdas_lines(client: Any) -> None:
    reply = invoked(client, "double", 3, LogType="Tail")
    start, end, report = base64.b64decode(reply["LogResult"]).decode().splitlines()
    uuid = reply["ResponseMetadata"]["RequestId"]
    assert start == f"START RequestId: {uuid} Version: {reply['ExecutedVersion']}"
    assert end == f"END RequestId: {uuid}"
    assert re.fullmatch(rf"REPORT RequestId: {uuid}\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\tMemory Size: \d+ MB(\tInit .*)?", report)
    compute_us = int(re.search(r"compute-us=(\d+)", reply["ResponseMetadata"]["HTTPHeaders"]["servelite-receipt"])[1])  # type: ignore[index]
    assert f"Duration: {compute_us / 1000:.2f} ms" in report
    failed = base64.b64decode(invoked(client, "misbehave", "fail", LogType="Tail")["LogResult"]).decode()
    assert "function_failed: " in failed


def test_payloads_have_lambdas_limits(client: Any) -> None:
    text = "x" * (1024 * 1024)
    with pytest.raises(client.exceptions.RequestTooLargeException, match="1,048,576 bytes, which is what Lambda takes"):
        client.invoke(FunctionName="shout", InvocationType="Event", Payload=json.dumps(text))
    assert invoked(client, "shout", text)["Payload"] == f"{text.upper()}!"
    with pytest.raises(client.exceptions.RequestTooLargeException, match="6,291,456 bytes"):
        invoked(client, "shout", "x" * (6 * 1024 * 1024))


def test_an_answer_that_lambda_would_not_take_is_an_error(client: Any) -> None:
    text = json.dumps("ŉ" * 2_200_000, ensure_ascii=False)  # a capital of it takes three bytes in place of two
    reply = client.invoke(FunctionName="shout", Payload=text.encode())
    assert (reply["FunctionError"], json.loads(reply["Payload"].read())["errorType"]) == ("Unhandled", "Function.ResponseSizeTooLarge")


def test_calls_are_metered_as_any(server: Server, client: Any) -> None:
    reply = invoked(client, "double", 21)
    call = id_of(reply)
    row = server.get(f"/calls/{call}").json()["calls"][0]
    assert f"billed-us={row['billed_us']}" in reply["ResponseMetadata"]["HTTPHeaders"]["servelite-receipt"]


@pytest.fixture(scope="module")
def locked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve two functions to those who show a key."""
    started = Server(FUNCTIONS / "double", FUNCTIONS / "shout", "--require-key", cwd=tmp_path_factory.mktemp("locked"))
    try:
        yield started.wait_ready()
    finally:
        started.kill()


def test_the_access_key_id_is_the_key(locked: Server) -> None:
    client = client_of(locked, make_key(locked.cwd, "acme", ("double",)))

    def is_let_in() -> bool:
        try:
            return bool(invoked(client, "double", 1)["Payload"] == 2)
        except ClientError:
            return False

    until(is_let_in)
    assert {row["account"] for row in wait_for_rows(locked.cwd, 1).values()} == {"acme"}
    with pytest.raises(ClientError, match="AccessDeniedException"):
        invoked(client, "shout", "x")
    wrong = client_of(locked, "sl_0000000000000000_wrong")
    with pytest.raises(ClientError, match=r"UnrecognizedClientException.*AWS_ACCESS_KEY_ID") as caught:
        invoked(wrong, "double", 1)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_large_payloads_that_are_refused_or_never_run_hold_no_memory(server: Server, client: Any) -> None:
    """Bodies of calls may take 64 MiB together: what is counted and not given back would refuse all others before long."""
    large = json.dumps("x" * 5_000_000).encode()
    for _ in range(20):
        with pytest.raises(client.exceptions.InvalidRequestContentException):
            client.invoke(FunctionName="shout", Payload=large[:-1])
        client.invoke(FunctionName="shout", InvocationType="DryRun", Payload=large)
    assert invoked(client, "shout", "x" * 5_000_000)["StatusCode"] == 200


@pytest.mark.parametrize(("function", "payload"), [("shout", b"5"), ("flip", b'"no base64!"'), ("flip", b"{}")])
def test_a_payload_of_another_type_is_refused_with_the_cure(client: Any, function: str, payload: bytes) -> None:
    with pytest.raises(client.exceptions.InvalidRequestContentException, match=r"JSON string, bytes in base64|not base64\. Encode it"):
        client.invoke(FunctionName=function, Payload=payload)


def test_an_event_that_can_t_be_read_is_refused_at_once(client: Any) -> None:
    with pytest.raises(client.exceptions.InvalidRequestContentException):
        client.invoke(FunctionName="shout", InvocationType="Event", Payload=b"{")
