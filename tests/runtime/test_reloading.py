"""Edits of folders that are watched, and of those that have just come to be."""

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from servelite.runtime.reloading import reload_edited

pytestmark = pytest.mark.anyio


class Reloads:
    """An engine that notes which function was to be reloaded."""

    def __init__(self) -> None:
        self.names: asyncio.Queue[str] = asyncio.Queue()

    async def reload(self, name: str) -> None:
        self.names.put_nowait(name)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "handler.py").write_text("1")
        os.utime(tmp_path / name / "handler.py", (1, 1))
    return {"one": tmp_path / "one", "two": tmp_path / "two"}


async def next_reload(engine: Reloads) -> str:
    return await asyncio.wait_for(engine.names.get(), 30)


@contextlib.asynccontextmanager
async def watching(folders: dict[str, Path]):
    engine = Reloads()
    watch = asyncio.create_task(reload_edited(engine, folders))
    try:
        yield engine
    finally:
        watch.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watch


async def test_an_edit_is_served_from_the_first_moment_on(folders):
    async with watching(folders) as engine:
        await asyncio.sleep(0)
        (folders["one"] / "handler.py").write_text("2")
        assert await next_reload(engine) == "one"


async def test_an_edit_of_a_folder_that_is_not_watched_yet_is_not_missed(folders):
    watched = {"one": folders["one"]}
    async with watching(watched) as engine:
        await asyncio.sleep(0)
        (folders["one"] / "handler.py").write_text("2")
        assert await next_reload(engine) == "one"
        watched["two"] = folders["two"]  # as the reload of a pipeline takes in what it names
        (folders["two"] / "handler.py").write_text("2")
        assert await next_reload(engine) == "two"


async def test_folders_that_come_to_be_watched_are_reloaded_only_for_edits(folders):
    watched = {"one": folders["one"]}
    async with watching(watched) as engine:
        for number in range(2, 5):
            if number == 3:
                watched["two"] = folders["two"]
                (folders["two"] / "handler.pyc").write_text("2")
            (folders["one"] / "handler.py").write_text(f"{number}")
            assert await next_reload(engine) == "one"
        assert engine.names.empty()
