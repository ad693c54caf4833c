"""Functions behind AWS' own runtime client, fed by AWS' own emulator: every sample event, limits, and the command."""

import base64
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from servelite.core.errors import PayloadTooLarge, TimedOut
from servelite.tools.emulator.parts import Parts, find_parts
from servelite.tools.emulator.rooms import open_room
from servelite.tools.emulator.running import Emulator, Told, emulate
from tests.adapters.aws_lambda.lambdas import EVENTS, FLIP, SHOUT, TOTAL, event
from tests.adapters.aws_lambda.test_http import GETS, POSTS, headers_of, to_path
from tests.aws.parts import emulator as emulator_program
from tests.aws.parts import sam
from tests.conftest import FolderWriter

pytestmark = pytest.mark.aws

MISBEHAVES = """
import os, time
from servelite import ServeliteError, function

@function(max_batch=4)
def misbehaves(batch: list[str]) -> list[str]:
    for text in batch:
        if text == "hang":
            while True:
                time.sleep(0.1)
        if text == "exit":
            os._exit(3)
        if text == "raise":
            raise ValueError("a secret")
    return [text * 1000 if len(text) > 1000 else text for text in batch]
"""

WRITES = """
from pathlib import Path
from servelite import function

@function
def note(text: str) -> str:
    Path("note").touch()
    return text
"""

OUTCOMES: dict[str, Any] = {
    "direct": pytest.approx(326.4),
    "direct_empty": "invalid_input",
    "eventbridge_custom": pytest.approx(326.4),
    "lambda_destination_onfailure": 1.0,
    "s3_put": "server_failed",
    "s3_via_eventbridge": "server_failed",
    "sam_dynamodb": "bad_request",
    "sam_kinesis": "bad_request",
    "sam_s3": "server_failed",
    "sam_sns": "malformed_json",
    "sam_sqs": ["19dd0b57-b21e-4ac1-bd88-01bbb068cb78"],
    "sfn_task": pytest.approx(326.4),
    "sns": [pytest.approx(326.4)],
    "sqs_batch_3_one_poison": ["19dd0b57-b21e-4ac1-bd88-01bbb068cb71"],
    "sqs_fifo": [],
    "sqs_from_sns": [],
}
"""What the function that adds up makes of a sample event: an output, an error's type, or the messages that come again.

Nothing answers at S3's endpoint here, so its objects can't be read.
"""

PINGS = ("eventbridge_schedule", "sam_eventbridge_schedule", "warmup")

NO_AWS = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
}

NUMBERS = '{\\"x\\": [1, 2]}'
"""Numbers as sam wants them: it puts what it is given into JSON as it is."""

Starter = Callable[..., Emulator]


@pytest.fixture(scope="module")
def parts() -> Parts:
    """Return AWS' parts; the tests are skipped where there are none."""
    emulator_program()
    return find_parts(sam())


@pytest.fixture(scope="module")
def total(parts: Parts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Return a function that adds up, emulated for all tests; they send it one event after the other."""
    folder = tmp_path_factory.mktemp("functions") / "total"
    folder.mkdir()
    (folder / "handler.py").write_text(TOTAL, encoding="utf-8")
    with open_room(folder, parts, NO_AWS, (20, 512)) as room, emulate(room, parts, 20) as emulator:
        yield emulator


@pytest.fixture
def start(parts: Parts, write_function: FolderWriter) -> Iterator[Starter]:
    """Return a starter of emulators: start("name", handler source, timeout_s=…)."""
    with ExitStack() as stack:

        def begin(name: str, source: str, timeout_s: float = 20) -> Emulator:
            room = stack.enter_context(open_room(write_function(name, source), parts, {}, (timeout_s, 512)))
            return stack.enter_context(emulate(room, parts, timeout_s))

        yield begin


def send(function: Emulator, sent: Any) -> Told:
    return function.invoke(json.dumps(sent).encode())


@pytest.mark.parametrize("name", sorted(file.stem for file in EVENTS.glob("*.json")))
def test_a_sample_event_is_answered(total: Emulator, name: str) -> None:
    told = send(total, event(name))
    if name in PINGS:
        assert told.answer["warm"] is True
    elif name in OUTCOMES:
        assert summary(told) == OUTCOMES[name]
    else:
        assert told.answer["statusCode"] == (200 if name in ("alb_health", "v1_get_root") else 404)
        assert len(headers_of(told.answer)["x-request-id"]) == 32


def summary(told: Told) -> Any:
    """Return what came of an event, in short."""
    if told.error:
        return told.answer["errorType"]
    is_batch = isinstance(told.answer, dict) and "batchItemFailures" in told.answer
    return [one["itemIdentifier"] for one in told.answer["batchItemFailures"]] if is_batch else told.answer


@pytest.mark.parametrize("name", POSTS)
def test_a_call_over_http_has_its_receipt(total: Emulator, name: str) -> None:
    told = send(total, to_path(event(name), "/functions/total"))
    assert (told.answer["statusCode"], json.loads(told.answer["body"])) == (200, pytest.approx(326.4))
    assert headers_of(told.answer)["servelite-receipt"].startswith("compute-us=")
    assert [call["code"] for call in told.metrics] == ["ok"]


@pytest.mark.parametrize("name", GETS)
def test_a_function_describes_itself_over_http(total: Emulator, name: str) -> None:
    told = send(total, to_path(event(name), "/functions/total"))
    assert (told.answer["statusCode"], json.loads(told.answer["body"])["name"]) == (200, "total")


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [
        (["sqs", "receive-message", "--body", NUMBERS], []),
        (["sqs", "receive-message", "--body", "poison"], ["19dd0b57-b21e-4ac1-bd88-01bbb068cb78"]),
        (["sns", "notification", "--message", NUMBERS], [3.0]),
        (["s3", "put", "--bucket", "b", "--key", "in.json"], "server_failed"),
        (["s3", "delete"], []),
        (["stepfunctions", "error"], "invalid_input"),
        (["kinesis", "get-records"], "bad_request"),
        (["dynamodb", "update"], "bad_request"),
        (["cloudwatch", "scheduled-event"], "warm"),
        (["apigateway", "aws-proxy", "--method", "GET", "--path", "functions"], 200),
        (["apigateway", "http-api-proxy"], 404),
        (["alb", "request"], 404),
    ],
    ids=lambda value: "-".join(value[:2]) if isinstance(value, list) and value and isinstance(value[0], str) else "",
)
def test_an_event_that_sam_makes_is_answered(total: Emulator, arguments: list[str], outcome: Any) -> None:
    made = subprocess.run([str(sam()), "local", "generate-event", *arguments], capture_output=True, text=True, check=False, timeout=60)
    if made.returncode:
        pytest.fail(made.stderr)
    answer = summary(told := total.invoke(made.stdout.encode()))
    if isinstance(answer, dict):
        answer = answer.get("statusCode") or "warm" * answer.get("warm", False)
    assert answer == outcome, told


def test_the_first_event_has_the_start_and_no_other(start: Starter) -> None:
    shout = start("shout", SHOUT)
    first, second = send(shout, "a"), send(shout, "b")
    assert (first.answer, second.answer) == ("A", "B")
    assert first.report.init_ms > 50 > second.report.init_ms == 0
    assert first.report.billed_ms > first.report.init_ms
    assert first.report.memory_mb > 10
    assert first.metrics[0]["init_us"] > 50_000
    assert second.metrics[0]["init_us"] == 0


def test_bytes_are_flipped(start: Starter) -> None:
    assert send(start("flip", FLIP), base64.b64encode(b"abc").decode()).answer == base64.b64encode(b"cba").decode()


def test_errors_have_our_codes_and_the_log_has_the_reason(start: Starter) -> None:
    told = send(start("misbehaves", MISBEHAVES), "raise")
    assert told.answer["errorType"] == "function_failed"
    assert "secret" not in json.dumps(told.answer)
    assert any("a secret" in line for line in told.log)


def test_a_function_that_takes_too_long_is_ended(start: Starter) -> None:
    function = start("misbehaves", MISBEHAVES, timeout_s=2)
    assert send(function, "fine").answer == "fine"
    with pytest.raises(TimedOut, match="longer than the 2 s"):
        send(function, "hang")
    assert send(function, "fine again").answer == "fine again"


def test_a_process_that_ends_is_started_anew(start: Starter) -> None:
    function = start("misbehaves", MISBEHAVES)
    assert send(function, "exit").error.startswith("Runtime.ExitError")
    assert send(function, "fine").answer == "fine"


def test_an_answer_that_lambda_would_not_take_does_not_end_the_process(start: Starter) -> None:
    function = start("misbehaves", MISBEHAVES)
    assert len(send(function, "x" * 6291).answer) == 6_291_000
    assert send(function, "x" * 6292).answer["errorType"] == "payload_too_large"
    assert send(function, "fine").report.init_ms == 0


def test_an_event_that_lambda_would_not_take_is_refused(total: Emulator) -> None:
    with pytest.raises(PayloadTooLarge, match="and Lambda takes 6,291,456"):
        total.invoke(b'"' + b"x" * 6_291_455 + b'"')


def test_a_folder_that_can_t_be_loaded_is_told(start: Starter) -> None:
    told = send(start("broken", "import nowhere"), {})
    assert "there is no module 'nowhere' here" in told.error + "".join(told.log)


# the command


def servelite(*arguments: str, cwd: Path, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "servelite", "emulate", "--sam", str(sam()), *arguments]
    return subprocess.run(command, cwd=cwd, input=stdin, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_prints_answer_report_and_receipt(parts: Parts, write_function: FolderWriter, tmp_path: Path) -> None:
    folder = write_function("total", TOTAL, {"examples.jsonl": '{"input": {"x": [1, 2]}}\n'})
    done = servelite(str(folder), "--times", "2", "--memory", "512", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "3.0\n")
    said = done.stderr.splitlines()
    assert said[0] == 'event: {"x": [1, 2]}'
    assert [line.partition(" ")[0] for line in said[1:]] == ["REPORT", "receipt:", "REPORT", "receipt:"]
    assert said[1].startswith("REPORT init ")
    assert said[3].startswith("REPORT duration ")
    assert said[1].endswith(" of 512 MB")
    assert "total ok, compute-us=" in said[2]


def test_the_command_says_that_the_function_failed(parts: Parts, write_function: FolderWriter, tmp_path: Path) -> None:
    done = servelite(str(write_function("total", TOTAL)), "-", cwd=tmp_path, stdin="{}")
    assert done.returncode == 1
    assert json.loads(done.stdout)["errorType"] == "invalid_input"
    assert done.stderr.splitlines()[-1] == "servelite: the function failed: invalid_input: x: Field required."


def test_the_command_says_that_the_function_writes_where_it_may_not(parts: Parts, write_function: FolderWriter, tmp_path: Path) -> None:
    done = servelite(str(write_function("note", WRITES)), "-", cwd=tmp_path, stdin='"x"')
    assert done.returncode == 1
    assert "The function wrote to its own folder: note." in done.stderr


def test_the_command_s_json_is_one_object(parts: Parts, write_function: FolderWriter, tmp_path: Path) -> None:
    told = json.loads(servelite(str(write_function("total", TOTAL)), "-", "--json", cwd=tmp_path, stdin='{"x": [1]}').stdout)
    assert told.keys() == {"answer", "error", "report", "calls", "log"}
    assert (told["answer"], told["error"], told["report"].keys()) == (1, None, {"duration_ms", "init_ms", "billed_ms", "memory_mb"})


def test_the_command_serves_http_until_it_is_ended(parts: Parts, write_function: FolderWriter, tmp_path: Path) -> None:
    folder = write_function("shout", SHOUT)
    command = [sys.executable, "-m", "servelite", "emulate", "--sam", str(sam()), str(folder), "--http", "0"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[4]
        asked = ["curl", "-s", "-H", "Content-Type: text/plain", "--data", "hey", f"{url}/functions/shout"]
        assert subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30).stdout == "HEY"
        process.terminate()
        _, said = process.communicate(timeout=30)
    assert said.splitlines()[0] == "POST /functions/shout"
    assert process.returncode == 143
