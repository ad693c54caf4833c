"""Give a function an environment of its own: a plan of the commands, then doing it.

The environment holds what `requirements.txt` names; the packages that servelite runs with are seen behind it, so nothing is
installed twice. pip runs inside, sees both, and is asked for servelite too: what servelite can't run with, it refuses.
"""

import fcntl
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from servelite.core.errors import DefinitionError, ServeliteError, ServiceError
from servelite.runtime.environments import Environment, places_behind

TOLD_LINES = 8
"""Lines of pip's last words that an error repeats."""

Command = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done for one function and why, or why not; the commands are run in its folder."""

    environment: Environment
    why: str
    commands: tuple[Command, ...] = ()
    stamp: dict[str, str] = field(default_factory=dict)


def plan(folder: Path, *, force: bool = False) -> Plan:
    """Plan a function's environment; without commands where there is nothing to do.

    Raises:
        DefinitionError: its place is taken by an environment that is not servelite's to replace.
    """
    environment = Environment(folder)
    if not environment.requirements.is_file():
        return Plan(environment, "it has no requirements.txt")
    _check_place(environment)
    why = _why(environment, force=force)
    if not why:
        return Plan(environment, f"{environment.path} fits; --force makes it anew")
    return Plan(environment, why, (_venv_command(), _pip_command(environment)), environment.expected())


def install(todo: Plan, say: Callable[[str], None]) -> None:
    """Make the environment of a plan; `say` hears what the commands write, a line at a time.

    A failure leaves everything as it was; of an installation that was killed the stamp stays empty, so it is not taken for one
    that fits.

    Raises:
        DefinitionError: the requirements can't be together, or another installation is at work.
        ServiceError: a command failed, or the folder can't be written.
    """
    environment, (make, fill) = todo.environment, todo.commands
    try:
        with _alone(environment.folder) as lock, _replacing(environment):
            environment.path.mkdir()
            environment.write_stamp({})
            (environment.path / ".gitignore").write_text("*\n", encoding="utf-8")
            _run(make, environment, say, lock)
            _show_behind(environment.path, todo.stamp["behind"])
            _run(fill, environment, say, lock)
            environment.write_stamp(todo.stamp)
    except OSError as error:
        cure = "An environment stands in its function's folder, which must be writable and have room."
        raise ServiceError(f"{environment.path} can't be made: {error.strerror}. {cure}") from error


def _check_place(environment: Environment) -> None:
    """Leave other people's environments alone, servelite's own before all.

    pip takes every path that begins like its environment's for a part of it (`.venv-2` is one of `.venv`), and would replace
    packages there.
    """
    own = str(environment.path.resolve())
    if any(str(Path(place).resolve()).startswith(own) for place in places_behind().split(os.pathsep)):
        cure = f"Install into it: {sys.executable} -m pip install -r {environment.requirements}"
        raise DefinitionError(f"{environment.path} is where servelite itself is installed, or begins like it. {cure}")
    if os.path.lexists(environment.path) and environment.stamp() is None:
        cure = f"Rename or remove it, then run: servelite install {environment.folder}"
        raise DefinitionError(f"{environment.path} was not made by servelite, so it is left alone. {cure}")


def _why(environment: Environment, *, force: bool) -> str:
    if environment.stamp() is None:
        return "there is none yet"
    return environment.flaw() or ("--force asks for it" if force else "")


def _venv_command() -> Command:
    without_pip = ["--without-pip"] if importlib.util.find_spec("pip") else []  # pip is seen behind, where servelite has it
    python = getattr(sys, "_base_executable", sys.executable)  # as venv has it: the other may be in what is to be replaced
    return (python, "-P", "-m", "venv", *without_pip, ".venv")


def _pip_command(environment: Environment) -> Command:
    options = ["--no-input", "--disable-pip-version-check", "--no-user", "--no-warn-conflicts"]
    wanted = ["-r", "requirements.txt", f"servelite=={importlib.metadata.version('servelite')}"]
    return (str(environment.python), "-P", "-m", "pip", "install", *options, *wanted)


@contextmanager
def _alone(folder: Path) -> Iterator[int]:
    """Keep a second installation out of the folder; pip holds the lock too, in case that it outlives this process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise DefinitionError(f"Another servelite install is at work in {folder}. Wait for its end.") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _replacing(environment: Environment) -> Iterator[None]:
    """Put the present environment aside, and back if the new one fails.

    It is not built elsewhere and moved in, because scripts hold the path they were installed at.
    """
    path, aside = environment.path, environment.path.with_name(".venv.old")
    if environment.stamp():
        shutil.rmtree(aside, ignore_errors=True)
        path.rename(aside)
    elif path.exists():
        shutil.rmtree(path)  # left by an installation that was killed; what it had put aside may still stand there
    try:
        yield
    except BaseException:
        shutil.rmtree(path, ignore_errors=True)
        if aside.exists():
            aside.rename(path)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _show_behind(environment: Path, places: str) -> None:
    """Let the environment see other folders of packages behind its own, with their .pth files: editable installs are such."""
    packages = Path(sysconfig.get_path("purelib", "venv", {"base": str(environment)}))
    lines = [f"import site; site.addsitedir({place!a})\n" for place in places.split(os.pathsep)]
    (packages / "zz_servelite.pth").write_text("".join(lines), encoding="ascii")  # read last of all .pth files: by name


def _run(command: Command, environment: Environment, say: Callable[[str], None], lock: int) -> None:
    said = []
    with subprocess.Popen(
        command,
        cwd=environment.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        pass_fds=[lock],
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.rstrip())
            say(said[-1])
    if process.returncode:
        raise _failure(environment, said)


def _failure(environment: Environment, said: Sequence[str]) -> ServeliteError:
    """Make an error of what a command wrote: the requirements that can't be together, or else its last lines."""
    if conflict := _conflict(said):
        cure = "Change a version there."
        return DefinitionError(f"{environment.requirements} can't be installed beside servelite: {'; '.join(conflict)}. {cure}")
    first = next((number for number, line in enumerate(said) if "error" in line.lower()), 0)
    last = "\n".join(f"  {line}" for line in said[first:][-TOLD_LINES:])
    return ServiceError(f"{environment.requirements} could not be installed. The last lines of pip:\n{last}")


def _conflict(said: Sequence[str]) -> list[str]:
    """Return pip's reasons why no set of versions is possible; none where it failed for another one."""
    _, heading, rest = "\n".join(said).partition("The conflict is caused by:\n")
    return [line.strip().replace("The user requested", "it asks for") for line in rest.partition("\n\n")[0].splitlines()] if heading else []
