"""A go-between for HTTP: it passes requests on, loses answers, or answers with errors of AWS, as a test tells it."""

import contextlib
import http.client
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


class GoBetween(ThreadingHTTPServer):
    """Before `behind`; `fates` says what becomes of the next requests of `kind`, all others are passed on.

    pass          it is passed on
    lose answer   it is passed on, and the connection ends without the answer
    lose          the connection ends
    a dict        the answer of a request that is not passed on: 400 with this body
    """

    daemon_threads = True

    def __init__(self, behind: str | None, kind: str = "TransactWriteItems", fates: list[Any] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = behind
        self.kind = kind
        self.fates = fates or []
        self.seen: list[str] = []
        self.lock = threading.Lock()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def fate(self, kind: str) -> Any:
        """Return what becomes of a request."""
        with self.lock:
            self.seen.append(kind)
            return self.fates.pop(0) if kind.startswith(self.kind) and self.fates else "pass"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: connections end here on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: GoBetween

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        fate = self.server.fate(self.headers["X-Amz-Target"].partition(".")[2])
        self.close_connection = fate in ("lose", "lose answer")
        if isinstance(fate, dict):
            self._answer(400, json.dumps(fate).encode())
        elif fate != "lose":
            status, answer = self._pass_on(body)
            if fate == "pass":
                self._answer(status, answer)

    def _pass_on(self, body: bytes) -> tuple[int, bytes]:
        behind = urlsplit(self.server.behind)
        connection = http.client.HTTPConnection(behind.hostname, behind.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", self.path, body, {**dict(self.headers), "Host": behind.netloc})
            response = connection.getresponse()
            return response.status, response.read()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def go_between(behind: str | None, *, kind: str = "TransactWriteItems", fates: list[Any] | None = None) -> Iterator[GoBetween]:
    """Run one for a block."""
    server = GoBetween(behind, kind, fates)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def refusal(code: str, message: str = "No.", **more: Any) -> dict[str, Any]:
    """Return an error as DynamoDB answers it."""
    return {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message, **more}


def conflict(count: int) -> dict[str, Any]:
    """Return the answer to a transaction of so many writes, one of which met another transaction."""
    reasons = [{"Code": "None"}] * (count - 1) + [{"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"}]
    return refusal("TransactionCanceledException", "Transaction cancelled", CancellationReasons=reasons)
