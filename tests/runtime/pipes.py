"""Pipelines on fake workers: typed Python functions as functions and as glue, and an engine that serves them."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, get_type_hints

from servelite.core.accounts import Allowance
from servelite.core.call import Answer, Call, Outcome
from servelite.core.errors import FunctionFailed, InvalidInput, ServeliteError
from servelite.core.function import Contract, Description, Limits
from servelite.core.pipeline import Glue, Node, walk
from servelite.core.ports import Row
from servelite.core.schema import Codec
from servelite.core.tariff import Tariff
from servelite.runtime.engine import Engine
from servelite.runtime.ids import Ids
from servelite.runtime.machine import Machine
from servelite.runtime.pool import Pool
from tests.runtime.fakes import Clock, MemoryLedger, Workshop, a_machine, a_meter, some_accounts

Handler = Callable[[Any], Any]


def codec_of(handler: Handler) -> Codec:
    hints = get_type_hints(handler)
    gives = hints.pop("return")
    (takes,) = hints.values()
    return Codec(takes, gives)


def contract_of(handler: Handler) -> Contract:
    codec = codec_of(handler)
    return Contract(codec.takes, codec.gives, *codec.schemas())


def answering(parts: dict[str, Handler]) -> Callable[[Call], Outcome]:
    """Return what a worker does with a call: decode, run, encode; a ValueError is the caller's fault, any other the function's."""
    codecs = {name: codec_of(handler) for name, handler in parts.items()}

    def answer(call: Call) -> Outcome:
        try:
            return Outcome(codecs[call.part].encode(parts[call.part](codecs[call.part].decode(call.body, call.media_type))))
        except ServeliteError as error:
            return Outcome(error=error)
        except ValueError as error:
            return Outcome(error=InvalidInput(f"{error}"))
        except Exception:  # noqa: BLE001  a handler of a test may raise anything, as others do
            return Outcome(error=FunctionFailed(f"{call.function} failed on this input."))

    return answer


def describe(name: str, made: Handler | Node, glue: dict[str, Handler], **limits: Any) -> Description:
    if isinstance(made, Node):
        own = {one.name: contract_of(glue[one.name]) for one in walk(made) if isinstance(one, Glue)}
        limits = {"max_batch": 16, "timeout_s": made.timeout_s or 30.0, **limits}
        return Description(name, "", Limits(**limits), ("application/json",), "application/json", {}, {}, pipeline=made.to_dict(), glue=own)
    one = contract_of(made)
    return Description(name, "", Limits(**{"max_batch": 8, **limits}), one.takes, one.gives, one.input_schema, one.output_schema)


class Pipes:
    """An engine of functions and pipelines by name: a typed function is one, a node is a pipeline, with `glue` by name.

    Functions of `beside` are not served before a pipeline names them.
    """

    def __init__(
        self,
        served: dict[str, Handler | Node],
        glue: Sequence[Handler] = (),
        *,
        limits: dict[str, dict[str, Any]] | None = None,
        beside: dict[str, Handler | Node] | None = None,
        machine: Machine | None = None,
        tariff: Tariff | None = None,
        **allowances: Allowance,
    ) -> None:
        self.glue = {one.__name__: one for one in glue}
        self.limits = limits or {}
        self.beside = beside or {}
        self.clock = Clock()
        self.ledger = MemoryLedger()
        self.machine = machine or a_machine(cores=2)
        self.accounts = some_accounts(self.now_us, tariff, **allowances)
        self.meter = a_meter(self.ledger, self.now_us, self.accounts)
        self.workshops: dict[str, Workshop] = {}
        self._ids = iter(range(1, 1_000_000))
        pools = {name: self.new_pool(name, made) for name, made in served.items()}
        ids = Ids(lambda: 0.0, lambda _: next(self._ids))
        self.engine = Engine(pools, self.meter, self.machine.memory, ids, now_s=lambda: 0.0, find_stage=self.find_stage)

    def now_us(self) -> int:
        return self.clock.us

    def new_pool(self, name: str, made: Handler | Node) -> Pool:
        self.workshops[name] = Workshop(self.describe(name, made), self.clock)
        self.workshops[name].answer = self.answering(made)
        pool = Pool(name, self.workshops[name].new_worker, self.meter, self.clock, self.machine)
        self.machine.memory.tenants = [*self.machine.memory.tenants, pool.workers]
        return pool

    def find_stage(self, name: str, _: str) -> Pool | None:
        return self.new_pool(name, self.beside[name]) if name in self.beside else None

    def describe(self, name: str, made: Handler | Node) -> Description:
        return describe(name, made, self.glue, **self.limits.get(name, {}))

    def answering(self, made: Handler | Node) -> Callable[[Call], Outcome]:
        return answering(self.glue if isinstance(made, Node) else {"": made})

    async def save(self, name: str, made: Handler | Node) -> None:
        """Save another version of a function, and have it served."""
        self.workshops[name].description = replace(self.describe(name, made))
        self.workshops[name].answer = self.answering(made)
        await self.engine.reload(name)

    def new_call(self, name: str, value: Any, **fields: Any) -> Call:
        return Call(self.engine.new_id(), name, "application/json", json.dumps(value).encode(), **fields)

    async def call(self, name: str, value: Any, **fields: Any) -> Answer:
        return await self.engine.call(self.new_call(name, value, **fields))

    async def ask(self, name: str, value: Any, **fields: Any) -> Any:
        """Make a call, and return its output; raise its error."""
        answer = await self.call(name, value, **fields)
        if answer.error is not None:
            raise answer.error
        return json.loads(answer.body) if answer.media_type == "application/json" else answer.body.decode()

    async def stop(self) -> None:
        for workshop in self.workshops.values():
            workshop.door.set()
            workshop.start_door.set()
        await self.engine.stop()

    def send(self, name: str, value: Any, **fields: Any) -> "asyncio.Task[Answer]":
        return asyncio.create_task(self.call(name, value, **fields))

    @property
    def rows(self) -> list[Row]:
        return self.ledger.rows

    @property
    def tops(self) -> list[Row]:
        """The rows of calls of their own."""
        return [row for row in self.rows if not row.parent]

    def stages_of(self, row: Row) -> list[Row]:
        return [one for one in self.rows if one.parent == row.id]

    def check_sums(self) -> None:
        """Hold that the stages of each pipeline add up to it, and that nothing has two rows, or a parent without one."""
        ids = [row.id for row in self.rows]
        assert len(ids) == len(set(ids))
        assert {row.parent for row in self.rows if row.parent} <= set(ids)
        for row in self.rows:
            stages = self.stages_of(row)
            for name in ("compute_us", "cpu_us", "queue_us", "init_us", "billed_us", "mib_us", "cost_pico") if stages else ():
                assert sum(getattr(stage, name) for stage in stages) == getattr(row, name), (name, row, stages)

    @property
    def used_us(self) -> int:
        """What the calls of the account `local` are billed, by its quota."""
        (account,) = filter(None, self.accounts.quotas._accounts.values())
        return account.used_units // self.accounts.quotas.tariff.units_a_us
