"""The pipelines of a server: what each takes and gives by its stages, and its calls, run stage by stage."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace

from servelite.core.call import Answer, Call, Outcome
from servelite.core.contracts import Resolver, unknown
from servelite.core.errors import Cancelled, DefinitionError, NoWorker, ServeliteError
from servelite.core.function import Contract, Description
from servelite.core.pipeline import FunctionStage, Glue, Node, from_dict, functions_of
from servelite.runtime.flow import Flow, Path, Payload, as_media
from servelite.runtime.metering import Meter
from servelite.runtime.pool import Pool

LOOK_EVERY_S = 0.05
"""How often it is looked whether a run of a pipeline that nobody waits for has ended."""

Seen = tuple[tuple[Pool, Description], ...]


class Pipelines:
    """Runs pipelines whose stages are the functions of some pools."""

    def __init__(self, pools: Mapping[str, Pool], meter: Meter, new_id: Callable[[], str]) -> None:
        self._pools = pools
        self._meter = meter
        self._new_id = new_id
        self._resolved: dict[str, tuple[Seen, Node, Description]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def is_pipeline(self, name: str) -> bool:
        """Tell whether a function is known to be a pipeline."""
        description = self._pools[name].workers.description
        return description is not None and description.pipeline is not None

    def stages(self, name: str) -> list[str]:
        """Return the functions that a pipeline names itself; none where it is no pipeline, or not known yet."""
        description = self._pools[name].workers.description
        return functions_of(from_dict(description.pipeline)) if description is not None and description.pipeline else []

    def describe(self, name: str) -> Description:
        """Return what may be known of a pipeline: with what it takes and gives by its stages.

        Raises:
            DefinitionError: its stages do not fit together, or it names what is not served.
            NoWorker: a stage is not known yet.
        """
        _, description = self._resolve(name)
        return description

    def admit(self, call: Call) -> None:
        """Refuse a call whose stages would keep it waiting for too long; see `Pool.admit`."""
        self._resolve(call.function)
        seen, _, _ = self._resolved[call.function]
        for pool, description in seen:
            if description.pipeline is None or description.glue:
                pool.admit(call)

    async def answer(self, call: Call) -> Answer:
        """Run a pipeline, and return its answer, an error of a stage among them.

        Raises:
            ServiceError: it could not be recorded.
            CancelledError: its client is gone; what its stages took is recorded all the same.
        """
        node, description = self._resolve(call.function)
        patience_s = call.patience_s or description.limits.timeout_s
        flow = Flow(call, call.function, asyncio.get_running_loop().time() + patience_s, self._ask)
        try:
            output = await flow.run(node, Payload(call.body, call.media_type))
            outcome = Outcome(as_media(output, (description.gives,)).body)
        except asyncio.CancelledError:
            task = asyncio.create_task(self._end_cancelled(flow, description))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            raise
        except ServeliteError as error:
            if not flow.tally.calls:
                raise  # nothing has run: refused as any call is
            outcome = Outcome(error=error)
        return self._meter.settle_pipeline(call, flow.tally, outcome, description)

    async def _ask(self, node: Node, given: Payload, flow: Flow, path: Path) -> Payload:
        """Make the call of a stage."""
        call = flow.call
        assert isinstance(node, (FunctionStage, Glue))
        name, part = (node.name, "") if isinstance(node, FunctionStage) else (call.function, node.name)
        pool = self._pools[name]
        contract = pool.description.glue[part] if part else self._contract(name)
        body, media = as_media(given, contract.takes)
        stage = f"{call.function}/{path.to(node)}"
        asked = Call(self._new_id(), name, media, body, call.account, patience_s=flow.left_s(), key_id=call.key_id, part=part)
        asked.parent, asked.stage, asked.tally, asked.above, asked.depth = call.id, stage, flow.tally, call, call.depth
        is_pipeline = not part and pool.description.pipeline is not None
        answer = await (self.answer(asked) if is_pipeline else pool.answer(asked))
        if answer.error is not None:
            raise answer.error
        return Payload(answer.body, contract.gives)

    def _contract(self, name: str) -> Contract:
        description = self._pools[name].description
        return self.describe(name).contract if description.pipeline else description.contract

    def _resolve(self, name: str) -> tuple[Node, Description]:
        known = self._resolved.get(name)
        if known is None or any(pool.workers.description is not description for pool, description in known[0]):
            known = self._resolved[name] = self._resolve_anew(name, ())
        return known[1], known[2]

    def _resolve_anew(self, name: str, above: tuple[str, ...]) -> tuple[Seen, Node, Description]:
        own = self._known(name)
        seen: dict[Pool, Description] = {self._pools[name]: own}
        if own.pipeline is None:
            return tuple(seen.items()), FunctionStage(name), own
        node = from_dict(own.pipeline)

        def contract(stage: str) -> Contract:
            if stage in (*above, name):
                round_ = " → ".join([*(above[above.index(stage) :] if stage in above else ()), name, stage])
                raise DefinitionError(f"The pipeline {name} can't be served: it calls itself: {round_}.")
            if stage not in self._pools:
                raise unknown(stage, name, sorted(set(self._pools) - {name}))
            inner, _, description = self._resolve_anew(stage, (*above, name))
            seen.update(inner)
            return description.contract

        found = Resolver(name, own.glue, contract).resolve(node)
        limits = own.limits if node.timeout_s is None else replace(own.limits, timeout_s=node.timeout_s)
        description = replace(
            own, limits=limits, takes=found.takes, gives=found.gives, input_schema=found.input_schema, output_schema=found.output_schema
        )
        return tuple(seen.items()), node, description

    def _known(self, name: str) -> Description:
        description = self._pools[name].workers.description
        if description is None:
            raise NoWorker(f"{name} could not be loaded yet. The server's log says why; it is tried again.")
        return description

    async def _end_cancelled(self, flow: Flow, description: Description) -> None:
        """Record a pipeline whose client left, once the workers that still ran a stage of it have ended that."""
        while any(pool.runs_stage_of(flow.call.id) for pool in self._pools.values()):  # noqa: ASYNC110  only its lane hears of a run's end
            await asyncio.sleep(LOOK_EVERY_S)
        if flow.tally.calls:
            gone = Cancelled(f"The client left, and the rest of {flow.call.function} was not run.")
            self._meter.settle_pipeline(flow.call, flow.tally, Outcome(error=gone), description)
