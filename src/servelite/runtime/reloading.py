"""Serves edits: the folders of functions are watched, and one whose file was saved starts anew behind its old version."""

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from pathlib import Path

from servelite.core.errors import ServeliteError
from servelite.runtime.engine import Engine

SETTLE_MS = 200
"""Files that are saved within this time are one edit: an editor writes several, and a model is not written at once."""

STEP_MS = 50
"""An edit is complete when nothing was written for so long."""

LOOK_EVERY_MS = 500
"""How often it is looked whether there are more folders."""

GRAIN_S = 0.02
"""How much earlier than it was saved a file may say that it was: the system looks at its clock now and then."""

IGNORED_ENDINGS = (".pyc", ".swp", ".tmp", "~")

logger = logging.getLogger("servelite.reload")


async def reload_edited(engine: Engine, folders: Mapping[str, Path]) -> None:
    """Have each function of `folders`, by name, served anew whenever something in its folder is saved; never returns.

    The folders may become more: a pipeline that was saved names functions that are served from then on.
    """
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    running: dict[str, asyncio.Task[None]] = {}
    since_s = time.time()
    known_s: dict[str, float] = {}  # until when no edit of a folder was missed
    try:
        while True:
            homes = {name: folder.resolve() for name, folder in folders.items()}
            missed_since_s = {home: known_s.get(name, since_s) - GRAIN_S for name, home in homes.items()}
            async with contextlib.aclosing(_edits(homes)) as edits:
                async for edited in edits:
                    now_s = time.time()
                    missed = [name for name, home in homes.items() if home in missed_since_s and _was_saved(home, missed_since_s[home])]
                    missed_since_s = {}  # all are watched now
                    for name in dict.fromkeys(edited + missed):
                        if name in running:
                            running[name].cancel()  # what it loads is out of date, and may hang
                        running[name] = asyncio.create_task(_reload(engine, name))
                    known_s = dict.fromkeys(homes, now_s)
                    if len(folders) > len(homes):
                        break
                    since_s = now_s
    except OSError as error:  # a folder that was moved away, or the system watches no more
        logger.error("edits are not watched any more: %s. Restart the server.", error)
    finally:
        for task in running.values():
            task.cancel()


async def _edits(homes: Mapping[str, Path]) -> AsyncGenerator[list[str], None]:
    """Yield the names of the functions in whose folders something was saved; none, now and then, where nothing was."""
    from watchfiles import awatch

    def matters(_: object, path: str) -> bool:
        return _matters(path, homes)

    watch = partial(awatch, watch_filter=matters, debounce=SETTLE_MS, step=STEP_MS, rust_timeout=LOOK_EVERY_MS, yield_on_timeout=True)
    async for changes in watch(*homes.values()):
        yield [name for name, home in homes.items() if any(Path(path).is_relative_to(home) for _, path in changes)]


async def _reload(engine: Engine, name: str) -> None:
    began_s = time.monotonic()
    try:
        await engine.reload(name)
    except ServeliteError as error:
        logger.error("%s: %s The version before goes on.", name, error.detail, extra={"function": name})
    except Exception:
        logger.exception("%s could not be served anew, by a fault of servelite; the version before goes on", name, extra={"function": name})
        raise
    else:
        took_ms = round((time.monotonic() - began_s) * 1000)
        logger.info("%s is served as it was saved, after %d ms", name, took_ms, extra={"function": name, "took_ms": took_ms})


def _was_saved(home: Path, since_s: float) -> bool:
    """Tell whether a file in a folder was saved after a moment."""
    for place, inner, files in os.walk(home):
        inner[:] = filter(_is_read, inner)
        for file in filter(_is_read, files):
            with contextlib.suppress(FileNotFoundError):  # it has just gone
                if Path(place, file).stat().st_mtime >= since_s:
                    return True
    return False


def _matters(path: str, homes: Mapping[str, Path]) -> bool:
    """Leave out what Python and editors write beside a file, environments, and everything hidden."""
    file = Path(path)
    parts = next((file.relative_to(home).parts for home in homes.values() if file.is_relative_to(home)), ())
    return all(map(_is_read, parts)) and not path.endswith(IGNORED_ENDINGS)


def _is_read(name: str) -> bool:
    return not name.startswith(".") and name != "__pycache__" and not name.endswith(IGNORED_ENDINGS)
