"""The bodies of calls: how long one may be, and what large ones may take together of the memory while they are read, wait and run."""

from servelite.core.call import Call
from servelite.core.errors import Overloaded
from servelite.runtime.refusals import too_large

MIB = 1024 * 1024

BODIES_BYTES = 64 * MIB
"""What large bodies may take together: ten of the default limit."""


class Bodies:
    """Counts what is held; a body that is shorter than anybody cares for need not be told."""

    def __init__(self, max_bytes: int = 6 * MIB) -> None:
        self.max_bytes = max_bytes
        self.held_bytes = 0

    def check(self, call: Call) -> None:
        """Refuse a body that is too long."""
        if len(call.body) > self.max_bytes:
            raise too_large(self.max_bytes)

    def hold(self, call: Call, size: int) -> None:
        """Count the `size` bytes that have come of a large body; Overloaded where all bodies together would take too much memory."""
        self.held_bytes += size - call.held_bytes
        call.held_bytes = size
        if self.held_bytes > max(BODIES_BYTES, 4 * self.max_bytes) and self.held_bytes > size:
            raise Overloaded("The server holds as many large bodies as it has memory for. Try again later, or send less at a time.")

    def give_back(self, call: Call) -> None:
        """Let a body go; whatever still knows the call, its body is not kept with it."""
        self.held_bytes -= call.held_bytes
        call.body = b""
