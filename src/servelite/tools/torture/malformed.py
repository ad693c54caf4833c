"""The trial of the door: requests that are wrong, each in its own way, and the answers that are right for them."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from servelite.core.function import JSON, TEXT
from servelite.tools.torture.client import ask
from servelite.tools.torture.target import Target
from servelite.tools.torture.verdict import Finding, finding

ANSWER_WITHIN_S = 5.0
HUGE_BYTES = 300 * 2**20
"""A body that no server of servelite takes: --max-body ends at 200 MiB. It is announced, not sent."""


@dataclass(frozen=True, slots=True)
class Case:
    """A wrong request, and the statuses that are right for it."""

    name: str
    request: bytes
    right: tuple[int, ...]


async def malformed(target: Target) -> Finding:
    """Send each of them on a connection of its own, and see that the server is as well as before."""
    cases = list(battery(target))
    replies = await asyncio.gather(*(ask(target.port, case.request, ANSWER_WITHIN_S) for case in cases))
    seen = zip(cases, replies, strict=True)
    wrong = [f"{case.name}: {reply} instead of {_either(case.right)}" for case, reply in seen if reply.status not in case.right]
    return finding(
        f"{len(cases) - len(wrong)} of {len(cases)}",
        ("; ".join(wrong) or f"{len(cases)} right answers", not wrong),
        await target.is_well(),
    )


def battery(target: Target) -> Iterator[Case]:
    """Yield what is sent."""
    yield from _bodies(target)
    yield from _headers(target)
    yield from _framing(target)
    yield from _paths(target)


def _bodies(target: Target) -> Iterator[Case]:
    if target.function.takes[0] == TEXT:
        yield Case("text that is not UTF-8", target.request(b"\xff\xfe\xff"), (400,))
    if target.function.takes[0] != JSON:
        return
    for name, body in _WRONG_JSON.items():
        yield Case(name, target.request(body), (400,))
    for name, body in {"NaN": b"NaN", "Infinity": b"[Infinity]", "1e999": b'{"a": 1e999}', "half a character": rb'"\ud800"'}.items():
        yield Case(name, target.request(body), (400, 422))
    if (misfit := _misfit(target.function.input_schema)) is not None:
        yield Case("a wrong type", target.request(json.dumps(misfit).encode()), (422,))


_WRONG_JSON = {
    "JSON that ends too early": b'{"a": [1, 2',
    "no body": b"",
    "two documents": b"1 2",
    "JSON that is not UTF-8": b'"\xff\xfe"',
    "JSON 100,000 levels deep": b"[" * 100_000,
    "a trailing comma": b"[1,]",
    "a comment": b"/* */ 1",
}


def _misfit(schema: dict[str, Any]) -> Any:
    """Return a value that does not fit a schema, None where that is not plain to see."""
    kind = schema.get("type")
    return None if kind is None else [] if kind == "object" else {}


def _headers(target: Target) -> Iterator[Case]:
    yield Case("an unknown media type", target.request(content_type="application/x-torture"), (415,))
    yield Case("a compressed body", target.request(content_encoding="gzip"), (415,))
    yield Case("a huge body, announced", target.request(b"", content_length=str(HUGE_BYTES)), (413,))
    yield Case("a header of 40 KiB", target.request(x_torture="x" * 40_960), (431,))
    yield Case("200 headers", target.request(**{f"x_torture_{number}": "x" for number in range(200)}), (431,))
    yield Case("an unknown Host", target.request(host="torture.example"), (421,))
    yield Case("no Host", target.request().replace(b"host: " + target.host.encode() + b"\r\n", b""), (400,))
    yield Case("two Hosts", target.request().replace(b"host: ", b"host: torture.example\r\nhost: ", 1), (400,))
    yield Case("a control character in a header", target.request(x_torture="\x00"), (400,))
    yield Case("an upgrade with a body", target.request(connection="upgrade", upgrade="websocket"), (400,))


def _framing(target: Target) -> Iterator[Case]:
    chunked = {"transfer_encoding": "chunked"}
    plain = target.request()
    length = f"content-length: {len(target.body)}\r\n".encode()
    yield Case("length and chunks", target.request(**chunked), (400,))
    yield Case("two lengths", plain.replace(length, length + b"content-length: 1\r\n"), (400,))
    yield Case("a negative length", target.request(content_length="-1"), (400,))
    yield Case("a length in words", target.request(content_length="ten"), (400,))
    yield Case("a chunk without a size", plain.replace(length, b"transfer-encoding: chunked\r\n"), (400,))
    yield Case("an unknown transfer coding", plain.replace(length, b"transfer-encoding: torture\r\n"), (400, 501))
    yield Case("a folded header", plain.replace(length, length + b" folded\r\n"), (400,))
    yield Case("no HTTP", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64, (400,))
    yield Case("HTTP/9.9", plain.replace(b"HTTP/1.1", b"HTTP/9.9"), (400,))


def _paths(target: Target) -> Iterator[Case]:
    plain, path = target.request(), target.path.encode()
    nowhere = (403, 404) if target.key else (404,)  # a key that is not for all functions is not told which there are
    yield Case("a URL of 9 KiB", plain.replace(path, path + b"?" + b"x" * 9 * 1024), (400, 414))
    yield Case("an unknown function", plain.replace(path, b"/functions/no-such-function"), nowhere)
    yield Case("a path out of the tree", plain.replace(path, b"/functions/..%2f..%2fetc%2fpasswd"), nowhere)
    yield Case("another method", plain.replace(b"POST", b"DELETE", 1), (405,))
    yield Case("an unknown method", plain.replace(b"POST", b"TORTURE", 1), (400, 405))


def _either(statuses: tuple[int, ...]) -> str:
    return " or ".join(map(str, statuses))
