"""What the emulated function finds: its code, in place or unpacked, never to be written to; its Python; and its environment."""

import contextlib
import importlib.machinery
import os
import platform
import stat
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from servelite.core.errors import DefinitionError, FunctionFailed
from servelite.tools.emulator.parts import Parts

HANDLER = "servelite.adapters.aws_lambda.handler"

PASSED_ON = ("AWS_", "SERVELITE_", "LANG", "LC_", "PATH", "SSL_CERT", "TZ")
"""What of this environment the function sees besides what Lambda sets: beginnings of names."""

Marks = dict[str, tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Room:
    """Where a function runs: its code, the command of its Python, and its variables."""

    code: Path
    command: tuple[str, ...]
    variables: Mapping[str, str]
    before: Marks

    def check_untouched(self) -> None:
        """See that nothing was written where Lambda lets nobody write; FunctionFailed where something was."""
        after = _marks(self.code)
        changed = sorted(name for name in self.before.keys() | after.keys() if self.before.get(name) != after.get(name))
        if changed:
            told = f"The function wrote to its own folder: {', '.join(changed[:5])}"
            raise FunctionFailed(f"{told}. On Lambda that fails, for only /tmp can be written to. Write there.")


@contextlib.contextmanager
def open_room(path: Path, parts: Parts, said: Mapping[str, str], limits: tuple[float, int]) -> Iterator[Room]:
    """Make ready what a function needs: a package that `servelite package` made, its unpacked folder, or a function's folder itself.

    `limits` are the seconds that an event may take, and the memory in MB that Lambda says it has.

    Raises:
        DefinitionError: the path is none of these.
    """
    with tempfile.TemporaryDirectory(prefix="servelite-emulate-") as work:
        code = _unpacked(path, Path(work) / "task") if path.suffix == ".zip" else path.resolve()
        try:
            yield _packaged(code, Path(work), parts, said, limits) if is_package(code) else _in_place(code, said, limits)
        finally:
            _set_mode(Path(work), 0o755)  # it is to be deleted


def is_package(folder: Path) -> bool:
    """Tell whether a folder is a package's, unpacked."""
    return (folder / "servelite" / "adapters" / "aws_lambda").is_dir() and (folder / "functions").is_dir()


def _packaged(code: Path, work: Path, parts: Parts, said: Mapping[str, str], limits: tuple[float, int]) -> Room:
    """Let a package run with what is in it, AWS' client, and Python's own library; nothing that is installed here."""
    _check_is_for_here(code)
    runtime = work / "runtime"
    runtime.mkdir()
    for part in parts.client:
        (runtime / part.name).symlink_to(part)
    command = (sys.executable, "-S", "-m", "awslambdaric", HANDLER)
    places = {"LAMBDA_TASK_ROOT": str(code), "PYTHONPATH": os.pathsep.join([str(code), str(runtime)])}
    return _room(code, command, places, said, limits)


def _check_is_for_here(code: Path) -> None:
    """Refuse a package whose compiled parts this Python could not load."""
    ours = tuple(suffix for suffix in importlib.machinery.EXTENSION_SUFFIXES if "cpython" in suffix)
    foreign = next((file for file in sorted(code.rglob("*.cpython-*.so")) if not file.name.endswith(ours)), None)
    if foreign is not None:
        here = f"Python {sys.version_info[0]}.{sys.version_info[1]} on {platform.machine()}"
        cure = "Emulate it by such a Python, into which servelite[emulate] is installed"
        raise DefinitionError(f"The package is made for another Python or processor than this, {here}: it holds {foreign.name}. {cure}.")


def _in_place(code: Path, said: Mapping[str, str], limits: tuple[float, int]) -> Room:
    """Let functions run from their folder, with what is installed here."""
    if not code.is_dir():
        raise DefinitionError(f"{code} is neither a function's folder nor a package. Name a folder with a handler.py, or a .zip.")
    command = (sys.executable, "-m", "awslambdaric", HANDLER)
    paths = os.pathsep.join(entry for entry in sys.path if entry)
    places = {"LAMBDA_TASK_ROOT": str(code), "SERVELITE_FUNCTIONS": str(code), "PYTHONPATH": paths}
    return _room(code, command, places, said, limits)


def _room(code: Path, command: Sequence[str], places: Mapping[str, str], said: Mapping[str, str], limits: tuple[float, int]) -> Room:
    own = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON) and name != "SERVELITE_KEY"}
    timeout_s, memory_mb = limits
    lambdas = {
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info[0]}.{sys.version_info[1]}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_mb),
        "AWS_LAMBDA_FUNCTION_NAME": "function",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(max(1, round(timeout_s))),
        "HOME": tempfile.gettempdir(),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return Room(code, tuple(command), {**own, **lambdas, **places, **said}, _marks(code))


def _unpacked(package: Path, into: Path) -> Path:
    try:
        with zipfile.ZipFile(package) as archive:
            archive.extractall(into)
    except (OSError, zipfile.BadZipFile) as error:
        raise DefinitionError(
            f"{package} can't be unpacked: {error}. Make a package with: servelite package PATH --target lambda"
        ) from error
    if not is_package(into):
        raise DefinitionError(f"{package} is no package of servelite's. Make one with: servelite package PATH --target lambda")
    _set_mode(into, 0o555)
    return into


def _set_mode(folder: Path, mode: int) -> None:
    """Say who may write to a folder, to those below it, and to their files."""
    for place, _, files in os.walk(folder):
        Path(place).chmod(mode)
        for file in files:
            if not (Path(place) / file).is_symlink():
                (Path(place) / file).chmod(mode)


def _marks(folder: Path) -> Marks:
    """Return what tells whether a file was written to: its size, and when it was changed."""
    files = (file for file in folder.rglob("*") if "__pycache__" not in file.parts and ".venv" not in file.parts)
    seen = ((file, file.lstat()) for file in files)
    return {str(file.relative_to(folder)): (mark.st_size, mark.st_mtime_ns) for file, mark in seen if not stat.S_ISDIR(mark.st_mode)}
