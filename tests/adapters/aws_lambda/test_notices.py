"""Notices: of SNS and EventBridge, and records that are not taken."""

import json

import pytest

from servelite.core.errors import ServeliteError
from tests.adapters.aws_lambda.conftest import Starter
from tests.adapters.aws_lambda.lambdas import SHOUT, TOTAL, Lambda, event


def test_a_notice_is_an_input(total: Lambda) -> None:
    assert total(event("sns")) == [pytest.approx(326.4)]


def test_a_notice_may_be_text(shout: Lambda) -> None:
    assert shout(event("sam_sns")) == ["EXAMPLE MESSAGE"]


def test_a_notice_names_its_function_by_an_attribute(start: Starter) -> None:
    both = start({"total": TOTAL, "shout": SHOUT}, function="total")
    sent = event("sam_sns")
    sent["Records"][0]["Sns"]["MessageAttributes"] = {"servelite-function": {"Type": "String", "Value": "shout"}}
    assert both(sent) == ["EXAMPLE MESSAGE"]


def test_a_notice_that_fails_raises_once_all_are_answered(total: Lambda) -> None:
    sent = event("sns")
    sent["Records"] = [json.loads(json.dumps(sent["Records"][0])) for _ in range(3)]
    sent["Records"][0]["Sns"]["Message"] = "poison"
    with pytest.raises(ServeliteError, match="not strict JSON"):
        total(sent)
    assert [call["code"] for call in total.calls] == ["malformed_json", "ok", "ok"]


@pytest.mark.parametrize("name", ["sns", "eventbridge_custom"])
def test_a_notice_that_comes_again_is_the_same_call(total: Lambda, name: str) -> None:
    total(event(name))
    total(event(name))
    first, second = total.calls
    assert first["call"] == second["call"]


def test_the_detail_of_an_event_is_the_input(total: Lambda) -> None:
    assert total(event("eventbridge_custom")) == pytest.approx(326.4)


def test_an_object_that_eventbridge_tells_of_is_the_input(total: Lambda) -> None:
    total.objects.kept["servelite-data", "public/demo/in.json"] = ("application/json", b'{"x": [4]}')
    place = "s3://servelite-data/public/demo/in.json"
    assert total(event("s3_via_eventbridge")) == {"input": place, "output": f"{place}.servelite.json"}


def test_an_object_that_was_deleted_is_none(total: Lambda) -> None:
    assert total({**event("s3_via_eventbridge"), "detail-type": "Object Deleted"}) is None


@pytest.mark.parametrize(("name", "source"), [("sam_kinesis", "aws:kinesis"), ("sam_dynamodb", "aws:dynamodb")])
def test_records_that_are_no_inputs_are_refused(total: Lambda, name: str, source: str) -> None:
    with pytest.raises(ServeliteError, match=f"Records of '{source}' are not taken. Records are taken of: aws:sqs, aws:sns, aws:s3"):
        total(event(name))


def test_a_notice_that_is_not_as_aws_sends_it_is_refused(total: Lambda) -> None:
    with pytest.raises(ServeliteError, match=r"looks like a record of SNS, but has no 'Sns\.Message'"):
        total({"Records": [{"EventSource": "aws:sns"}]})
    with pytest.raises(ServeliteError, match="looks like an event of EventBridge, but has no 'id'"):
        total({"source": "me", "detail-type": "t", "detail": {}})
