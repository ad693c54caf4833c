"""The AWS Lambda door: `servelite.adapters.aws_lambda.handler` answers every kind of event; one file a family of events."""

import gc
from typing import Any


def __getattr__(name: str) -> Any:
    """Open the door when Lambda's runtime asks for the `handler`, which it does while it starts: functions are loaded then."""
    if name != "handler":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    gc.disable()  # what is loaded now stays: to look through it again and again takes a twentieth of the start
    try:
        from servelite.adapters.aws_lambda.door import open_door

        handler = globals()["handler"] = open_door()
    finally:
        gc.freeze()  # nor need later collections walk it
        gc.enable()
    return handler
