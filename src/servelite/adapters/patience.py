"""How long a connection waits for its client, and how much it takes of what can't be answered yet."""

SLOW_S = 10.0
"""Seconds a client has for a request's head, and then for each PROGRESS_BYTES of its body, or of the answer that it reads."""

PROGRESS_BYTES = 4 * 1024

IDLE_S = 75.0
"""Seconds a connection may be kept open between requests, as in nginx."""

EMPTY_BYTES = 64 * 1024
"""Most bytes that may come without completing a head or bringing a piece of body: headers, trailers, chunk extensions without end."""

SLICE_BYTES = 16 * 1024
"""How much is parsed at once: hundreds of pipelined requests at most, whose successors wait as bytes, which are smaller."""

LINGER_S = 10.0
"""Seconds that what a refused client still sends is read and dropped, so that it gets to read the refusal."""

LINGER_BYTES = 64 * 1024 * 1024
"""How much of it at most."""
