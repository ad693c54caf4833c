"""A process on AWS Lambda, its execution environment: an engine on an event loop that is kept from event to event.

Lambda gives a process one event at a time, and freezes it in between. So whatever an event begins is ended before its answer leaves,
and nothing watches over the workers: there is one for each function, in this process, and it stays.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any, TypeVar

from servelite.adapters.aws_lambda.invocation import Invocation
from servelite.assembly.engines import lambda_engine
from servelite.assembly.environment import LambdaSurroundings
from servelite.core.call import Answer, Call
from servelite.core.errors import DefinitionError
from servelite.core.function import Description
from servelite.core.ports import Objects
from servelite.runtime.engine import Engine

Result = TypeVar("Result")


class Environment:
    """What answers events, one after the other; `http` answers those of HTTP, once there was one."""

    def __init__(self, surroundings: LambdaSurroundings, write: Callable[[str], None]) -> None:
        """Load the functions; a line for each call is written with `write`.

        Raises:
            DefinitionError: a function can't be loaded.
            LedgerUnavailable: the ledger can't be opened.
        """
        self.surroundings = surroundings
        self.http: Callable[[Any, Any], Any] | None = None
        self.loop = asyncio.new_event_loop()
        self._request_id = ""
        self.engine: Engine = lambda_engine(surroundings, write, lambda: self._request_id)
        self.run(self.engine.start(is_watched=False))

    def begin(self, invocation: Invocation) -> None:
        """Take note of what is answered now, and when it has to be."""
        self._request_id = invocation.request_id
        self.engine.ends_s = time.monotonic() + invocation.left_s
        self.engine.accounts.ends_us = int((time.time() + invocation.left_s) * 1_000_000)

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do something on the kept loop."""
        return self.loop.run_until_complete(work)

    async def call(self, call: Call) -> Answer:
        """Make a call; its error is raised, with what it took in the ledger."""
        answer = await self.engine.call(call)
        if answer.error is not None:
            raise answer.error
        return answer

    def function(self, invocation: Invocation, named: str = "") -> Description:
        """Return the function that an event is for: the one that it names, else the one that is meant for those that name none."""
        return self.engine.describe(named or invocation.function or self.main)

    @cached_property
    def main(self) -> str:
        """The function that events go to that name none; DefinitionError where that can't be told."""
        pools, said = self.engine.pools, self.surroundings.function
        if said:
            return said
        stages = {stage for name in pools for stage in self.engine.resolution.stages(name)}
        mains = [name for name in pools if name not in stages]
        if len(mains) != 1:
            listed = ", ".join(sorted(mains or pools))
            raise DefinitionError(f"The event names no function, and there are several: {listed}. Say which in SERVELITE_FUNCTION.")
        return mains[0]

    @cached_property
    def objects(self) -> Objects:
        """The objects that events tell of."""
        from servelite.assembly.objects import open_objects

        return open_objects()

    def restored(self) -> None:
        """Begin anew in a copy of a process that was frozen (SnapStart): what it waited for at its start, no call of the copy does."""
        self.engine.meter.start_us = 0
        self.engine.accounts.restored()

    def close(self) -> None:
        """End the workers and close the ledger; Lambda itself never asks for it."""
        self.run(self.engine.stop())
        self.loop.close()
