"""The calls of pipelines: let in by what their stages would wait, run stage by stage, recorded with what those took."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from servelite.core.call import FOREVER_S, Answer, Call, Outcome
from servelite.core.errors import Cancelled, LedgerUnavailable, NoWorker, ServeliteError, wire_code
from servelite.core.function import Contract, Description
from servelite.core.pipeline import FunctionStage, Glue
from servelite.runtime.admission import refusal
from servelite.runtime.flow import Flow, Path
from servelite.runtime.metering import Meter
from servelite.runtime.payloads import Payload, as_media
from servelite.runtime.pool import Pool
from servelite.runtime.resolution import Resolution

StageId = Callable[[Call, int], str]
"""Makes the id of a stage's call of its pipeline's call, and of how many of its stages were begun before."""


class Pipelines:
    """Runs pipelines whose stages are the functions of some pools."""

    def __init__(self, pools: Mapping[str, Pool], resolution: Resolution, meter: Meter, stage_id: StageId) -> None:
        self._pools = pools
        self._resolution = resolution
        self._meter = meter
        self._stage_id = stage_id
        self._ending: set[asyncio.Task[object]] = set()

    def admit(self, call: Call) -> None:
        """Refuse a call whose stages would keep it waiting for too long; see `Pool.admit`."""
        told = refusal(call, self._pools, self._resolution)
        if told is not None:
            raise self._counted(call, told)

    async def answer(self, call: Call) -> Answer:
        """Run a pipeline, and return its answer, an error of a stage among them.

        Raises:
            ServeliteError: nothing of it has run.
            LedgerUnavailable: it could not be recorded.
            CancelledError: its client is gone; it is recorded once no worker runs a stage of it any more.
        """
        flow = self._begin(call)
        try:
            return await self._run(flow, Payload(call.body, call.media_type, is_callers=True))
        except asyncio.CancelledError:
            await self._end(flow)
            raise

    async def stop(self) -> None:
        """Wait until the calls are recorded whose clients are gone; no worker may run by then."""
        if self._ending:
            await asyncio.wait(self._ending)

    def _begin(self, call: Call) -> Flow:
        resolved = self._resolution.find(call.function)
        until_s = asyncio.get_running_loop().time() + call.patience_s if call.patience_s else FOREVER_S
        return Flow(call, resolved.node, resolved.description, until_s, self._ask)

    async def _run(self, flow: Flow, given: Payload) -> Answer:
        """Run a flow to its end, and record it."""
        try:
            output = await flow.run(flow.node, given)
            outcome = Outcome(as_media(output, (flow.function.gives,)).body)
        except ServeliteError as error:
            outcome = Outcome(error=error)
        self._close(flow)
        if outcome.error is not None and not flow.tally.calls:  # nothing has run: it is refused as any call is
            raise self._counted(flow.call, outcome.error)
        return self._settle(flow, outcome)

    async def _ask(self, flow: Flow, node: FunctionStage | Glue, given: Payload, path: Path) -> Payload:
        """Make the call of a stage."""
        call = flow.call
        name, part = (node.name, "") if isinstance(node, FunctionStage) else (call.function, node.name)
        pool = self._pools[name]
        function = self._contract(pool, part)
        if given.media_type not in function.takes:
            given = as_media(given, function.takes)
        stage = f"{call.function}/{path.to(node.name)}"
        asked = Call(
            self._stage_id(call, flow.begun),
            name,
            given.media_type,
            given.body,
            call.account,
            key_id=call.key_id,
            part=part,
            parent=call.id,
            stage=stage,
            ends_s=call.ends_s,
        )
        flow.begun += 1
        asked.join_trace(call)
        asked.patience_s, asked.tally, asked.above, asked.depth = flow.patience_s, flow.tally, call, call.depth
        if isinstance(function, Description) and function.pipeline is not None:
            answer = await self._answer_within(flow, asked, given)
        else:
            waiting = pool.submit(asked)
            try:
                answer = await waiting.answer
            except asyncio.CancelledError:
                if waiting.answer.cancelled() and pool.give_up(waiting):
                    flow.runs_on.append(waiting)
                raise
        if answer.error is not None:
            raise answer.error
        return Payload(answer.body, function.gives)

    def _contract(self, pool: Pool, part: str) -> Contract | Description:
        """Return what a stage takes and gives: a function, a pipeline, or a piece of glue."""
        description = pool.description
        if not part:
            return description if description.pipeline is None else self._resolution.find(pool.name).description
        glue = description.glue.get(part)
        if glue is None:
            raise NoWorker(f"{pool.name} was saved anew while this call ran, and has no {part} any more. Try again.")
        return glue

    async def _answer_within(self, flow: Flow, call: Call, given: Payload) -> Answer:
        """Answer the call of a stage that is a pipeline itself."""
        inner = self._begin(call)
        try:
            return await self._run(inner, given)
        except asyncio.CancelledError:
            flow.given_up.append(inner)
            raise

    async def _end(self, flow: Flow) -> None:
        """Record a call whose client is gone, once the workers have ended that still run stages of it."""
        task = asyncio.current_task()
        assert task is not None
        self._ending.add(task)
        try:
            if overs := list(_overs(flow)):
                await asyncio.wait(overs)
        finally:
            self._ending.discard(task)
            with suppress(LedgerUnavailable):
                self._close(flow)
                self._settle_given_up(flow)

    def _close(self, flow: Flow) -> None:
        """Record what was given up: the bill of a pipeline is closed when its answer leaves."""
        for inner in flow.given_up:
            self._close(inner)
            self._settle_given_up(inner)
        for waiting in flow.runs_on:
            self._pools[waiting.call.function].settle_so_far(waiting)

    def _settle_given_up(self, flow: Flow) -> None:
        if flow.tally.calls:
            self._settle(flow, Outcome(error=Cancelled(f"Nobody waited any more, and the rest of {flow.function.name} was not run.")))

    def _settle(self, flow: Flow, outcome: Outcome) -> Answer:
        try:
            answer = self._meter.settle_pipeline(flow.call, flow.tally, outcome, flow.function)
        except ServeliteError as error:
            raise self._counted(flow.call, error) from error.__cause__
        self._pools[flow.call.function].statistics.answered([answer])
        return answer

    def _counted(self, call: Call, error: ServeliteError) -> ServeliteError:
        self._pools[call.function].statistics.calls[wire_code(error)] += 1
        return error


def _overs(flow: Flow) -> Iterator[asyncio.Future[None]]:
    """Yield what is done when the workers have ended that run stages of a flow which nobody waits for."""
    for waiting in flow.runs_on:
        if waiting.over is not None:
            yield waiting.over
    for inner in flow.given_up:
        yield from _overs(inner)
