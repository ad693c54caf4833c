"""The stage: a copy of the function's folder, served behind a handler that misbehaves when a file orders it.

The product's own code has no switch for faults. The handler in `template/` is a function like any other; it loads the copy
with the loader that serves it, answers as it does, and looks for orders in a folder beside it.
"""

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from servelite.runtime.folders import find_function
from servelite.tools.servers import Server, resident_mib, serve
from servelite.tools.torture.target import Target, find_target

ROOMY_TIMEOUT_S = 20.0
"""For trials that are about something else, and keep calls waiting."""


@dataclass(frozen=True, slots=True)
class Orders:
    """What the obeying handler is told, and tells; `folder` is the scene's."""

    folder: Path

    def order(self, fault: str, measure: float | str = "", whom: str = "one") -> None:
        """Order a fault for `one` call, or for `all`."""
        draft = self.folder / "draft"
        draft.write_text(str(measure), encoding="utf-8")
        draft.rename(self.folder / "orders" / f"{whom}.{fault}")  # at once: it is never seen half written

    def is_claimed(self, fault: str) -> bool:
        """Tell whether a call has been hit by a fault for one."""
        return not (self.folder / "orders" / f"one.{fault}").exists()

    def runs(self) -> list[list[str]]:
        """Return the runs of the handler so far, each with the request ids of its batch."""
        file = self.folder / "runs"
        return [line.split() for line in file.read_text(encoding="ascii").splitlines()] if file.exists() else []


@dataclass(frozen=True, slots=True)
class Scene(Orders):
    """The function being served on the stage."""

    target: Target
    server: Server


class Stage:
    """Serves one function again and again, each time with limits that make a trial quick."""

    def __init__(self, folder: Path, root: Path, body: bytes | None, load_s: float) -> None:
        """Take the function's folder, an empty one to work in, the good call's body, and how long loads last."""
        self.source = find_function(folder)
        self.load_s = load_s
        self._root = root
        self._body = body
        self._scenes = 0

    async def look(self) -> None:
        """Serve the function as it is, once: what it is, what it takes, how much memory its worker has.

        Raises:
            DefinitionError: the function can't be served, or there is no input that it answers.
        """
        self._original = self._root / "original" / self.source.resolve().name
        async with serve(self.source, self._folder()) as server:
            self.plain = await find_target(server.port, self._original.name, self._body)
            self.good = await self.plain.call()
            self.memory_mib = round(max(map(resident_mib, server.workers()), default=0))
        shutil.copytree(self.source, self._original, ignore=shutil.ignore_patterns("__pycache__", ".git", ".venv"))

    def timeout_s(self, least: float = 1.0) -> float:
        """Return a short time limit that good calls keep to: five times what one took, and `least` more."""
        return round(least + 5 * self.good.took_s, 1)

    def max_batch(self, most: int) -> int:
        """Return the function's max_batch, held below `most`; it stays above 1 where it was, for then the handler takes lists."""
        return min(most, self.plain.function.limits.max_batch)

    @property
    def note(self) -> str:
        """What was changed for the trials."""
        return (
            f"A copy of {self._original.name} with timeout_s={self.timeout_s():g}, or {ROOMY_TIMEOUT_S:g} where calls must wait; "
            f"its idle worker has {self.memory_mib} MiB. Where load matters, calls are slowed and max_batch and max_workers are small."
        )

    @asynccontextmanager
    async def serve(self, **limits: Any) -> AsyncIterator[Scene]:
        """Serve the function behind the handler that obeys orders, with some of its limits replaced."""
        folder = self._folder()
        async with serve(set_up(self._original, folder, limits), folder) as server:
            yield Scene(folder, replace(self.plain, port=server.port), server)

    def _folder(self) -> Path:
        self._scenes += 1
        folder = self._root / str(self._scenes)
        folder.mkdir()
        return folder


def set_up(original: Path, folder: Path, limits: dict[str, Any]) -> Path:
    """Write a function's folder for one scene, and return it: the obeying handler, and the files that describe the function."""
    served = folder / original.name
    served.mkdir()
    (folder / "orders").mkdir()
    told = {"original": str(original), "orders": str(folder / "orders"), "runs": str(folder / "runs"), "limits": limits}
    (served / "stage.json").write_text(json.dumps(told), encoding="utf-8")
    template = resources.files("servelite.tools.torture").joinpath("template", "handler.py")
    (served / "handler.py").write_bytes(template.read_bytes())
    for described in ("examples.jsonl", "card.toml"):
        if (original / described).is_file():
            shutil.copy(original / described, served)
    return served
