"""Events that are one input: a direct invocation, a task of Step Functions; and pings that keep a function warm."""

from typing import Any

from servelite.adapters.aws_lambda.environment import Environment
from servelite.adapters.aws_lambda.invocation import Invocation
from servelite.adapters.aws_lambda.payloads import body_of, output_of
from servelite.core.call import Call


def answer(environment: Environment, invocation: Invocation) -> Any:
    """Answer an event that is the input with the output, both as examples.jsonl has them."""
    return answer_value(environment, invocation, invocation.event, invocation.call_id)


def answer_step(environment: Environment, invocation: Invocation) -> Any:
    """Answer a task of Step Functions that sends its execution beside the input."""
    return answer_value(environment, invocation, invocation.event["input"], invocation.call_id)


def answer_ping(environment: Environment, _: Invocation) -> Any:
    """Answer a ping without a call; it has waited for the process's start, so no call has."""
    start_us, environment.engine.meter.start_us = environment.engine.meter.start_us, 0
    return {"warm": True, "functions": sorted(environment.engine.pools), "init_us": start_us}


def answer_value(environment: Environment, invocation: Invocation, value: Any, call_id: str) -> Any:
    """Answer an input that an event holds."""
    function = environment.function(invocation)
    media_type, body = body_of(value, function)
    made = environment.run(environment.call(Call(call_id, function.name, media_type, body)))
    return output_of(made.body, function, is_ascii=environment.surroundings.is_ascii)
