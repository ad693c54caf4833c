"""Notifications of S3: each new object is an input, and its output is written to S3."""

from typing import Any

from servelite.adapters.aws_lambda.environment import Environment
from servelite.adapters.aws_lambda.invocation import Invocation
from servelite.adapters.aws_lambda.stored import read_notification
from servelite.adapters.aws_lambda.works import answer_all
from servelite.core.errors import ServeliteError
from servelite.runtime.ids import lasting_id


def answer(environment: Environment, invocation: Invocation) -> list[Any]:
    """Answer each object that was made, and tell where the outputs are; the first error is raised once all are answered."""
    function = environment.function(invocation)
    told: list[Any] = []
    errors: list[ServeliteError] = []
    for stored in read_notification(invocation.event):
        try:
            told += environment.run(answer_all(environment, function, [stored], lasting_id("aws:s3", function.name, *stored.identity)))
        except ServeliteError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return told
