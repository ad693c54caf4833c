"""Queues: batches of SQS become batches of the model, and only what failed comes again."""

import json

import pytest

from servelite.core.errors import ServeliteError
from tests.adapters.aws_lambda.conftest import Starter
from tests.adapters.aws_lambda.lambdas import SHOUT, TOTAL, Lambda, event, failed, queue_event

RECORDING = """
from servelite import InvalidInput, function
batches = []

@function(max_batch=4)
def recording(batch: list[str]) -> list[str]:
    batches.append(batch)
    if "poison" in batch and len(batch) == 1:
        raise ValueError("poison")
    if "poison" in batch:
        raise ValueError("poison among others")
    return [",".join("+".join(one) for one in batches) for _ in batch]
"""

SLOW = """
import time
from servelite import function
began = []

@function
def slow(text: str) -> str:
    began.append(text)
    until = time.monotonic() + 0.12
    while time.monotonic() < until:
        pass
    return text
"""


def test_a_batch_of_the_queue_is_a_batch_of_the_model(total: Lambda) -> None:
    assert total(queue_event({"x": [place]} for place in range(10))) == {"batchItemFailures": []}
    assert [call["batch"] for call in total.calls] == [8] * 8 + [2] * 2


def test_a_poisoned_message_comes_again_alone(total: Lambda) -> None:
    answer = total(event("sqs_batch_3_one_poison"))
    assert failed(answer) == ["19dd0b57-b21e-4ac1-bd88-01bbb068cb71"]
    assert [call["code"] for call in total.calls] == ["ok", "malformed_json", "ok"]


def test_a_message_that_breaks_its_batch_comes_again_alone(start: Starter) -> None:
    recording = start({"recording": RECORDING})
    assert failed(recording(queue_event(["a", "b", "poison", "c"]))) == ["m2"]


def test_a_message_may_be_text(shout: Lambda) -> None:
    assert failed(shout(event("sam_sqs"))) == []


def test_a_message_names_its_function_by_an_attribute(start: Starter) -> None:
    both = start({"total": TOTAL, "shout": SHOUT}, function="total")
    named = {"servelite-function": {"stringValue": "shout", "dataType": "String"}}
    assert failed(both(queue_event(["loud"], messageAttributes=named))) == []
    assert [call["function"] for call in both.calls] == ["shout"]


def test_an_unknown_function_fails_its_message_and_no_other(start: Starter) -> None:
    total = start({"total": TOTAL})
    sent = queue_event([{"x": []}, {"x": []}])
    sent["Records"][0]["messageAttributes"] = {"servelite-function": {"stringValue": "nobody"}}
    assert failed(total(sent)) == ["m0"]


def test_a_message_that_comes_again_is_the_same_call(total: Lambda) -> None:
    total(queue_event([{"x": [1]}]))
    total(queue_event([{"x": [1]}]))
    first, second = total.calls
    assert first["call"] == second["call"]
    assert first["request_id"] != second["request_id"]


def test_a_message_is_another_call_for_another_function(start: Starter) -> None:
    both = start({"total": TOTAL, "shout": SHOUT}, function="shout")
    sent = queue_event(["loud"])
    both(sent)
    sent["Records"][0]["messageAttributes"] = {"servelite-function": {"stringValue": "total"}}
    both(sent)
    first, second = both.calls
    assert first["call"] != second["call"]


def test_nothing_is_begun_in_the_last_two_seconds(total: Lambda) -> None:
    assert failed(total(queue_event([{"x": [1]}, {"x": [2]}]), left_s=1.9)) == ["m0", "m1"]
    assert total.calls == []


def test_what_would_begin_in_the_last_two_seconds_comes_again(start: Starter) -> None:
    slow = start({"slow": SLOW})
    came_again = failed(slow(queue_event([f"t{place}" for place in range(20)]), left_s=2.5))
    done = [call["code"] for call in slow.calls]
    assert 1 <= len(done) < 20
    assert set(done) == {"ok"}
    assert came_again == [f"m{place}" for place in range(len(done), 20)]


def test_more_messages_than_may_wait_at_once_are_answered_all_the_same(total: Lambda) -> None:
    assert failed(total(queue_event({"x": [1]} for _ in range(2500)))) == []
    assert len(total.calls) == 2500


def test_a_group_of_a_fifo_queue_stops_at_its_first_failure(start: Starter) -> None:
    recording = start({"recording": RECORDING})
    answer = recording(queue_event(["a1", "poison", "a3", "b1", "b2"], groups=["a", "a", "a", "b", "b"]))
    assert failed(answer) == ["m1", "m2"]
    assert sorted(call["code"] for call in recording.calls) == ["function_failed", "ok", "ok", "ok"]


def test_a_group_of_a_fifo_queue_is_answered_in_its_order(total: Lambda) -> None:
    assert failed(total(event("sqs_fifo"))) == []
    assert [call["batch"] for call in total.calls] == [1, 1]


def test_groups_of_a_queue_that_keeps_no_order_are_no_lines(total: Lambda) -> None:
    sent = queue_event([{"x": [1]}, {"x": [2]}], groups=["fair", "fair"])
    for record in sent["Records"]:
        record["eventSourceARN"] = record["eventSourceARN"].removesuffix(".fifo")
    assert failed(total(sent)) == []
    assert [call["batch"] for call in total.calls] == [2, 2]


def test_a_notice_of_a_topic_is_unwrapped(total: Lambda) -> None:
    assert failed(total(event("sqs_from_sns"))) == []
    assert [call["code"] for call in total.calls] == ["ok"]


def test_an_event_of_eventbridge_is_unwrapped(total: Lambda) -> None:
    assert failed(total(queue_event([event("eventbridge_custom")]))) == []


def test_an_object_that_a_message_tells_of_is_the_input(total: Lambda) -> None:
    total.objects.kept["servelite-data", "public/demo/my file(2).json"] = ("application/json", b'{"x": [1, 2]}')
    within_sns = {"Type": "Notification", "TopicArn": "t", "MessageId": "m", "Message": json.dumps(event("s3_put"))}
    assert failed(total(queue_event([event("s3_put"), within_sns]))) == []
    assert total.objects.kept["servelite-data", "public/demo/my file(2).json.servelite.json"] == ("application/json", b"3.0")


def test_a_message_whose_object_is_gone_comes_again(total: Lambda) -> None:
    assert failed(total(queue_event([event("s3_put")]))) == ["m0"]


def test_what_s3_sends_when_it_is_set_up_is_done(total: Lambda) -> None:
    assert failed(total(queue_event([{"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}]))) == []
    assert total.calls == []


@pytest.mark.parametrize(
    "text",
    ['{"TopicArn" broken', '["TopicArn"]', '{"x": "\\"TopicArn\\""}', '{"Type": "Notification", "TopicArn": "t"}', '{"detail-type": 1}'],
)
def test_what_only_looks_like_an_envelope_is_an_input(shout: Lambda, text: str) -> None:
    shout(queue_event([text]))
    assert shout.calls[0]["code"] == "ok"


@pytest.mark.parametrize("field", ["messageId", "body"])
def test_a_record_that_is_not_as_aws_sends_it_is_refused(total: Lambda, field: str) -> None:
    sent = queue_event([{"x": []}])
    del sent["Records"][0][field]
    with pytest.raises(ServeliteError, match=f"looks like a record of SQS, but has no '{field}'"):
        total(sent)
