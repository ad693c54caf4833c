"""An error as a client reads it over HTTP: RFC 9457 `application/problem+json`."""

import json
from http import HTTPStatus
from typing import Any

from servelite.core.errors import ServeliteError, wire_code

MEDIA_TYPE = "application/problem+json"


def problem(error: ServeliteError, request_id: str) -> bytes:
    """Return the body that tells an error."""
    told: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.detail,
        "code": wire_code(error),
        "request_id": request_id,
    }
    if error.stage:
        told["stage"] = error.stage
    if error.errors:
        told["errors"] = error.errors
    return json.dumps(told).encode()
