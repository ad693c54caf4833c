"""Every sample event is taken for what it is."""

import pytest

from servelite.adapters.aws_lambda.kinds import find_kind
from tests.adapters.aws_lambda.lambdas import EVENTS, event

KINDS = {
    "alb_": "http",
    "direct": "direct",
    "eventbridge_custom": "eventbridge",
    "eventbridge_schedule": "schedule",
    "furl_": "http",
    "lambda_destination_onfailure": "destination",
    "s3_put": "s3",
    "s3_via_eventbridge": "eventbridge",
    "sam_alb": "http",
    "sam_dynamodb": "records of others",
    "sam_eventbridge_schedule": "schedule",
    "sam_http_v2": "http",
    "sam_kinesis": "records of others",
    "sam_rest_v1": "http",
    "sam_s3": "s3",
    "sam_sns": "sns",
    "sam_sqs": "sqs",
    "sfn_task": "step functions",
    "sns": "sns",
    "sqs_": "sqs",
    "v1_": "http",
    "v2_": "http",
    "warmup": "warm-up",
}
"""Beginnings of names, and the kind of those events; the longest that fits counts."""


@pytest.mark.parametrize("name", sorted(file.stem for file in EVENTS.glob("*.json")))
def test_a_sample_event_is_of_its_kind(name: str) -> None:
    begins = max((begin for begin in KINDS if name.startswith(begin)), key=len)
    assert find_kind(event(name)).name == KINDS[begins]


@pytest.mark.parametrize(
    ("sent", "kind"),
    [
        ({"warmup": True}, "warm-up"),
        ({"warmup": True, "x": 1}, "direct"),
        ({"source": "serverless-plugin-warmup"}, "warm-up"),
        ({"source": "serverless-plugin-warmup", "concurrency": 3}, "warm-up"),
        ({"source": "a newspaper"}, "direct"),
        ({"Records": []}, "direct"),
        ({"Records": [1]}, "direct"),
        ({"Records": [{"eventSource": "aws:kinesis"}]}, "records of others"),
        ({"requestContext": {}}, "direct"),
        ({"input": 1, "execution": "of a play"}, "direct"),
        ({"detail": 1, "source": "me"}, "direct"),
        ("text", "direct"),
        ([1, 2], "direct"),
        (None, "direct"),
    ],
)
def test_what_looks_like_nothing_of_aws_is_an_input(sent: object, kind: str) -> None:
    assert find_kind(sent).name == kind
