"""An error as callers of AWS Lambda's Invoke API read it: AWS' name for it in a header, `{"Type": …, "Message": …}` in the body."""

import json
import re

from servelite.core.errors import (
    BadRequest,
    CallerError,
    Forbidden,
    FunctionNotFound,
    InvalidInput,
    MalformedJson,
    Overloaded,
    PayloadTooLarge,
    QuotaExhausted,
    ServeliteError,
    Unauthorized,
    UnsupportedMediaType,
    wire_code,
)

MEDIA_TYPE = "application/json"

NAMES: tuple[tuple[type[ServeliteError], int, str], ...] = (
    (FunctionNotFound, 404, "ResourceNotFoundException"),
    (MalformedJson, 400, "InvalidRequestContentException"),
    (InvalidInput, 400, "InvalidRequestContentException"),
    (BadRequest, 400, "InvalidParameterValueException"),
    (PayloadTooLarge, 413, "RequestTooLargeException"),
    (UnsupportedMediaType, 415, "UnsupportedMediaTypeException"),
    (Overloaded, 429, "TooManyRequestsException"),
    (Unauthorized, 403, "UnrecognizedClientException"),
    (Forbidden, 403, "AccessDeniedException"),
    (QuotaExhausted, 402, "ServiceQuotaExceededException"),
)
"""AWS' names of our errors, with the status that it has for them; all others are named after their code."""


UNAUTHORIZED = "The key is missing, wrong, expired or revoked. Send a valid one as the access key id, for example in AWS_ACCESS_KEY_ID."
"""What AWS' tools send as a key goes by another name than in our other dialects."""


def type_of(error: ServeliteError) -> str:
    """Return AWS' name for an error."""
    return _named(error)[1]


def invoke_error(error: ServeliteError) -> tuple[int, bytes]:
    """Return the status and the body that tell an error."""
    is_callers = isinstance(error, CallerError)
    message = UNAUTHORIZED if isinstance(error, Unauthorized) else error.detail
    said = {"Type": "User" if is_callers else "Service", "Message": message, "code": wire_code(error)}
    return _named(error)[0], json.dumps(said).encode()


def _named(error: ServeliteError) -> tuple[int, str]:
    for kind, status, name in NAMES:
        if isinstance(error, kind):
            return status, name
    if not isinstance(error, CallerError):
        return max(error.status, 500), "ServiceException"
    camel = re.sub("(?:^|_)([a-z])", lambda found: found[1].upper(), wire_code(error))
    return error.status, f"{camel}Exception"
