"""Errors as callers of AWS' Invoke API read them."""

import json

import pytest

from servelite.adapters.invoke_errors import UNAUTHORIZED, invoke_error, type_of
from servelite.core.errors import (
    BadRequest,
    FrameError,
    FunctionNotFound,
    IdempotencyKeyInUse,
    InvalidInput,
    LedgerUnavailable,
    MalformedJson,
    NoWorker,
    Overloaded,
    PayloadTooLarge,
    QuotaExhausted,
    RateLimited,
    ServiceError,
    ShuttingDown,
    Unauthorized,
)


@pytest.mark.parametrize(
    ("error", "status", "name", "whose"),
    [
        (FunctionNotFound, 404, "ResourceNotFoundException", "User"),
        (MalformedJson, 400, "InvalidRequestContentException", "User"),
        (InvalidInput, 400, "InvalidRequestContentException", "User"),
        (BadRequest, 400, "InvalidParameterValueException", "User"),
        (PayloadTooLarge, 413, "RequestTooLargeException", "User"),
        (Overloaded, 429, "TooManyRequestsException", "User"),
        (RateLimited, 429, "TooManyRequestsException", "User"),
        (QuotaExhausted, 402, "ServiceQuotaExceededException", "User"),
        (Unauthorized, 403, "UnrecognizedClientException", "User"),
        (IdempotencyKeyInUse, 409, "IdempotencyKeyInUseException", "User"),
        (ServiceError, 500, "ServiceException", "Service"),
        (FrameError, 500, "ServiceException", "Service"),
        (NoWorker, 503, "ServiceException", "Service"),
        (ShuttingDown, 503, "ServiceException", "Service"),
        (LedgerUnavailable, 503, "ServiceException", "Service"),
    ],
)
def test_an_error_has_aws_name_status_and_shape(error, status, name, whose):
    told = error("It is so.")
    sent, body = invoke_error(told)
    assert (sent, type_of(told)) == (status, name)
    assert json.loads(body) == {"Type": whose, "Message": UNAUTHORIZED if error is Unauthorized else "It is so.", "code": error.code}
