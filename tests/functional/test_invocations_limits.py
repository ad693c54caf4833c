"""boto3 at the limits of accounts, functions and the server: what AWS' callers are told, what is charged, and what an end leaves undone."""

import json
import signal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.conftest import FolderWriter
from tests.functional.invoking import client_of, id_of, invoked
from tests.functional.ledger import read_rows, wait_for_rows
from tests.functional.promises import NOTING, StartServer, noted, unready
from tests.server import until

WORKING = """
    @function(max_workers=1)
    def work(number: int) -> int:
        note(number)
        while not (HERE / "go").exists():
            time.sleep(0.005)
        return number
"""


def test_an_account_at_its_limit_is_throttled_until_its_event_has_run(
    write_function: FolderWriter, start_server: StartServer, tmp_path: Path
) -> None:
    (tmp_path / "servelite.toml").write_text("[accounts.local]\nconcurrent_calls = 1\n")
    folder = write_function("work", NOTING + WORKING)
    client = client_of(start_server(folder))
    assert invoked(client, "work", 1, InvocationType="Event")["StatusCode"] == 202
    for kind in ("RequestResponse", "Event"):
        with pytest.raises(client.exceptions.TooManyRequestsException) as caught:
            invoked(client, "work", 2, InvocationType=kind)
        assert int(caught.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]) >= 1
        assert caught.value.response["retryAfterSeconds"] == caught.value.response["ResponseMetadata"]["HTTPHeaders"]["retry-after"]
    (folder / "go").touch()
    assert until(lambda: _answered(client, 3)) == 3
    assert noted(folder) == ["1", "3"]


def _answered(client: Any, number: int) -> Any:
    try:
        return invoked(client, "work", number)["Payload"]
    except client.exceptions.TooManyRequestsException:
        return None


def test_a_quota_that_is_used_up_is_told_as_one(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    (tmp_path / "servelite.toml").write_text("[tariff]\nfree_s = 0\n[accounts.local]\ncredit_micro = 0\n")
    client = client_of(start_server(functions / "double"))
    with pytest.raises(ClientError, match="ServiceQuotaExceededException") as caught:
        invoked(client, "double", 1)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 402
    assert read_rows(tmp_path) == {}


def test_a_call_with_an_idempotency_key_is_charged_once(functions: Path, start_server: StartServer, tmp_path: Path) -> None:
    client = client_of(start_server(functions / "double"))
    client.meta.events.register("before-sign.lambda.Invoke", lambda request, **_: request.headers.add_header("Idempotency-Key", "order-7"))
    first, again = invoked(client, "double", 4), invoked(client, "double", 4)
    assert (first["Payload"], id_of(first)) == (again["Payload"], id_of(again))
    assert again["ResponseMetadata"]["HTTPHeaders"]["idempotent-replayed"] == "true"
    with pytest.raises(ClientError, match="IdempotencyKeyReusedException"):
        invoked(client, "double", 5)
    assert wait_for_rows(tmp_path, 1).keys() == {id_of(first)}


@pytest.mark.parametrize(("deed", "kind"), [("segfault", "worker_died"), ("loop", "timed_out"), ("be_killed", "worker_died")])
def test_a_function_that_breaks_is_a_function_error_and_charged(
    functions: Path, start_server: StartServer, tmp_path: Path, deed: str, kind: str
) -> None:
    client = client_of(start_server(functions / "misbehave"))
    reply = invoked(client, "misbehave", deed, LogType="Tail")
    assert (reply["StatusCode"], reply["FunctionError"], reply["Payload"]["errorType"]) == (200, "Unhandled", kind)
    row = wait_for_rows(tmp_path, 1)[id_of(reply)]
    assert (row["code"], row["billed_us"] > 0) == (kind, True)
    assert f"billed-us={row['billed_us']}" in reply["ResponseMetadata"]["HTTPHeaders"]["servelite-receipt"]


def test_an_orderly_end_waits_for_events_and_takes_no_more(write_function: FolderWriter, start_server: StartServer, tmp_path: Path) -> None:
    folder = write_function("work", NOTING + WORKING)
    server = start_server(folder)
    client = client_of(server)
    told = [id_of(invoked(client, "work", number, InvocationType="Event")) for number in range(5)]
    until(lambda: noted(folder) == ["0"])
    server.process.send_signal(signal.SIGTERM)
    until(lambda: unready(server))
    with pytest.raises(client.exceptions.ServiceException, match="The server is ending") as caught:
        client.invoke(FunctionName="work", InvocationType="Event", Payload=json.dumps(6))
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    (folder / "go").touch()
    assert server.process.wait(timeout=30) == 0
    assert {call: row["code"] for call, row in read_rows(tmp_path).items()} == dict.fromkeys(told, "ok")
    assert noted(folder) == ["0", "1", "2", "3", "4"]
