"""The function under torture as a client sees it: where it is served, what it takes, and how it is called."""

import json
from dataclasses import dataclass

from servelite.core.errors import DefinitionError, ServiceError
from servelite.core.function import Description
from servelite.core.pipeline import from_dict, functions_of
from servelite.tools.servers import HOST
from servelite.tools.torture.client import ANSWER_WITHIN_S, Line, Reply, ask, dial


@dataclass(frozen=True, slots=True)
class Target:
    """A served function, the body of a good call of it, and the key that its server asks for, "" for none."""

    port: int
    function: Description
    body: bytes
    key: str = ""

    @property
    def path(self) -> str:
        """Where calls are sent."""
        return f"/functions/{self.function.name}"

    @property
    def host(self) -> str:
        """What the Host header says."""
        return f"{HOST}:{self.port}"

    @property
    def bodies(self) -> list[bytes]:
        """The good body, then those of the examples; each once."""
        return list(dict.fromkeys([self.body, *(self.function.encode_input(one["input"]) for one in self.function.examples)]))

    def request(self, body: bytes | None = None, /, **headers: str) -> bytes:
        """Return the bytes of a call: of the good one, or of one with another body or other headers (`content_type="…"`)."""
        sent = self.body if body is None else body
        media_type = self.function.takes[0].replace("*", "png")
        said = {"content_type": media_type, "content_length": str(len(sent)), **headers}
        return _head("POST", self.path, self.port, self.key, **said) + sent

    async def call(self, body: bytes | None = None, within_s: float = ANSWER_WITHIN_S) -> Reply:
        """Send one call."""
        return await ask(self.port, self.request(body), within_s)

    async def get(self, path: str) -> Reply:
        """Read a page."""
        return await ask(self.port, _head("GET", path, self.port, self.key), within_s=10)

    async def dial(self, count: int) -> list[Line]:
        """Open connections."""
        return [await dial(self.port) for _ in range(count)]

    async def has_read(self) -> None:
        """Wait until the server has surely read what was sent before: it answers twice after it."""
        for _ in range(2):
            await self.get("/livez")

    async def is_well(self) -> tuple[str, bool]:
        """Tell whether the server lives and a good call is answered, as a sight of a finding."""
        alive, good = await self.get("/livez"), await self.call()
        is_well = alive.status == good.status == 200
        return "well afterwards" if is_well else f"afterwards /livez {alive}, a good call {good}", is_well


async def find_target(port: int, name: str, body: bytes | None, key: str = "") -> Target:
    """Ask a server for a function; without a body its first example becomes the good call.

    Raises:
        ServiceError: no server answers there, or not as servelite does.
        DefinitionError: it has no such function, or not for this key, or it is a pipeline, or there is no input that it answers.
    """
    reply = await ask(port, _head("GET", f"/functions/{name}", port, key))
    if reply.status in (401, 403, 404):
        raise DefinitionError(reply.detail or f"The server on port {port} has no function '{name}'.")
    try:
        function = Description.from_dict(json.loads(reply.body))
    except (ValueError, KeyError, TypeError) as error:
        raise ServiceError(f"{HOST}:{port} describes no function '{name}': it gave {reply}. Is servelite running there?") from error
    if function.pipeline:
        stages = ", ".join(functions_of(from_dict(function.pipeline)))
        raise DefinitionError(f"{name} is a pipeline, and torture breaks handlers. Torture its functions: {stages or 'it has none'}.")
    target = Target(port, function, first_example(function) if body is None else body, key)
    if (good := await target.call()).status != 200:
        raise DefinitionError(f"{name} answers {good} to {target.body[:60]!r}: {good.detail} Give an input that is good with --input.")
    return target


def _head(method: str, path: str, port: int, key: str, **headers: str) -> bytes:
    said = {"host": f"{HOST}:{port}", **({"authorization": f"Bearer {key}"} if key else {}), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in said.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode()


def first_example(function: Description) -> bytes:
    """Return the body of a function's first example; DefinitionError where it has none."""
    if not function.examples:
        raise DefinitionError(f"{function.name} has no examples.jsonl to take an input from. Give one with --input.")
    return function.encode_input(function.examples[0]["input"])
