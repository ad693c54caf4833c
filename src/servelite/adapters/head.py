"""A request's head as it arrives: held to the door's limits, then the ASGI scope it becomes."""

from typing import Any
from urllib.parse import unquote

import httptools

from servelite.adapters.asgi import Headers, Scope
from servelite.core.errors import BadRequest, HeadersTooLarge

HEAD_BYTES = 32 * 1024
"""Most bytes in the names and values of headers, trailers with them; common servers allow 8 to 64 KiB."""

HEAD_LINES = 100
"""Most header lines, as in Apache; again as many trailers."""

URL_BYTES = 8 * 1024
"""Longest URL: what RFC 9110 asks servers to support at least."""


class Head:
    """Takes what the parser reports of one head after the other."""

    __slots__ = ("_bytes", "_framing", "_headers", "_hosts", "_url", "_version", "expects_continue", "is_begun")

    def __init__(self) -> None:
        self.is_begun = False

    def begin(self) -> None:
        """Forget the last head."""
        self._url = b""
        self._headers: Headers = []
        self._bytes = 0
        self._hosts: list[bytes] = []
        self._framing = b""
        self.expects_continue = False
        self.is_begun = True

    @property
    def says_all(self) -> bool:
        """Whether the last head is complete, of HTTP/1.1, and says the body's length if there is one: its bytes say it all."""
        return not (self.is_begun or self._framing or self.expects_continue or self._version != "1.1")

    def take_url(self, url: bytes) -> None:
        """A piece of the URL."""
        self._url += url
        if len(self._url) > URL_BYTES:
            raise BadRequest(f"The URL is longer than {URL_BYTES} bytes.")

    def take_header(self, name: bytes, value: bytes) -> None:
        """One header, or a trailer, which is counted and dropped: nothing here waits for the end of a body to read it."""
        name = name.lower()
        self._headers.append((name, value))
        self._bytes += len(name) + len(value)
        if name == b"host":
            self._hosts.append(value)
        elif name == b"transfer-encoding":
            self._framing += value
        elif name == b"expect":
            self.expects_continue = value.lower() == b"100-continue"
        if self._bytes > HEAD_BYTES or len(self._headers) > HEAD_LINES:
            raise HeadersTooLarge(f"The headers have more than {HEAD_BYTES} bytes or {HEAD_LINES} lines. Send less in them.")

    def scope(self, parser: Any, client: Any, server: Any) -> Scope:
        """Return the complete head as an application sees it; BadRequest where it is ambiguous."""
        version = self._version = parser.get_http_version()
        self._check(version, parser)
        url = self._url if self._url.startswith(b"/") else self._origin_form()
        raw_path, _, query = url.partition(b"?")
        path = raw_path.decode("ascii")
        headers, self._headers, self.is_begun = self._headers, [], False
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": version,
            "method": parser.get_method().decode("ascii"),
            "scheme": "http",
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": headers,
            "client": client,
            "server": server,
        }

    def _check(self, version: str, parser: Any) -> None:
        """Refuse what two readers could read differently."""
        if version not in ("1.1", "1.0"):
            raise BadRequest(f"HTTP/{version} is not spoken here. Send HTTP/1.1.")
        if len(self._hosts) != 1 and (version == "1.1" or self._hosts):
            raise BadRequest(f"The request has {len(self._hosts)} Host headers; HTTP/1.1 wants exactly one.")
        if self._framing and (version == "1.0" or self._framing.lower() != b"chunked"):
            raise BadRequest("The only Transfer-Encoding is chunked, and HTTP/1.0 has none.")
        if parser.should_upgrade() and any(name in (b"content-length", b"transfer-encoding") for name, _ in self._headers):
            raise BadRequest("A request with a body can't offer an upgrade here. Send it as plain HTTP/1.1, without an Upgrade header.")

    def _origin_form(self) -> bytes:
        """Return path and query of a URL that names its host too, as to a proxy."""
        try:
            parsed = httptools.parse_url(self._url)
        except httptools.HttpParserInvalidURLError as error:
            raise BadRequest("The request's URL can't be read.") from error
        if not parsed.path:
            raise BadRequest("The request's target has no path.")
        authority = self._url.partition(b"://")[2].partition(b"/")[0]
        if parsed.schema and self._hosts and _without_port_80(authority) != _without_port_80(self._hosts[0]):
            raise BadRequest("The request's target names another host than its Host header.")
        path: bytes = parsed.path
        return path + (b"?" + parsed.query if parsed.query else b"")


def _without_port_80(host: bytes) -> bytes:
    return host.lower().removesuffix(b":80")
