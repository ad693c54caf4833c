"""What a handler prints becomes lines of the log, so that they can be told from others, and nothing gets between."""

import io
import logging


class Prints(io.TextIOBase):
    """Stands in for sys.stdout: each whole line is a line of the log."""

    def __init__(self, logger: logging.Logger, function: str) -> None:
        self._logger = logger
        self._function = function
        self._begun = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        """Take a piece of a line, or several lines."""
        *lines, self._begun = (self._begun + text).split("\n")
        for line in lines:
            self._logger.info("%s", line, extra={"function": self._function})
        return len(text)

    def flush(self) -> None:
        """Write what was begun, as print(…, end="", flush=True) wants it."""
        if self._begun:
            self.write("\n")
