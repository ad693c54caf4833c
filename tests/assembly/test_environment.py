"""What AWS Lambda and OpenTelemetry say in the environment, and what it means."""

from pathlib import Path

import pytest

from servelite.assembly.environment import LambdaSurroundings, Tracing, lambda_surroundings, tracing
from servelite.core.errors import DefinitionError


def test_what_is_not_said_has_a_default() -> None:
    assert lambda_surroundings({"LAMBDA_TASK_ROOT": "/var/task"}) == LambdaSurroundings(Path("/var/task/functions"))


def test_what_is_said_counts() -> None:
    said = {
        "LAMBDA_TASK_ROOT": "/var/task",
        "SERVELITE_FUNCTIONS": "/opt/functions",
        "SERVELITE_FUNCTION": "sentiment",
        "SERVELITE_LEDGER": "dynamodb://calls",
        "SERVELITE_REQUIRE_KEY": "1",
        "SERVELITE_OUTPUT": "s3://results/x",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "3538",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
        "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
    }
    assert lambda_surroundings(said) == LambdaSurroundings(
        functions=Path("/opt/functions"),
        function="sentiment",
        ledger="dynamodb://calls",
        requires_key=True,
        output="s3://results/x",
        threads=2,
        is_waited_for=False,
        is_snapshot=True,
        is_ascii=False,
    )


@pytest.mark.parametrize(("memory_mb", "threads"), [("128", 1), ("1769", 1), ("2653", 1), ("2654", 2), ("3538", 2), ("10240", 6)])
def test_threads_are_whole_cores_as_lambda_gives_them_with_memory(memory_mb: str, threads: int) -> None:
    assert lambda_surroundings({"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": memory_mb}).threads == threads


@pytest.mark.parametrize(
    ("runtime", "is_ascii"), [("", True), ("python3.11", True), ("python3.12", False), ("python3.14", False), ("Image", True)]
)
def test_runtimes_write_ascii_before_python_3_12(runtime: str, is_ascii: bool) -> None:
    assert lambda_surroundings({"AWS_EXECUTION_ENV": f"AWS_Lambda_{runtime}"}).is_ascii is is_ascii


@pytest.mark.parametrize("said", ["yes", "true", "2", " 1"])
def test_whether_keys_are_asked_for_is_never_guessed(said: str) -> None:
    with pytest.raises(DefinitionError, match=f"SERVELITE_REQUIRE_KEY is '{said}'. Write 1"):
        lambda_surroundings({"SERVELITE_REQUIRE_KEY": said})


@pytest.mark.parametrize("said", ["", "0"])
def test_keys_may_be_left_out(said: str) -> None:
    assert not lambda_surroundings({"SERVELITE_REQUIRE_KEY": said}).requires_key


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, None),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x", "OTEL_SDK_DISABLED": "TRUE"}, None),
        ({"OTEL_SERVICE_NAME": "shop"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, Tracing("otlp", "servelite")),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://x", "OTEL_SERVICE_NAME": "shop"}, Tracing("otlp", "")),
        ({"OTEL_TRACES_EXPORTER": "console", "OTEL_RESOURCE_ATTRIBUTES": "a=b,service.name=shop"}, Tracing("console", "")),
    ],
)
def test_opentelemetrys_own_variables_say_whether_there_are_spans(said: dict[str, str], expected: Tracing | None) -> None:
    assert tracing(said) == expected
