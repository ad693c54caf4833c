"""AWS' Invoke API on an engine of fake workers: what boto3 alone does not show, and what it takes a stopped clock to see."""

import asyncio
import base64
import logging
from dataclasses import replace

import pytest

from servelite.adapters.invocations import MOST_EVENTS, Invocations
from servelite.core.accounts import Allowance, ApiKey
from servelite.core.call import Outcome
from servelite.core.errors import FunctionFailed, InvalidInput, MalformedJson
from servelite.runtime.engine import Engine
from servelite.runtime.ids import Ids
from servelite.runtime.pool import Pool
from tests.runtime.fakes import MemoryLedger, Workshop, a_machine, a_meter, described, settle, some_accounts, until

pytestmark = pytest.mark.anyio

NAMES = ("echo", "function")


class Reply:
    """A response as it is sent, piece by piece."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    async def send(self, message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message["body"]

    @property
    def log(self) -> list[str]:
        return base64.b64decode(self.headers["x-amz-log-result"]).decode().splitlines()


class Client:
    """The door on an engine of two functions, and who asks there."""

    def __init__(self, **allowance) -> None:
        self.ledger = MemoryLedger()
        self.workshops = {name: Workshop(replace(described(name), version="ab12")) for name in NAMES}
        accounts = some_accounts(lambda: 7, local=Allowance(**allowance))
        meter, machine = a_meter(self.ledger, lambda: 7, accounts), a_machine()
        pools = {name: Pool(name, workshop.new_worker, meter, workshop.clock, machine) for name, workshop in self.workshops.items()}
        machine.memory.tenants = [pool.workers for pool in pools.values()]
        numbers = iter(range(1, 10_000))
        self.engine = Engine(pools, meter, machine.memory, Ids(lambda: 1.5, lambda _: next(numbers)), now_s=lambda: 1.5)
        self.door = Invocations(self.engine)

    async def invoke(self, name="echo", payload=b'"a"', query=b"", key=None, receive=None, **headers) -> Reply:
        """Send a request, its headers written with _; the payload comes whole, or as `receive` gives it."""
        sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope = {"path": f"/2015-03-31/functions/{name}/invocations", "query_string": query, "headers": sent}

        async def whole():
            return {"type": "http.request", "body": payload}

        reply = Reply()
        await self.door.answer(scope, receive or whole, reply.send, key)
        return reply

    async def tell(self, **said) -> Reply:
        return await self.invoke(x_amz_invocation_type="Event", **said)


class Faulty:
    """An engine with a fault that shows once a payload is read."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    async def call(self, _, read):
        await read()
        raise RuntimeError("a fault")


@pytest.fixture
async def start():
    """Return a starter of clients; their engines end with the test."""
    made = []

    async def begin(**allowance) -> Client:
        made.append(Client(**allowance))
        await made[-1].engine.start()
        return made[-1]

    yield begin
    for client in made:
        await client.engine.stop()


@pytest.fixture
async def client(start):
    return await start()


@pytest.mark.parametrize(
    "said",
    [
        "function",
        "function:$LATEST",
        "function:ab12",
        "123456789012:function:function",
        "123456789012:function:function:ab12",
        "arn:aws:lambda:eu-central-1:123456789012:function:function",
        "arn:aws-cn:lambda:cn-north-1:123456789012:function:function:$LATEST",
    ],
)
async def test_even_a_function_that_is_called_function_is_named_as_on_lambda(client, said):
    reply = await client.invoke(said)
    assert (reply.status, reply.headers["x-amz-executed-version"]) == (200, "ab12")
    assert [len(workshop.batches) for workshop in client.workshops.values()] == [0, 1]


@pytest.mark.parametrize("said", ["echo:1", "echo:ab12:ab12", "function:echo", "arn:aws:sqs:eu-central-1:123456789012:echo", "", "a/b"])
async def test_a_name_that_means_nothing_here_is_not_found(client, said):
    reply = await client.invoke(said)
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (404, "ResourceNotFoundException")
    assert client.ledger.rows == []


async def test_the_last_qualifier_of_the_query_counts(client):
    assert (await client.invoke(query=b"Qualifier=ab12")).status == 200
    assert (await client.invoke(query=b"Qualifier=%24LATEST")).status == 200
    assert (await client.invoke(query=b"Qualifier=7")).status == 404


async def test_the_report_has_the_receipts_figures(client):
    client.workshops["echo"].compute_us = 1_233_999
    reply = await client.invoke(x_amz_log_type="Tail")
    uuid = reply.headers["x-amzn-requestid"]
    assert reply.headers["servelite-receipt"].startswith("compute-us=1234000,")
    assert reply.log == [
        f"START RequestId: {uuid} Version: ab12",
        f"END RequestId: {uuid}",
        f"REPORT RequestId: {uuid}\tDuration: 1234.00 ms\tBilled Duration: 1234 ms\tMemory Size: 1024 MB",
    ]
    client.workshops["echo"].compute_us += 1
    assert "\tBilled Duration: 1235 ms\t" in (await client.invoke(x_amz_log_type="Tail")).log[-1]


async def test_what_is_not_billed_is_not_in_the_report_either(client):
    client.workshops["echo"].answer = lambda _: Outcome(error=InvalidInput("No."))
    reply = await client.invoke(x_amz_log_type="Tail")
    assert "billed-us=0" in reply.headers["servelite-receipt"]
    assert "\tBilled Duration: 0 ms\t" in reply.log[-1]


async def test_a_long_error_leaves_the_end_of_the_log(client):
    client.workshops["echo"].answer = lambda _: Outcome(error=FunctionFailed("ä" * 5000))
    reply = await client.invoke(x_amz_log_type="Tail")
    kept = base64.b64decode(reply.headers["x-amz-log-result"])
    assert len(kept) == 4096
    assert kept.splitlines()[-1].startswith(b"REPORT RequestId: ")


async def test_no_log_is_sent_to_who_asks_for_none(client):
    assert "x-amz-log-result" not in (await client.invoke(x_amz_log_type="None")).headers


async def test_a_payload_that_only_its_worker_finds_malformed_has_a_receipt(client):
    client.workshops["echo"].answer = lambda _: Outcome(error=MalformedJson("It is not strict JSON."))
    reply = await client.invoke(payload=b"{")
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (400, "InvalidRequestContentException")
    assert "billed-us=0" in reply.headers["servelite-receipt"]
    assert len(client.ledger.rows) == 1


async def test_a_key_calls_what_it_is_for_and_its_account_pays(client):
    key = ApiKey("k", "acme", "ci", b"", ("echo",))
    assert (await client.invoke(key=key)).status == 200
    assert [(row.account, row.key_id) for row in client.ledger.rows] == [("acme", "k")]
    reply = await client.invoke("function", key=key)
    assert (reply.status, reply.headers["x-amzn-errortype"]) == (403, "AccessDeniedException")


async def test_who_calls_too_often_is_told_when_to_come_again(start):
    client = await start(calls_per_s=1)
    replies = [await client.invoke(), await client.invoke()]
    assert [reply.status for reply in replies] == [200, 429]
    assert (replies[1].headers["x-amzn-errortype"], replies[1].headers["retry-after"]) == ("TooManyRequestsException", "1")
    assert (await client.tell()).status == 429


async def test_a_repeated_key_gets_the_answer_again_and_is_charged_once(client):
    first, again = [await client.invoke(idempotency_key="one") for _ in range(2)]
    assert (first.body, first.headers["x-amzn-requestid"]) == (again.body, again.headers["x-amzn-requestid"])
    assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
    assert len(client.ledger.rows) == 1


async def test_an_event_is_answered_while_it_runs_and_runs_on(client):
    client.workshops["echo"].door.clear()
    reply = await client.tell()
    assert (reply.status, reply.body, client.ledger.rows) == (202, b"", [])
    client.workshops["echo"].door.set()
    await until(lambda: len(client.ledger.rows) == 1)
    assert client.ledger.rows[0].id == reply.headers["x-request-id"]


async def test_an_event_that_fails_is_run_once_and_told_in_the_log(client, caplog):
    client.workshops["echo"].answer = lambda _: Outcome(error=FunctionFailed("It broke."))
    reply = await client.tell()
    await until(lambda: bool(caplog.messages))
    assert caplog.messages == [f"event {reply.headers['x-request-id']} failed: function_failed: It broke."]
    await settle()
    assert len(client.workshops["echo"].batches) == 1


async def test_an_event_that_can_not_be_recorded_is_told_in_the_log(client, caplog):
    client.ledger.is_full = True
    assert (await client.tell()).status == 202
    await until(lambda: any("ledger_unavailable: The disk is full." in line for line in caplog.messages))


async def test_a_fault_of_the_server_s_own_in_an_event_has_its_traceback_in_the_log(client, caplog):
    client.door = Invocations(Faulty(client.engine))
    reply = await client.tell()
    line = f"event {reply.headers['x-request-id']} failed in the gateway"
    await until(lambda: line in caplog.messages)
    (found,) = (one for one in caplog.records if one.getMessage() == line)
    assert (found.levelno, type(found.exc_info[1])) == (logging.ERROR, RuntimeError)


async def test_a_client_that_leaves_before_its_payload_is_there_runs_nothing(client):
    async def gone():
        return {"type": "http.disconnect"}

    for kind in ("Event", "RequestResponse"):
        assert (await client.invoke(receive=gone, x_amz_invocation_type=kind)).status == 0
    await settle()
    assert client.workshops["echo"].batches == []


async def test_an_event_whose_request_is_cancelled_before_its_payload_is_there_runs_nothing(client):
    waits = asyncio.create_task(client.tell(receive=asyncio.Event().wait))
    await settle()
    waits.cancel()
    await settle()
    assert waits.cancelled()
    assert (await client.invoke()).status == 200
    assert len(client.workshops["echo"].batches) == 1


async def test_events_whose_payload_is_still_to_come_count_as_any(client):
    """Each connection may send one: were only those counted that wait for a worker, there would be no end to them."""
    come = asyncio.Event()

    async def late():
        await come.wait()
        return {"type": "http.request", "body": b'"a"'}

    asked = [asyncio.create_task(client.tell(receive=late)) for _ in range(MOST_EVENTS)]
    await settle()
    refused = await client.tell()
    assert (refused.status, refused.headers["x-amzn-errortype"]) == (429, "TooManyRequestsException")
    assert refused.headers["retry-after"] == "1"
    assert (await client.invoke()).status == 200
    come.set()
    assert {(await one).status for one in asked} == {202}
    await until(lambda: len(client.ledger.rows) == MOST_EVENTS + 1, turns=None)
    assert (await client.tell()).status == 202
    await until(lambda: len(client.ledger.rows) == MOST_EVENTS + 2)
