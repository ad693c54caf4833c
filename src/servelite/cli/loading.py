"""Functions loaded to be described, with the stages of their pipelines that stand beside them, and what is wrong with them."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from servelite.assembly.engines import describing_engine
from servelite.cli.output import stdout_to_stderr
from servelite.core.errors import DefinitionError, NoWorker, ServeliteError
from servelite.core.function import Description
from servelite.runtime.engine import Engine


@dataclass(frozen=True, slots=True)
class Loaded:
    """What is known of functions, by name; a pipeline whose stages do not fit is among the known ones and the broken ones."""

    known: dict[str, Description] = field(default_factory=dict)
    broken: dict[str, ServeliteError] = field(default_factory=dict)

    def error(self) -> DefinitionError:
        """Return one error that tells all."""
        return DefinitionError("\n".join(error.detail for error in self.broken.values()))


def load_functions(paths: Sequence[Path]) -> Loaded:
    """Load the functions of some paths, in this process or in workers of their own environments.

    Raises:
        DefinitionError: a path holds no function.
    """
    return asyncio.run(_load(describing_engine(paths)))


async def _load(engine: Engine) -> Loaded:
    loaded = Loaded()
    try:
        with stdout_to_stderr(), contextlib.suppress(ServeliteError):  # the first error of many; each is found below
            await engine.start()
        for name in engine.pools:
            _describe(engine, name, loaded)
    finally:
        await engine.stop()
    return loaded


def _describe(engine: Engine, name: str, loaded: Loaded) -> None:
    workers = engine.pools[name].workers
    if workers.description is None:
        loaded.broken[name] = workers.error or NoWorker(f"{name} could not be loaded.")
        return
    loaded.known[name] = workers.description
    if name in (misfits := engine.resolution.misfits()):
        loaded.broken[name] = misfits[name]
    else:
        with contextlib.suppress(NoWorker):  # a stage of it is broken, which is told
            loaded.known[name] = engine.describe(name)
