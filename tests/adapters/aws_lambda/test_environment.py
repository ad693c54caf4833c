"""What a process on Lambda is: pipelines and what handlers call run in it too, and it loads little."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from servelite.adapters.aws_lambda.snapshots import warm_up
from tests.adapters.aws_lambda.conftest import Starter
from tests.adapters.aws_lambda.lambdas import SHOUT, TOTAL, event, failed, queue_event
from tests.conftest import FolderWriter

PIPELINE = """
from servelite import sequence

def exclaim(text: str) -> str:
    return text + "!"

pipeline = sequence("shout", exclaim)
"""

ASKING = """
from servelite import Context, function

@function
def asking(text: str, context: Context) -> str:
    return context.call("asked", text) + "?"
"""

ASKED = """
from servelite import Context, function

@function
def asked(text: str, context: Context) -> str:
    return context.call("shout", text)
"""

WEB = ("starlette", "mangum", "uvloop", "httptools", "prometheus_client")
OTHERS = ("boto3", "botocore", "click", "numpy", "onnxruntime", "rich", "sqlite3")

ONE_EVENT = """
import json, sys
from servelite.adapters.aws_lambda import handler

class Context:
    aws_request_id = "11111111-2222-4333-8444-555555555555"
    client_context = None
    def get_remaining_time_in_millis(self):
        return 30_000

sys.stdout.write(json.dumps(handler(json.loads(sys.argv[1]), Context())) + "\\n")
sys.stdout.write(json.dumps(sorted(sys.modules)) + "\\n")
"""


def one_event(functions: Path, sent: object, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Answer one event in a process of its own."""
    where = {**os.environ, "SERVELITE_FUNCTIONS": str(functions), **variables}
    return subprocess.run(
        [sys.executable, "-c", ONE_EVENT, json.dumps(sent)], env=where, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_direct_event_loads_nothing_that_it_does_not_need(write_function: FolderWriter) -> None:
    done = one_event(write_function("total", TOTAL).parent, {"x": [1, 2]})
    call, answer, modules = done.stdout.splitlines()
    assert (answer, done.stderr) == ("3.0", "")
    assert json.loads(call)["call"] == "11111111222243338444555555555555"
    assert [name for name in (*WEB, *OTHERS) if name in json.loads(modules)] == []


def test_the_first_call_is_told_how_long_the_whole_process_took(write_function: FolderWriter) -> None:
    folder = write_function("total", TOTAL).parent
    call = json.loads(one_event(folder, {"x": []}).stdout.splitlines()[0])
    assert 30_000 < call["init_us"] < 30_000_000
    provisioned = one_event(folder, {"x": []}, AWS_LAMBDA_INITIALIZATION_TYPE="provisioned-concurrency")
    assert json.loads(provisioned.stdout.splitlines()[0])["init_us"] == 0


def test_a_folder_that_can_t_be_loaded_is_told_when_the_process_starts(write_function: FolderWriter) -> None:
    done = one_event(write_function("broken", "import nowhere").parent, {})
    assert done.returncode == 1
    assert "DefinitionError" in done.stderr
    assert "there is no module 'nowhere' here" in done.stderr


def test_a_pipeline_runs_in_the_process(start: Starter) -> None:
    loud = start({"loud": PIPELINE, "shout": SHOUT})
    assert loud("hey", request_id="11111111-2222-4333-8444-555555555555") == "HEY!"
    assert [(call["function"], call["call"]) for call in loud.calls] == [("loud", "11111111222243338444555555555555")]
    assert loud.environment.main == "loud"


def test_a_pipeline_takes_batches_of_a_queue(start: Starter) -> None:
    loud = start({"loud": PIPELINE, "shout": SHOUT})
    assert failed(loud(queue_event(["a", "b", "c"]))) == []
    assert [call["function"] for call in loud.calls] == ["loud"] * 3


def test_a_pipeline_that_comes_again_has_the_same_stages(start: Starter) -> None:
    loud = start({"loud": PIPELINE, "shout": SHOUT})
    seen: list[list[str]] = []
    record = loud.environment.engine.ledger.record
    loud.environment.engine.meter.ledger.record = lambda rows, kept=(): (seen.append([row.id for row in rows]), record(rows, kept))
    for _ in range(2):
        loud(queue_event(["a"]))
    assert len(seen) == 6
    assert seen[:3] == seen[3:]
    assert len({one for ids in seen for one in ids}) == 3


def test_what_a_handler_calls_runs_in_the_process_too(start: Starter) -> None:
    asking = start({"asking": ASKING, "asked": ASKED, "shout": SHOUT}, function="asking")
    assert asking("hey") == "HEY?"
    assert [call["function"] for call in asking.calls] == ["shout", "asked", "asking"]


def test_a_copy_that_is_woken_has_waited_for_nothing(start: Starter) -> None:
    examples = json.dumps({"input": {"x": [1]}, "output": 1}) + "\n"
    total = start({"total": TOTAL}, {"total": {"examples.jsonl": examples}}, is_snapshot=True)
    warm_up(total.environment)
    assert total.calls == []
    total.environment.engine.meter.start_us = 250_000
    total.environment.restored()
    assert total({"x": [1]}) == 1
    assert total.calls[0]["init_us"] == 0
    assert total(event("v1_get_root"))["statusCode"] == 200


@pytest.mark.parametrize("name", ["Handler", "nothing"])
def test_the_door_has_but_one_name(name: str) -> None:
    from servelite.adapters import aws_lambda

    with pytest.raises(AttributeError, match=name):
        getattr(aws_lambda, name)
