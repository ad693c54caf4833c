"""One invocation: the event, and what Lambda says of it: its id, and how much time there is."""

from dataclasses import dataclass
from typing import Any, Protocol

SPARE_S = 2.0
"""Before the deadline: nothing that could be left to another invocation is begun any more."""


class LambdaContext(Protocol):
    """What is needed of the context that Lambda's runtime gives."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the time that is left."""
        ...


@dataclass(frozen=True, slots=True)
class Invocation:
    """What Lambda says of one event.

    request_id  Lambda's own
    call_id     the id of its call, if it is one call: Lambda's request id, which is the same when Lambda tries an event again
    function    the function that its client names, "" for none
    left_s      seconds until Lambda ends the process, when the event came
    """

    event: Any
    request_id: str
    call_id: str
    function: str
    left_s: float

    @property
    def patience_s(self) -> float:
        """How long records that may come again wait for a worker; 0 or less means not at all."""
        return self.left_s - SPARE_S


def read_invocation(event: Any, context: LambdaContext) -> Invocation:
    """Read what Lambda gives."""
    given = getattr(context, "client_context", None)
    function = (getattr(given, "custom", None) or {}).get("servelite-function", "") if given else ""
    request_id, left_s = context.aws_request_id, context.get_remaining_time_in_millis() / 1000
    return Invocation(event, request_id, call_id_of(request_id), str(function), left_s)


def call_id_of(request_id: str) -> str:
    """Return a request id as the ledger has ids: 32 hexadecimal digits, as the UUID has without its dashes."""
    return request_id.replace("-", "").lower()
