"""The AWS Lambda door: `servelite.adapters.aws_lambda.handler` answers every kind of event; one file a family of events."""

from typing import Any


def __getattr__(name: str) -> Any:
    """Open the door when Lambda's runtime asks for the `handler`, which it does while it starts: functions are loaded then."""
    if name != "handler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from servelite.adapters.aws_lambda.door import open_door

    handler = globals()["handler"] = open_door()
    return handler
