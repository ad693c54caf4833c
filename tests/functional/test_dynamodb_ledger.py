"""A ledger on DynamoDB as a user has it: servers, commands and frozen processes share one table, and their sums are right."""

import asyncio
import csv
import io
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from servelite.assembly.ledgers import create_key, read_keys, read_usage, revoke_key
from servelite.assembly.meters import open_direct_meter
from servelite.core.accounts import Allowance
from servelite.core.call import Answer, BatchReply, Call, Outcome, call_id
from servelite.core.errors import QuotaExhausted, Unauthorized
from servelite.core.settings import Settings
from servelite.core.tariff import Tariff
from servelite.runtime.metering import Meter, Wait
from servelite.stores.address import address
from tests.cli.command import servelite
from tests.functional.promises import StartServer
from tests.keys import bearer
from tests.runtime.fakes import Clock, described
from tests.server import Reply, Server, until

pytestmark = pytest.mark.aws

S = 1_000_000
NOW_US = 1_795_651_200 * S
EVER = (0, 2**62)


def usage(url: str, cwd: Path, *options: str) -> dict[str, Any]:
    done = servelite("usage", "--ledger", url, "--json", *options, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def post(server: Server, value: Any, headers: dict[str, str] | None = None) -> Reply:
    return server.request("POST", "/functions/double", json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


def test_servers_and_commands_share_one_table(functions: Path, start_server: StartServer, tmp_path: Path, dynamodb: str) -> None:
    one, other = (start_server(functions / "double", "--ledger", dynamodb) for _ in range(2))
    for number in range(10):
        assert post(one, number).status == post(other, number).status == 200
    assert servelite("call", functions / "double", "4", "--ledger", dynamodb, cwd=tmp_path).stdout == "8\n"
    until(lambda: sum(group["calls"] for group in usage(dynamodb, tmp_path)["usage"]) == 21)
    assert one.troubles() == other.troubles() == []
    (account,) = usage(dynamodb, tmp_path, "--by", "account")["usage"]
    (day,) = usage(dynamodb, tmp_path, "--by", "day")["usage"]
    assert (account["billed_us"], account["cost_micro"]) == (day["billed_us"], day["cost_micro"])
    table = servelite("usage", "--ledger", dynamodb, "--csv", cwd=tmp_path).stdout
    assert [(line["function"], line["calls"]) for line in csv.DictReader(io.StringIO(table))] == [("double", "21")]


def test_a_killed_server_loses_no_call_and_doubles_none(functions: Path, start_server: StartServer, tmp_path: Path, dynamodb: str) -> None:
    server = start_server(functions / "double", "--ledger", dynamodb)
    for number in range(50):
        assert post(server, number).status == 200
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    assert sum(group["calls"] for group in usage(dynamodb, tmp_path)["usage"]) == 50
    assert sum(group["calls"] for group in usage(dynamodb, tmp_path)["usage"]) == 50


def test_a_server_goes_on_while_the_table_can_not_be_reached(
    functions: Path, start_server: StartServer, tmp_path: Path, own_aws_stack: Any
) -> None:
    url = f"dynamodb://ledger?endpoint={own_aws_stack.url}"
    server = start_server(functions / "double", "--ledger", url)
    assert post(server, 1).status == 200
    own_aws_stack.stop()
    assert [post(server, number).status for number in range(5)] == [200] * 5
    until(lambda: "keys and quotas stay as they are" in server.errors())
    own_aws_stack.start()
    until(lambda: sum(group["calls"] for group in usage(url, tmp_path)["usage"]) >= 5)


def test_a_revoked_key_is_closed_when_the_command_returns(
    functions: Path, start_server: StartServer, tmp_path: Path, dynamodb: str
) -> None:
    server = start_server(functions / "double", "--require-key", "--ledger", dynamodb)
    shown = servelite("keys", "create", "--account", "acme", "--ledger", dynamodb, cwd=tmp_path).stdout.strip()
    assert post(server, 1, bearer(shown)).json() == 2
    listed = json.loads(servelite("keys", "list", "--json", "--ledger", dynamodb, cwd=tmp_path).stdout)
    assert [(key["account"], key["state"]) for key in listed] == [("acme", "valid")]
    until(lambda: read_keys(dynamodb)[0].last_used_us is not None)
    assert servelite("keys", "revoke", listed[0]["id"], "--ledger", dynamodb, cwd=tmp_path).returncode == 0
    assert post(server, 1, bearer(shown)).status == 401
    assert servelite("keys", "revoke", "nobody", "--ledger", dynamodb, cwd=tmp_path).returncode == 2


def test_an_idempotency_key_is_one_call_at_all_servers(functions: Path, start_server: StartServer, tmp_path: Path, dynamodb: str) -> None:
    one, other = (start_server(functions / "double", "--ledger", dynamodb) for _ in range(2))
    key = {"Idempotency-Key": "8e03978e"}
    first = post(one, 21, key)
    assert first.json() == 42
    until(lambda: post(other, 21, key).status == 200)  # 409 until the answer has arrived
    again = post(other, 21, key)
    assert (again.json(), again.headers["X-Request-Id"], again.headers["Idempotent-Replayed"]) == (
        42,
        first.headers["X-Request-Id"],
        "true",
    )
    assert post(one, 22, key).status == 422
    assert sum(group["calls"] for group in usage(dynamodb, tmp_path)["usage"]) == 1


def test_a_quota_counts_at_all_servers(functions: Path, start_server: StartServer, tmp_path: Path, dynamodb: str) -> None:
    (tmp_path / "servelite.toml").write_text('[tariff]\nround_up_us = 1_000_000\nfree_s = 5\n[accounts."*"]\ncredit_micro = 0\n')
    one, other = (start_server(functions / "double", "--ledger", dynamodb) for _ in range(2))
    while post(one, 1).status == 200:
        pass
    until(lambda: post(other, 1).status == 402)
    (account,) = usage(dynamodb, tmp_path, "--by", "account")["accounts"]
    assert (account["free_left_us"], account["billed_us"] >= 5 * S) == (0, True)


def test_a_ledger_that_can_not_be_used_is_told_before_anything_is_served(functions: Path, tmp_path: Path, monkeypatch: Any) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    url = "dynamodb://ledger?region=eu-central-1"
    for command in (["run", functions / "double", "--port", "0"], ["usage"], ["keys", "list"], ["keys", "create", "--account", "a"]):
        done = servelite(*command, "--ledger", url, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stderr.splitlines()[-1].startswith(f"servelite: The ledger {url} can't be used: there are no credentials. Set ")


# processes that are frozen between calls


@contextmanager
def environments(url: str, count: int, clock: Clock) -> Iterator[list[Meter]]:
    """Open so many environments of a function on AWS Lambda, as far as they know of accounts."""
    settings = Settings(tariff=Tariff(free_s=10), allowances={"acme": Allowance(credit_micro=0)})
    meters = [open_direct_meter(url, settings, clock) for _ in range(count)]
    for meter in meters:
        asyncio.run(meter.accounts.start())
    yield meters
    for meter in meters:
        asyncio.run(meter.accounts.stop())
        meter.ledger.close()


def run(meter: Meter, number: int, compute_us: int, account: str = "acme") -> Answer:
    """Answer a call as an engine does."""
    call = Call(call_id(NOW_US // 1000, number), "f", account=account)
    function = described(timeout_s=1)
    meter.accounts.quotas.enter(call)
    try:
        meter.accounts.quotas.hold(call, function.limits)
        (answer,) = meter.settle([call], [Wait(0, 0)], BatchReply([Outcome(b"1", None, compute_us)], 0, 0), function)
    finally:
        meter.accounts.quotas.leave(call)
    return answer


def test_frozen_processes_share_a_quota_and_go_beyond_it_by_a_seconds_calls(dynamodb: str) -> None:
    clock, done = Clock(NOW_US), 0
    with environments(dynamodb, 3, clock) as meters:
        for turn in range(100):
            for number, meter in enumerate(meters):
                try:
                    run(meter, turn * 3 + number, 500_000)
                    done += 1
                except QuotaExhausted:
                    continue
            clock.us += 500_000
        assert 20 <= done <= 20 + 3 * 2
        with pytest.raises(QuotaExhausted, match="Account acme has used"):
            run(meters[0], 1000, 1)
        left_us = run(meters[0], 1001, 1, "somebody").receipt.free_left_us
    assert left_us is None
    (acme, somebody) = read_usage(dynamodb, ["account"], EVER)["account"]
    assert (acme.calls, acme.billed_us, somebody.calls) == (done, done * 500_000, 1)


def test_the_row_is_in_the_table_before_the_answer_leaves(dynamodb: str) -> None:
    with environments(dynamodb, 1, Clock(NOW_US)) as (meter,):
        for number in range(1, 4):
            answer = run(meter, number, 1_500_000)
            assert read_usage(dynamodb, ["function"], EVER)["function"][0].calls == number
            assert answer.receipt.free_left_us == (10 * S - number * 1_500_000)


def test_a_frozen_process_sees_a_new_key_and_a_revoked_one_a_second_later(dynamodb: str) -> None:
    clock = Clock(NOW_US)
    with environments(dynamodb, 1, clock) as (meter,):
        key, shown = create_key(dynamodb, "acme", "", ["*"], None, is_admin=False)
        clock.us += S
        header = f"Bearer {shown}".encode()
        assert meter.accounts.keyring.holder(header).account == "acme"
        assert read_keys(dynamodb)[0].last_used_us == clock.us
        revoke_key(dynamodb, key.id)
        clock.us += S
        with pytest.raises(Unauthorized):
            meter.accounts.keyring.holder(header)


def test_copies_of_a_frozen_process_do_not_take_each_others_keys_for_their_own(dynamodb: str) -> None:
    with environments(dynamodb, 1, Clock(NOW_US)) as (meter,):
        assert asyncio.run(meter.accounts.claim("acme", "a", "f")) is None
        assert asyncio.run(meter.accounts.claim("acme", "a", "f")) is None
        meter.accounts.restored()
        assert run(meter, 1, 1).receipt.billed_us == 1
        assert asyncio.run(meter.accounts.claim("acme", "a", "g")) == "f"


def test_a_frozen_process_needs_no_folder_it_may_write(dynamodb: str, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    with environments(dynamodb, 1, Clock(NOW_US)) as (meter,):
        run(meter, 1, 1)
    assert list(tmp_path.iterdir()) == []
    assert address(dynamodb).exists()
