"""HTTP before the emulator, as a Function URL stands before Lambda: each request becomes an event, each answer a response."""

import base64
import json
import secrets
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from servelite.core.errors import PayloadTooLarge, ServeliteError
from servelite.tools.emulator.running import HOST, MOST_EVENT_BYTES, Emulator, Told

Tell = Callable[[str, Told], None]
"""Tells of a request, in short, and of what came of it."""


def function_url_event(method: str, target: str, headers: dict[str, str], body: bytes, client: str) -> dict[str, Any]:
    """Return the event that a Function URL makes of a request, in the form 2.0 of API Gateway's HTTP APIs."""
    path, _, query = target.partition("?")
    lower = {name.lower(): value for name, value in headers.items()}
    cookies = lower.pop("cookie", "")
    http = {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": client, "userAgent": lower.get("user-agent", "")}
    host = lower.get("host", HOST)
    context = {
        "accountId": "anonymous",
        "apiId": "emulated",
        "domainName": host,
        "domainPrefix": host.partition(".")[0],
        "http": http,
        "requestId": secrets.token_hex(8),
        "routeKey": "$default",
        "stage": "$default",
        "timeEpoch": time.time_ns() // 1_000_000,
    }
    is_text = _is_text(body, lower.get("content-type", ""))
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": unquote(path),
        "rawQueryString": query,
        "headers": {**lower, "x-forwarded-proto": "http"},
        "requestContext": context,
        "body": body.decode() if is_text else base64.b64encode(body).decode(),
        "isBase64Encoded": not is_text,
    }
    return {**event, "cookies": cookies.split("; ")} if cookies else event


def serve(emulator: Emulator, port: int, ready: Callable[[str], None], tell: Tell) -> None:
    """Serve on loopback until Ctrl-C; requests wait for each other, as the emulator takes one at a time."""

    class Handler(_Handler):
        def answer(self, event: dict[str, Any], shown: str) -> Any:
            told = emulator.invoke(json.dumps(event).encode())
            tell(shown, told)
            return told.answer

    with ThreadingHTTPServer((HOST, port), Handler) as server:
        server.daemon_threads = True
        ready(f"http://{HOST}:{server.server_port}")
        server.serve_forever(poll_interval=0.1)


class _Handler(BaseHTTPRequestHandler):
    """Makes an event of each request, and a response of each answer."""

    protocol_version = "HTTP/1.1"

    def answer(self, event: dict[str, Any], shown: str) -> Any:
        """Return what the function says."""
        raise NotImplementedError

    def _any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        try:
            if length > MOST_EVENT_BYTES:
                self.close_connection = True
                raise PayloadTooLarge(f"The body has {length:,} bytes, and Lambda takes {MOST_EVENT_BYTES:,} with all that is around it.")
            headers = {name: ",".join(self.headers.get_all(name) or ()) for name in self.headers}
            event = function_url_event(self.command, self.path, headers, self.rfile.read(length), self.client_address[0])
            self._respond(self.answer(event, f"{self.command} {self.path}"))
        except ServeliteError as error:  # Lambda would say as little
            self._send(
                413 if error.status == 413 else 502, {"content-type": "application/json"}, json.dumps({"message": error.detail}).encode()
            )

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = do_PATCH = _any  # noqa: N815

    def _respond(self, answer: Any) -> None:
        if not isinstance(answer, dict) or "statusCode" not in answer:
            self._send(502, {"content-type": "application/json"}, b'{"message": "Internal Server Error"}')
            return
        body = answer.get("body") or ""
        content = base64.b64decode(body) if answer.get("isBase64Encoded") else body.encode()
        self._send(answer["statusCode"], answer.get("headers") or {}, content, answer.get("cookies") or ())

    def _send(self, status: int, headers: dict[str, str], content: bytes, cookies: Any = ()) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        for cookie in cookies:
            self.send_header("set-cookie", cookie)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing: what is told is told by `answer`."""


def _is_text(body: bytes, media_type: str) -> bool:
    """Tell whether a Function URL passes a body on as text."""
    if media_type and not media_type.startswith(("text/", "application/json", "application/xml", "application/javascript")):
        return False
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
