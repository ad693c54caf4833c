"""The template's text: its parts, its values, and nothing left of the marks."""

import asyncio
import itertools
from pathlib import Path

import pytest

from servelite.core.errors import DefinitionError
from servelite.tools.packaging.plan import find_contents, make_plan
from servelite.tools.packaging.target import Target
from servelite.tools.packaging.template import Choices, check_choices, stack_name, template_text

ROOT = Path(__file__).parents[3]
EVERY = [
    Choices(*chosen)
    for chosen in itertools.product(("url", "api", "none"), (False, True), (False, True), ("plain", "snapstart", "provisioned"))
]


@pytest.fixture
def plan(write_echo, make_plan_of):
    """Return the plan of a function that takes batches."""
    return make_plan_of(write_echo(batch=64, timeout_s=2.5, memory_mib=300))


@pytest.mark.parametrize("choices", EVERY, ids=lambda one: f"{one.http}-{one.queue:d}{one.ledger:d}-{one.start}")
def test_a_template_has_no_mark_left_and_names_what_it_refers_to(plan, choices):
    text = template_text(plan, choices)
    assert "#?" not in text
    assert "@{" not in text
    for resource, has in {"Jobs": choices.queue, "Ledger": choices.ledger, "Api": choices.http == "api"}.items():
        assert (f"\n  {resource}:" in text) is has
        assert (f"!Ref {resource}\n" in text or f"!GetAtt {resource}.Arn" in text) is has


def test_the_limits_of_the_function_are_lambda_s(plan):
    text = template_text(plan, Choices(queue=True))
    for line in ("MemorySize: 300 ", "Timeout: 6 ", "BatchSize: 64 ", "MaximumBatchingWindowInSeconds: 1", "VisibilityTimeout: 36 "):
        assert line in text
    assert 'Description: "Says it again, \\"loudly\\"."' in text


def test_a_queue_waits_for_no_batch_of_one(write_echo, make_plan_of):
    text = template_text(make_plan_of(write_echo(memory_mib=1, timeout_s=9999)), Choices(queue=True))
    assert "BatchSize: 1 " in text
    assert "MaximumBatchingWindowInSeconds" not in text
    assert "MemorySize: 128 " in text  # the least that Lambda has
    assert "Timeout: 900 " in text  # and the longest


def test_functions_of_one_package_share_its_memory(write_echo, make_plan_of):
    plan = make_plan_of(write_echo("one", memory_mib=300), write_echo("two", memory_mib=200, timeout_s=7))
    text = template_text(plan, Choices())
    assert "MemorySize: 500  # memory_mib of its functions, together" in text
    assert "Timeout: 10 " in text
    assert "SERVELITE_FUNCTION: one " in text


@pytest.mark.parametrize(
    ("choices", "auth"),
    [
        (Choices("url"), "AuthType: AWS_IAM"),
        (Choices("url", ledger=True), "AuthType: NONE"),
        (Choices("api"), "DefaultAuthorizer: AWS_IAM"),
        (Choices("api", ledger=True), 'SERVELITE_REQUIRE_KEY: "1"'),
    ],
    ids=["a URL is signed", "or wants keys", "an API is signed", "or wants keys too"],
)
def test_nothing_is_open_to_the_world_without_keys(plan, choices, auth):
    text = template_text(plan, choices)
    assert auth in text
    assert ("AuthType: NONE" in text) <= ("SERVELITE_REQUIRE_KEY" in text)


def test_an_image_has_its_context_and_no_handler(write_echo, make_plan_of):
    plan = make_plan_of(write_echo(), is_image=True)
    text = template_text(plan, Choices())
    assert "DockerContext: echo-image" in text
    assert "CodeUri" not in text
    with pytest.raises(DefinitionError, match="SnapStart takes zips only"):
        check_choices(plan, Choices(start="snapstart"))


def test_what_does_not_fit_is_noted(write_echo, make_plan_of):
    slow = make_plan_of(write_echo(timeout_s=60, memory_mib=50_000))
    (late, large) = check_choices(slow, Choices("api"))
    assert "gives up after 30 s, and the function may take 63 s" in late
    assert "10,240 MB" in large
    assert check_choices(make_plan_of(write_echo("quick")), Choices("api")) == []


@pytest.mark.parametrize(("name", "stack"), [("sentiment", "sentiment"), ("read_review", "read-review"), ("a-b__c", "a-b-c")])
def test_a_stack_has_a_name_that_cloudformation_takes(name, stack):
    assert stack_name(name) == stack


def test_the_committed_example_is_what_is_written():
    """Written anew by: servelite package functions/sentiment --python 3.13 --arch arm64 --queue --ledger --start snapstart."""
    contents = asyncio.run(find_contents([ROOT / "functions" / "sentiment"]))
    plan = make_plan(contents, Target("3.13", "arm64"), Path("build"), is_image=False, is_checked=True)
    assert (ROOT / "deploy" / "template.yaml").read_text() == template_text(
        plan, Choices("url", queue=True, ledger=True, start="snapstart")
    )
