"""One run of a pipeline: its stages are calls like any other, their outputs travel as bytes from one to the next."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from copy import copy
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from servelite.core.call import Call, Tally
from servelite.core.contracts import title
from servelite.core.errors import Overloaded, ServeliteError, TimedOut
from servelite.core.function import JSON, Description
from servelite.core.pipeline import Each, FunctionStage, Glue, Node, Parallel, Retry, Route, Value
from servelite.core.pipeline import Sequence as Chain
from servelite.runtime.payloads import Payload, in_json, items_of, list_of, object_of
from servelite.runtime.waiting import Waiting


class Path(NamedTuple):
    """Where in a pipeline a stage stands: the branches that lead to it, and the items of lists."""

    branches: tuple[str, ...] = ()
    items: tuple[int, ...] = ()

    def to(self, name: str) -> str:
        """Name a stage for the ledger, the same for all items: `branch.stage`."""
        return ".".join((*self.branches, name)) if self.branches else name

    def shown(self, name: str) -> str:
        """Name a stage in an error: `branch.stage[3]`."""
        return self.to(name) + "".join(f"[{item}]" for item in self.items)


ROOT = Path()

Ask = Callable[["Flow", FunctionStage | Glue, Payload, Path], Awaitable[Payload]]
"""Makes the call of a stage, and returns its output, or raises its error."""


@dataclass(slots=True, eq=False)
class Flow:
    """A pipeline's call on its way.

    node      the whole pipeline
    function  the pipeline, as it was when the call came
    until_s   the caller's deadline on the event loop's clock: no stage begins after it
    tally     what its stages took
    begun     how many calls of stages there were
    runs_on   calls of stages that were given up while a worker ran them
    given_up  flows of stages, pipelines themselves, that were given up
    """

    call: Call
    node: Node
    function: Description
    until_s: float
    ask: Ask
    tally: Tally = field(default_factory=Tally)
    begun: int = 0
    runs_on: list[Waiting] = field(default_factory=list)
    given_up: list["Flow"] = field(default_factory=list)

    async def run(self, node: Node, given: Payload, path: Path = ROOT) -> Payload:
        """Run a node with its retries, its time limit and its fallback.

        Raises:
            ServeliteError: a stage failed; it carries the stage's path.
        """
        if node.retry is None and node.timeout_s is None and node.fallback is None:
            return await self._run(node, given, path)
        try:
            return await self._try(node, given, path)
        except ServeliteError:
            if node.fallback is None:
                raise
        return await self.run(node.fallback, given, path)

    async def _try(self, node: Node, given: Payload, path: Path) -> Payload:
        for pause_s in _pauses(node.retry):
            try:
                return await self._within_its_time(node, given, path)
            except ServeliteError as error:
                if node.retry is None or error.code not in node.retry.on or pause_s >= self.left_s:
                    raise
            await asyncio.sleep(pause_s)
        return await self._within_its_time(node, given, path)

    @property
    def left_s(self) -> float:
        """The time until the caller's deadline."""
        return self.until_s - asyncio.get_running_loop().time()

    @property
    def patience_s(self) -> float:
        """How long a stage may wait for a worker, 0 for as long as its function says; Overloaded where the deadline is over."""
        if self.until_s == float("inf"):
            return 0.0
        left_s = self.left_s
        if left_s <= 0:
            raise Overloaded(f"{self.function.name} was not done before this call's deadline, and this was not run. Try again later.")
        return left_s

    async def _within_its_time(self, node: Node, given: Payload, path: Path) -> Payload:
        if node.timeout_s is None:
            return await self._run(node, given, path)
        limit = Limit(node.timeout_s)
        try:
            return await self._run(node, given, path)
        except asyncio.CancelledError:
            if not limit.is_over:
                raise
        finally:
            limit.end()
        if node is self.node:
            told = f"{self.function.name} ran past its limit of {node.timeout_s:g} s and was stopped."
            raise TimedOut(f"{told} Send less, or give it more: stage(…, timeout_s=…).")
        late = TimedOut(f"It took longer than the {node.timeout_s:g} s that its pipeline gives it.")
        raise placed(late, path.shown(title(node)))

    async def _run(self, node: Node, given: Payload, path: Path) -> Payload:
        match node:
            case FunctionStage() | Glue():
                return await self._stage(node, given, path)
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
                return Payload(json.dumps(node.output, ensure_ascii=False, separators=(",", ":")).encode(), JSON)
        raise AssertionError(f"{node} is of no kind")

    async def _stage(self, node: FunctionStage | Glue, given: Payload, path: Path) -> Payload:
        try:
            return await self.ask(self, node, given, path)
        except ServeliteError as error:
            raise placed(error, path.shown(title(node))) from None

    async def _parallel(self, node: Parallel, given: Payload, path: Path) -> Payload:
        runs = [self.run(branch, given, Path((*path.branches, name), path.items)) for name, branch in node.branches]
        return object_of((name for name, _ in node.branches), await all_or_none(runs))

    async def _each(self, node: Each, given: Payload, path: Path) -> Payload:
        try:
            items = items_of(given)
        except ServeliteError as error:
            raise placed(error, path.shown(title(node))) from None
        outputs, numbers = list(items), iter(range(len(items)))

        async def take_turns() -> None:
            for number in numbers:
                outputs[number] = await self.run(node.stage, items[number], Path(path.branches, (*path.items, number)))

        await all_or_none([take_turns() for _ in items[: node.max_parallel]])
        return list_of(outputs)

    async def _route(self, node: Route, given: Payload, path: Path) -> Payload:
        chosen = json.loads(in_json(await self.run(node.chooser, given, path)))  # one of the branches: so it is annotated
        return await self.run(dict(node.branches)[chosen], given, Path((*path.branches, chosen), path.items))


class Limit:
    """A time limit for the task that makes it, s: beyond it the task is cancelled. As `asyncio.timeout`, for a fifth of its time."""

    __slots__ = ("_cancels", "_task", "_timer", "is_over")

    def __init__(self, timeout_s: float) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._task, self._cancels = task, task.cancelling()
        self._timer = task.get_loop().call_later(timeout_s, self._run_out)
        self.is_over = False

    def _run_out(self) -> None:
        self.is_over = True
        self._task.cancel()

    def end(self) -> None:
        """Lift the limit; CancelledError where somebody else has cancelled the task too."""
        self._timer.cancel()
        if self.is_over and self._task.uncancel() > self._cancels:
            raise asyncio.CancelledError


async def all_or_none(runs: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
    """Run all at the same time, and return what they return in order; where one fails the others are cancelled."""
    if len(runs) == 1:
        return [await runs[0]]
    tasks = [asyncio.ensure_future(run) for run in runs]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _pauses(retry: Retry | None) -> Sequence[float]:
    """Return the pauses before each further try, s."""
    return [retry.backoff_s * 2**number for number in range(retry.times)] if retry else ()


def placed(error: ServeliteError, place: str) -> ServeliteError:
    """Return an error with the stage where it happened, `outer/inner` in a pipeline of pipelines; a copy, for a raised one grows."""
    told = copy(error)
    told.stage = f"{place}/{error.stage}" if error.stage else place
    told.detail = f"{place}{'/' if error.stage else ': '}{error.detail}"
    told.args = (told.detail,)
    return told
