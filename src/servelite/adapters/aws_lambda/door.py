"""The way of one event: what kind it is, who answers it, and what Lambda is told where that failed."""

import atexit
import sys
from collections.abc import Callable
from typing import Any

from servelite.adapters.aws_lambda.environment import Environment
from servelite.adapters.aws_lambda.failures import failure
from servelite.adapters.aws_lambda.invocation import LambdaContext, read_invocation
from servelite.adapters.aws_lambda.kinds import find_kind
from servelite.assembly.environment import lambda_surroundings
from servelite.core.errors import ServeliteError
from servelite.runtime.resources import process_age_us

Handler = Callable[[Any, LambdaContext], Any]


def open_door() -> Handler:
    """Load the functions of this process's surroundings, and return what answers events; the first call is told what the start took."""
    surroundings = lambda_surroundings()
    environment = Environment(surroundings, _write_line)
    atexit.register(environment.close)
    if surroundings.is_waited_for:
        environment.engine.meter.start_us = process_age_us()
    if surroundings.is_snapshot:
        from servelite.adapters.aws_lambda.snapshots import register

        register(environment)
    return make_handler(environment)


def make_handler(environment: Environment) -> Handler:
    """Make what answers events, with an environment that is kept."""

    def handler(event: Any, context: LambdaContext) -> Any:
        """Answer one event; an error is raised in the form that Lambda's retries, queues and Step Functions understand."""
        try:
            invocation = read_invocation(event, context)
            environment.begin(invocation)
            return find_kind(event).answer(environment, invocation)
        except ServeliteError as error:
            raise failure(error) from None

    return handler


def _write_line(text: str) -> None:
    sys.stdout.write(text)  # looked up each time: the runtime puts its own in place
