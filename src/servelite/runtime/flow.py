"""One run of a pipeline: its stages are calls like any other, their outputs travel as bytes from one to the next."""

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from itertools import starmap
from typing import Any, NamedTuple

from servelite.core.call import Call, Tally
from servelite.core.contracts import title
from servelite.core.errors import FunctionFailed, Overloaded, ServeliteError, TimedOut
from servelite.core.function import BINARY, JSON, TEXT
from servelite.core.pipeline import Each, Node, Parallel, Route, Value
from servelite.core.pipeline import Sequence as Chain

SPACE = " \t\n\r"


class Payload(NamedTuple):
    """What goes into a stage or comes out of it."""

    body: bytes
    media_type: str


class Path(NamedTuple):
    """Where in a pipeline a stage stands: the branches that lead to it, and the items of lists."""

    branches: tuple[str, ...] = ()
    items: tuple[int, ...] = ()

    def to(self, node: Node) -> str:
        """Name a stage for the ledger, the same for all items: `branch.stage`."""
        return ".".join((*self.branches, title(node)))

    def shown(self, node: Node) -> str:
        """Name a stage in an error: `branch.stage[3]`."""
        return self.to(node) + "".join(f"[{item}]" for item in self.items)


Ask = Callable[[Node, Payload, "Flow", Path], Awaitable[Payload]]
"""Makes the call of a stage, and returns its output, or raises its error."""


@dataclass(slots=True)
class Flow:
    """A pipeline's call on its way: `until_s` is its deadline on the event loop's clock, `tally` what its stages took."""

    call: Call
    pipeline: str
    until_s: float
    ask: Ask
    tally: Tally = field(default_factory=Tally)

    async def run(self, node: Node, given: Payload, path: Path = Path()) -> Payload:  # noqa: B008  immutable
        """Run a node with its retries, its time limit and its fallback.

        Raises:
            ServeliteError: a stage failed; it carries the stage's path.
        """
        tries = 1 + (node.retry.times if node.retry else 0)
        for number in range(tries):
            try:
                return await self._within_its_time(node, given, path)
            except ServeliteError as error:
                may_try_again = node.retry is not None and error.code in node.retry.on and number + 1 < tries
                if may_try_again and node.retry is not None:
                    await asyncio.sleep(node.retry.backoff_s * 2**number)
                    self.left_s()
                elif node.fallback is not None:
                    return await self.run(node.fallback, given, path)
                else:
                    raise
        raise AssertionError("a last try returns or raises")

    def left_s(self) -> float:
        """Return the time until the deadline; Overloaded where it is over."""
        left_s = self.until_s - asyncio.get_running_loop().time()
        if left_s <= 0:
            raise Overloaded(f"{self.pipeline} was not done before this call's deadline; the rest was not run. Try again later.")
        return left_s

    async def _within_its_time(self, node: Node, given: Payload, path: Path) -> Payload:
        if node.timeout_s is None:
            return await self._run(node, given, path)
        try:
            async with asyncio.timeout(node.timeout_s):
                return await self._run(node, given, path)
        except TimeoutError:
            told = f"{title(node)} took longer than the {node.timeout_s:g} s that the pipeline gives it."
            raise placed(TimedOut(told), path.shown(node)) from None

    async def _run(self, node: Node, given: Payload, path: Path) -> Payload:
        match node:
            case Chain():
                for stage in node.stages:
                    given = await self.run(stage, given, path)
                return given
            case Parallel():
                return await self._parallel(node, given, path)
            case Each():
                return await self._each(node, given, path)
            case Route():
                return await self._route(node, given, path)
            case Value():
                return Payload(json.dumps(node.output).encode(), JSON)
        try:
            return await self.ask(node, given, self, path)
        except ServeliteError as error:
            raise placed(error, path.shown(node)) from None

    async def _parallel(self, node: Parallel, given: Payload, path: Path) -> Payload:
        runs = [self.run(branch, given, Path((*path.branches, name), path.items)) for name, branch in node.branches]
        outputs = await all_or_none(runs)
        named = zip((name for name, _ in node.branches), outputs, strict=True)
        return Payload(
            b"{%b}" % b",".join(b"%b:%b" % (json.dumps(name).encode(), as_media(one, (JSON,)).body) for name, one in named), JSON
        )

    async def _each(self, node: Each, given: Payload, path: Path) -> Payload:
        turn = asyncio.Semaphore(node.max_parallel)

        async def run(number: int, item: bytes) -> Payload:
            async with turn:
                return await self.run(node.stage, Payload(item, JSON), Path(path.branches, (*path.items, number)))

        outputs = await all_or_none(list(starmap(run, enumerate(items_of(given.body)))))
        return Payload(b"[%b]" % b",".join(as_media(one, (JSON,)).body for one in outputs), JSON)

    async def _route(self, node: Route, given: Payload, path: Path) -> Payload:
        chosen = await self.run(node.chooser, given, path)
        name = json.loads(as_media(chosen, (JSON,)).body)
        branch = dict(node.branches).get(name)
        if branch is None:
            raise FunctionFailed(f"{node.chooser.name} chose {name!r}, for which there is no branch.")
        return await self.run(branch, given, Path((*path.branches, name), path.items))


async def all_or_none(runs: Sequence[Any]) -> list[Payload]:
    """Run all at the same time, and return their outputs in order; where one fails the others are cancelled."""
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def items_of(body: bytes) -> list[bytes]:
    """Cut a JSON array into the bytes of its items; FunctionFailed where it is none."""
    try:
        text = body.decode()
        decode, at, items = json.JSONDecoder().raw_decode, _skip(text, 0), []
        if text[at] != "[":
            raise ValueError("it is no list")
        at = _skip(text, at + 1)
        while text[at] != "]":
            _, end = decode(text, at)
            items.append(text[at:end].encode())
            at = _skip(text, end)
            at = _skip(text, at + 1) if text[at] == "," else at
    except (ValueError, IndexError, RecursionError) as error:
        raise FunctionFailed(f"A list was to come out of the stage before, and did not: {error}.") from error
    return items


def _skip(text: str, at: int) -> int:
    while text[at] in SPACE:
        at += 1
    return at


def as_media(payload: Payload, takes: Sequence[str]) -> Payload:
    """Return a payload as its taker has it: text and bytes are JSON strings inside of JSON, bytes in base64."""
    body, media = payload
    if media in takes or media not in (JSON, TEXT, BINARY):
        return payload
    if JSON in takes:
        return Payload(json.dumps(body.decode() if media == TEXT else base64.b64encode(body).decode()).encode(), JSON)
    try:
        text = json.loads(body) if media == JSON else body.decode()
        if TEXT in takes:
            return Payload(str(text).encode(), TEXT)
        return Payload(base64.b64decode(text, validate=True), BINARY) if BINARY in takes and media == JSON else payload
    except (ValueError, TypeError, binascii.Error) as error:
        raise FunctionFailed(f"What came out of the stage before is not base64: {error}.") from error


def placed(error: ServeliteError, stage: str) -> ServeliteError:
    """Return an error with the stage where it happened: an exception of its own, for a raised one grows a traceback."""
    told = copy(error)
    if not told.stage:
        told.stage = stage
        told.detail = f"{stage}: {error.detail}"
    return told
