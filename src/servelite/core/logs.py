"""How a log line is written: one JSON object for programs, a sentence for people; what others wrote is escaped in both."""

import json
import logging
import re
from datetime import UTC, datetime

FIELDS = ("function", "worker", "call", "calls", "reason", "took_ms")
"""What a line may say besides its message; `logger.info(…, extra={"function": …})` gives it.

function  the function's name
worker    the process id of a worker
call      a request id, as in X-Request-Id; `calls`: several
reason    why a worker ended: an error's code, or idle, evicted, recycled, reloaded, stopped
took_ms   whole milliseconds
"""

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")


class JsonFormatter(logging.Formatter):
    """One object a line: time (UTC), level, logger, message, the FIELDS that are given, and the traceback of an error."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """`servelite: what happened`, a traceback below; nothing in it moves a terminal's cursor."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        function, message = getattr(record, "function", ""), record.getMessage().replace("\n", "\\n")
        message = f"servelite: {message}" if function in message else f"servelite: {function}: {message}"
        if record.exc_info:
            message += f"\n{self.formatException(record.exc_info)}"
        return CONTROL.sub(lambda found: repr(found[0])[1:-1], message)


def log_handler(*, is_terminal: bool) -> logging.Handler:
    """Return a handler that writes to stderr, for a program that reads it or a person."""
    handler = logging.StreamHandler()
    handler.setFormatter(TextFormatter() if is_terminal else JsonFormatter())
    return handler
