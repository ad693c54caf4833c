"""What the tests of the runtime share."""

import pytest

from tests.runtime.bench import Bench
from tests.runtime.fakes import a_machine
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
