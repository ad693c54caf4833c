"""An error as Lambda's callers get it: an exception whose type is named by our code, so that Step Functions can catch it by that."""

from functools import cache

from servelite.core.errors import BadRequest, ServeliteError, wire_code


def failure(error: ServeliteError) -> ServeliteError:
    """Return the exception that Lambda's runtime tells as `errorType`, the code, and `errorMessage`, what happened."""
    stage = f"{error.stage}: " if error.stage else ""
    return _kind(wire_code(error))(f"{stage}{error.detail}", error.errors)


def lacks(what: str, field: str) -> BadRequest:
    """Return the error of an event that is not as AWS sends it."""
    return BadRequest(f"The event looks like {what}, but has no '{field}'. `sam local generate-event` shows how AWS sends it.")


@cache
def _kind(code: str) -> type[ServeliteError]:
    return type(code, (ServeliteError,), {"__doc__": f"The call ended as `{code}`.", "__module__": "servelite"})
