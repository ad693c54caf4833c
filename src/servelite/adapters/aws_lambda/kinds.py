"""The kinds of events: how each is recognised, and who answers it; the first that fits is it, and what fits none is a direct call."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from servelite.adapters.aws_lambda import direct, http, notices, objects, queues
from servelite.adapters.aws_lambda.environment import Environment
from servelite.adapters.aws_lambda.invocation import Invocation

Event = Mapping[str, Any]

WARM_UPS: tuple[Event, ...] = ({"warmup": True}, {"source": "servelite.warmup"}, {"source": "serverless-plugin-warmup"})
"""What is sent to keep a function warm: the whole event, or, for the last two, its `source`."""


class Kind(NamedTuple):
    """A kind of event."""

    name: str
    fits: Callable[[Event], bool]
    answer: Callable[[Environment, Invocation], Any]


def _is_warm_up(event: Event) -> bool:
    return event == WARM_UPS[0] or (len(event) <= 2 and {"source": event.get("source")} in WARM_UPS[1:])


def _is_schedule(event: Event) -> bool:
    return event.get("source") == "aws.events" and event.get("detail-type") == "Scheduled Event"


def _is_http(event: Event) -> bool:
    context = event.get("requestContext")
    return isinstance(context, dict) and ("httpMethod" in event or "http" in context)


def _is_destination(event: Event) -> bool:
    return "requestPayload" in event and "responsePayload" in event and "requestContext" in event


def _is_from_step_functions(event: Event) -> bool:
    return "input" in event and str(event.get("execution", "")).startswith("arn:aws") and ":states:" in event["execution"]


def _has_records_of(*sources: str) -> Callable[[Event], bool]:
    """Return a test for events whose records come from some sources; none, for any."""

    def fits(event: Event) -> bool:
        records = event.get("Records")
        if not isinstance(records, list) or not records or not isinstance(records[0], dict):
            return False
        source = records[0].get("eventSource") or records[0].get("EventSource")
        return source in sources if sources else source is not None

    return fits


KINDS = (
    Kind("warm-up", _is_warm_up, direct.answer_ping),
    Kind("schedule", _is_schedule, direct.answer_ping),
    Kind("http", _is_http, http.answer),
    Kind("sqs", _has_records_of("aws:sqs"), queues.answer),
    Kind("sns", _has_records_of("aws:sns"), notices.answer_sns),
    Kind("s3", _has_records_of("aws:s3"), objects.answer),
    Kind("records of others", _has_records_of(), notices.refuse_records),
    Kind("eventbridge", notices.is_from_eventbridge, notices.answer_eventbridge),
    Kind("destination", _is_destination, notices.answer_destination),
    Kind("step functions", _is_from_step_functions, direct.answer_step),
)

DIRECT = Kind("direct", lambda _: True, direct.answer)


def find_kind(event: Any) -> Kind:
    """Return what kind an event is of."""
    if isinstance(event, dict):
        for kind in KINDS:
            if kind.fits(event):
                return kind
    return DIRECT
