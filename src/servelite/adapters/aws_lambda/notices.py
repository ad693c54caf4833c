"""Notices: what SNS, EventBridge and other functions' destinations hand on; each is an input, or tells of an object that holds one."""

from collections.abc import Mapping
from typing import Any

from servelite.adapters.aws_lambda.direct import answer_value
from servelite.adapters.aws_lambda.environment import Environment
from servelite.adapters.aws_lambda.failures import lacks
from servelite.adapters.aws_lambda.invocation import Invocation
from servelite.adapters.aws_lambda.works import answer_all, named, read_detail, read_message
from servelite.core.errors import BadRequest
from servelite.runtime.ids import lasting_id


def answer_sns(environment: Environment, invocation: Invocation) -> list[Any]:
    """Answer each message of a topic; where one fails its error is raised once all are answered, and SNS sends the event again."""
    outputs: list[Any] = []
    errors = []
    for record in invocation.event["Records"]:
        notice = record.get("Sns")
        if not isinstance(notice, dict) or "Message" not in notice or "MessageId" not in notice:
            raise lacks("a record of SNS", "Sns.Message")
        function = environment.function(invocation, named(notice.get("MessageAttributes"), "Value"))
        ids = lasting_id("aws:sns", function.name, notice["MessageId"])
        try:
            outputs += environment.run(answer_all(environment, function, read_message(notice["Message"]), ids))
        except Exception as error:  # noqa: BLE001
            errors.append(error)
    if errors:
        raise errors[0]
    return outputs


def is_from_eventbridge(event: Mapping[str, Any]) -> bool:
    """Tell whether an event came through EventBridge."""
    return "detail-type" in event and "detail" in event and "source" in event


def answer_eventbridge(environment: Environment, invocation: Invocation) -> Any:
    """Answer the detail of an event, or the object that it tells of."""
    event = invocation.event
    if "id" not in event:
        raise lacks("an event of EventBridge", "id")
    function = environment.function(invocation)
    ids = lasting_id("aws:events", function.name, str(event["id"]))
    outputs = environment.run(answer_all(environment, function, read_detail(event), ids))
    return outputs[0] if outputs else None


def answer_destination(environment: Environment, invocation: Invocation) -> Any:
    """Answer what another function hands on: its output, or, where it failed, the input that it failed on."""
    event = invocation.event
    has_failed = event["requestContext"].get("condition") != "Success"
    return answer_value(environment, invocation, event["requestPayload" if has_failed else "responsePayload"], invocation.call_id)


def refuse_records(_: Environment, invocation: Invocation) -> Any:
    """Refuse records that are not inputs."""
    record = invocation.event["Records"][0]
    source = record.get("eventSource") or record.get("EventSource")
    raise BadRequest(
        f"Records of '{str(source)[:50]}' are not taken. Records are taken of: aws:sqs, aws:sns, aws:s3. Put a queue before it."
    )
