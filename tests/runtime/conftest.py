"""What the tests of the runtime share."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.runtime.bench import Bench
from tests.runtime.fakes import a_machine
from tests.runtime.letters import FUNCTIONS, GLUE, Start
from tests.runtime.pipes import Pipes
from tests.runtime.town import Town


@pytest.fixture
async def bench():
    """Return a maker of benches with started pools, each on a machine of its own or `beside` another; they end with the test."""
    made: list[Bench] = []

    async def make(
        name: str = "f",
        cores: int = 1,
        budget_kib: int = 1 << 40,
        beside: Bench | None = None,
        start_us: int = 0,
        memory_kib: int = 1000,
        **limits: float,
    ) -> Bench:
        machine, clock = (beside.machine, beside.clock) if beside else (a_machine(cores, budget_kib), None)
        made.append(Bench(name, machine, clock, **{"max_batch": 8, **limits}))
        made[-1].workshop.start_us, made[-1].workshop.memory_kib = start_us, memory_kib
        await made[-1].pool.start()
        return made[-1]

    yield make
    for one in made:
        await one.stop()


@pytest.fixture
async def make_pipes():
    """Return a maker of `Pipes`, which end with the test."""
    made: list[Pipes] = []

    def make(*arguments: Any, **options: Any) -> Pipes:
        made.append(Pipes(*arguments, **options))
        return made[-1]

    yield make
    for one in made:
        await one.stop()


@pytest.fixture
async def start_pipes(make_pipes):
    """Return a starter of `Pipes`, as `servelite run` starts them; they end with the test."""

    async def start(*arguments: Any, **options: Any) -> Pipes:
        pipes = make_pipes(*arguments, **options)
        await pipes.engine.start(is_lenient=True)
        return pipes

    return start


@pytest.fixture
def start(start_pipes: Callable[..., Any]) -> Start:
    """Return a starter of pipelines on the functions of `letters`: start(name=pipeline, …)."""

    async def begin(options: dict[str, Any] | None = None, **pipelines: Any) -> Pipes:
        pipes: Pipes = await start_pipes({**pipelines, **FUNCTIONS}, GLUE, **(options or {}))
        return pipes

    return begin


@pytest.fixture
async def town():
    """Return a maker of towns: town(f={limits}, …); they end with the test."""
    made: list[Town] = []

    async def make(functions: dict[str, dict[str, float]], **known) -> Town:
        made.append(Town(functions, **known))
        await made[-1].engine.start()
        return made[-1]

    yield make
    for one in made:
        await one.stop()
