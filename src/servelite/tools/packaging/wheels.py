"""Resolving wheels for a target: the commands for uv or pip, and running them; each function's into a folder of its own.

The versions are those that are installed here, so that what is shipped is what was tried. Functions are resolved one after the
other, each held to the versions of those before it, and merged; what can't be together is an error of the installer's own words.
"""

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from servelite.core.errors import DefinitionError, ServiceError
from servelite.tools.packaging.target import Installer, Target

ON_LAMBDA = ("mangum", "pydantic", "starlette")
"""What servelite needs there of all that it requires; the rest is the local gateway's and the command line's."""

IF_USED = {"onnxruntime": ("onnxruntime", "load_onnx"), "numpy": ("numpy", "onnxruntime", "load_onnx")}
"""What it needs only for functions whose source has one of these words."""

IN_IMAGE = ("awslambdaric", "boto3")
"""What Lambda's own Python has, and an image does not."""

REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(\[[^]]*\])?\s*([^;]*)(?:;(.*))?")

TOLD_LINES = 8

FIRST = "servelite"
"""The step that resolves what servelite itself needs."""


@dataclass(frozen=True, slots=True)
class Step:
    """One run of the installer: what servelite needs, or a function's requirements.txt; it is run in `folder`."""

    name: str
    folder: Path
    wanted: tuple[str, ...]

    def command(self, installer: Installer, target: Target, into: Path) -> tuple[str, ...]:
        """Return the command that resolves it into a folder, held to the versions in the file `pins.txt` beside that."""
        where = ("--target", str(into), "-c", str(into.parent / "pins.txt"), *target.options(installer))
        return (*_begin(installer), *where, *self.wanted)


def find_installer() -> Installer:
    """Return uv where it is installed, for it judges markers by the target; else pip.

    Raises:
        DefinitionError: there is neither.
    """
    if _uv():
        return "uv"
    if importlib.util.find_spec("pip"):
        return "pip"
    raise DefinitionError("Wheels are resolved by uv or pip, and neither is here. Install one: python -m ensurepip, or see uv's own pages.")


def plan_steps(folders: Iterable[Path], sources: str, *, for_image: bool) -> list[Step]:
    """Return the steps that resolve what functions need, `sources` being the text of all that they run."""
    used = [name for name, words in IF_USED.items() if any(word in sources for word in words)]
    names = {*ON_LAMBDA, *used, *(IN_IMAGE if for_image else ())}
    wanted = sorted({_without_marker(one) for one in importlib.metadata.requires("servelite") or [] if _name(one) in names})
    files = [folder for folder in folders if (folder / "requirements.txt").is_file()]
    own = [Step(folder.resolve().name, folder, ("-r", "requirements.txt")) for folder in files]
    return [Step(FIRST, Path(), tuple(wanted)), *own]


def resolve(steps: Sequence[Step], installer: Installer, target: Target, work: Path, say: Callable[[str], None]) -> Path:
    """Resolve steps below a folder, which must be empty, and return the tree of all of them.

    Raises:
        ServiceError: the installer failed; its last words are told.
    """
    tree, pins = work / "tree", installed_versions(steps)
    tree.mkdir(parents=True)
    for step in steps:
        into = work / step.name
        (work / "pins.txt").write_text("".join(f"{name}=={version}\n" for name, version in sorted(pins.items())), encoding="utf-8")
        _run(step, step.command(installer, target, into), target, say)
        into.mkdir(exist_ok=True)  # where nothing was needed
        pins |= _versions([into])
        shutil.copytree(into, tree, dirs_exist_ok=True, symlinks=True, ignore=shutil.ignore_patterns(".lock"))  # uv's own
        shutil.rmtree(into)
    return tree


def installed_versions(steps: Sequence[Step]) -> dict[str, str]:
    """Return the versions that functions run with here: those of their own environments, else servelite's."""
    own = [place for step in steps if step.name != FIRST for place in step.folder.glob(".venv/lib/*/site-packages")]
    pins = _versions(None) | _versions(own)
    return {name: version for name, version in pins.items() if name != FIRST and "+" not in version}  # local builds are nowhere else


def _versions(places: Sequence[str | Path] | None) -> dict[str, str]:
    found = importlib.metadata.distributions() if places is None else importlib.metadata.distributions(path=[str(one) for one in places])
    return {normalised(one.name): one.version for one in found if one.name}


def normalised(name: str) -> str:
    """Return a package's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _name(requirement: str) -> str:
    match = REQUIREMENT.match(requirement)
    return normalised(match[1]) if match else ""


def _without_marker(requirement: str) -> str:
    return requirement.partition(";")[0].strip()


def _uv() -> str | None:
    return shutil.which("uv", path=str(Path(sys.executable).parent)) or shutil.which("uv")


def _begin(installer: Installer) -> Iterator[str]:
    if installer == "uv":
        yield from (_uv() or "uv", "pip", "install", "--quiet", "--python", sys.executable, "--link-mode", "copy")
    else:
        yield from (sys.executable, "-P", "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-compile")


def _run(step: Step, command: Sequence[str], target: Target, say: Callable[[str], None]) -> None:
    what = "What servelite needs" if step.name == FIRST else str(step.folder / "requirements.txt")
    say(f"resolving: {step.name} for Python {target.python} on {target.arch}")
    surroundings = {**os.environ, "UV_NATIVE_TLS": "true"}  # by the machine's own certificates, as pip does; uv brings others
    done = subprocess.run(
        command, cwd=step.folder, env=surroundings, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        last = "\n".join(f"  {line}" for line in (done.stdout + done.stderr).strip().splitlines()[-TOLD_LINES:])
        raise ServiceError(
            f"{what} could not be resolved for Python {target.python} on {target.arch}. The last lines of the installer:\n{last}"
        )
