"""What every refusal must be, whatever was wrong: RFC 9457, with the contract's members."""

from http import HTTPStatus
from typing import Any

from tests.server import Reply


def check_problem(reply: Reply, status: int, code: str) -> dict[str, Any]:
    """Check that a reply is a problem of this status and code, and return it."""
    assert reply.headers["Content-Type"] == "application/problem+json", reply.body
    problem: dict[str, Any] = reply.json()
    assert (reply.status, problem["status"], problem["code"]) == (status, status, code), problem
    assert problem["title"] == HTTPStatus(status).phrase
    assert problem["type"] == "about:blank"
    assert problem["detail"].endswith((".", "?"))
    assert reply.headers.get_all("X-Request-Id") == [problem["request_id"]]
    assert "Traceback" not in reply.body.decode()
    return problem
