"""Heads of calls that came before: the same bytes mean the same again, so they are neither parsed nor read a second time.

A client sends the same head with every body of a length. To parse it, and to read what a call needs of it, took a third
of the gateway's time for a call. What a head means hangs on nothing but its bytes; what hangs on the moment (whether its key
is still valid, what its function takes now) is looked at each time.
"""

from dataclasses import dataclass

from servelite.adapters.asgi import Scope
from servelite.adapters.call_heads import Reading

HEAD_END = b"\r\n\r\n"

MOST_BYTES = 4 * 1024
"""Longest head that is remembered; those of real clients have some hundred bytes."""

NEVER_AGAIN = frozenset((b"traceparent", b"x-request-id", b"x-amzn-trace-id"))
"""Headers with another value in each request: such a head does not come again."""

MOST_HEADS = 256
"""Clients write them, so there is an end to it: one MiB at most."""


@dataclass(frozen=True, slots=True)
class KnownHead:
    """A head that was let in: as an application sees it, as a call reads it, and how long it is."""

    scope: Scope
    reading: Reading
    head_bytes: int


class KnownHeads:
    """Remembers heads, each by its bytes."""

    def __init__(self) -> None:
        self._known: dict[bytes, KnownHead] = {}

    def find(self, data: bytes) -> KnownHead | None:
        """Return what is known of the head of a request, if this is a whole one."""
        end = data.find(HEAD_END, 0, MOST_BYTES) + len(HEAD_END)
        known = self._known.get(data[:end])
        return known if known is not None and end + known.reading.body_bytes == len(data) else None

    def learn(self, data: bytes, scope: Scope, reading: Reading) -> None:
        """Remember the head of one whole request, read from these bytes and no others, that has a Content-Length or no body."""
        end = data.find(HEAD_END, 0, MOST_BYTES) + len(HEAD_END)
        if any(name in NEVER_AGAIN for name, _ in scope["headers"]):
            return
        if end + reading.body_bytes == len(data):
            if len(self._known) >= MOST_HEADS:
                del self._known[next(iter(self._known))]  # the first that was learnt
            own = {name: value for name, value in scope.items() if name not in ("client", "server")}  # those are the connection's
            self._known[data[:end]] = KnownHead(own, reading, end)
