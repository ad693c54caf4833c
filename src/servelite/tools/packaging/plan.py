"""What a package will be made of and how, as data that can be printed before anything is done."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from servelite.assembly.engines import describing_engine
from servelite.assembly.environment import SETTINGS_FILE, read_settings_file
from servelite.core.errors import DefinitionError
from servelite.core.function import Description
from servelite.runtime.folders import find_functions
from servelite.tools.packaging.pythons import find_python
from servelite.tools.packaging.sources import files_left_out, files_to_pack
from servelite.tools.packaging.target import Installer, Target, here
from servelite.tools.packaging.wheels import Step, find_installer, plan_steps


@dataclass(frozen=True, slots=True)
class Contents:
    """The functions of a package.

    named    those that were asked for, the first of which answers what names none
    folders  these, and the stages of the pipelines among them, by name
    known    what the world may know of each
    """

    named: tuple[str, ...]
    folders: Mapping[str, Path]
    known: Mapping[str, Description]

    @property
    def title(self) -> str:
        """The name of the package: its first function's."""
        return self.named[0]

    @property
    def main(self) -> Description:
        return self.known[self.title]


@dataclass(frozen=True, slots=True)
class Plan:
    """How a package is made: for whom, by which installer, in which steps, and into which folder; `settings` come along, if any."""

    contents: Contents
    target: Target
    proving: Target
    installer: Installer
    steps: tuple[Step, ...]
    out: Path
    is_image: bool
    is_checked: bool
    python: str | None
    settings: Path | None

    @property
    def work(self) -> Path:
        """The folder that it is made in, which goes when it is made."""
        return self.out.absolute() / ".making"

    @property
    def product(self) -> Path:
        return self.out / (f"{self.contents.title}-image" if self.is_image else f"{self.contents.title}.zip")

    @property
    def is_proven_as_it_is(self) -> bool:
        """Whether the very tree that is shipped can be run here; else one for this machine is cut alike, and run."""
        return self.proving == self.target


async def find_contents(paths: Sequence[Path]) -> Contents:
    """Load functions to see what they are made of; stages are looked for beside their pipelines.

    The first path is, or holds, the function that answers what names none; of several there the first that is no stage.

    Raises:
        DefinitionError: a path holds no function, or one of them can't be loaded.
    """
    named = find_functions(paths)
    engine = describing_engine(paths)
    try:
        await engine.start()
        stages = {stage for name in engine.pools for stage in engine.resolution.stages(name)}
        folders = {name: engine.folders[name] for name in sorted(engine.pools)}
        known = {name: engine.describe(name) for name in folders}
    finally:
        await engine.stop()
    candidates = list(find_functions(paths[:1]))
    first = next((name for name in candidates if name not in stages), candidates[0])
    return Contents((first, *(name for name in named if name != first)), folders, known)


def make_plan(
    contents: Contents, target: Target, out: Path, *, is_image: bool, is_checked: bool = True, settings: Path | None = None
) -> Plan:
    """Plan a package of functions; without `settings` the `servelite.toml` of the working directory comes along, if there is one.

    Raises:
        DefinitionError: there is no installer, what a function imports can't be read, or the settings are wrong.
    """
    read_settings_file(settings)  # wrong ones are told here, and not by Lambda
    settings = settings or (Path(SETTINGS_FILE) if Path(SETTINGS_FILE).exists() else None)
    for name, folder in contents.folders.items():
        _check_folder(name, folder)
    sources = "\n".join(_sources(folder) for folder in contents.folders.values())
    steps = plan_steps(contents.folders.values(), sources, for_image=is_image)
    python = find_python(target.python)
    proving = target if target.runs_here and python else Target(target.python if python else here().python, here().arch)
    return Plan(contents, target, proving, find_installer(), tuple(steps), out, is_image, is_checked, python, settings)


def plan_lines(plan: Plan) -> list[str]:
    """Say what will be done, a line a step, with the commands."""
    folders = list(plan.contents.folders.values())
    left_out = [f"{folder / file} ({why})" for folder in folders for file, why in files_left_out(folder).items()]
    check = [f"check: servelite check {shlex.join(map(str, folders))}"] if plan.is_checked else ["check: none, as --no-check asks"]
    names = ", ".join(plan.contents.folders)
    return [
        f"package: {names} for AWS Lambda, Python {plan.target.python} on {plan.target.arch}, into {plan.product}",
        *check,
        *(f"resolve: {shlex.join(step.command(plan.installer, plan.target, plan.work / step.name))}" for step in plan.steps),
        *([f"settings: {plan.settings}"] if plan.settings else []),
        *([f"leave out: {', '.join(left_out)}"] if left_out else []),
        "cut: what makes models, tests, headers, metadata, second copies, and packages that only those need",
        _compile_line(plan),
        _prove_line(plan),
        f"write: {plan.product}{'' if plan.is_image else ', the same bytes each time'}, and {plan.out / 'template.yaml'}",
    ]


def _compile_line(plan: Plan) -> str:
    if plan.python is None:
        return f"compile: nothing, for there is no Python {plan.target.python} here; each cold start will compile everything anew"
    return f"compile: unchecked bytecode, by {plan.python}"


def _prove_line(plan: Plan) -> str:
    where = (
        "in it"
        if plan.is_proven_as_it_is
        else f"in a tree for this machine, cut alike (Python {plan.proving.python} on {plan.proving.arch})"
    )
    return f"prove: run each function's examples {where}, through the Lambda door"


def _sources(folder: Path) -> str:
    return "\n".join((folder / file).read_text(encoding="utf-8") for file in files_to_pack(folder) if file.suffix == ".py")


def _check_folder(name: str, folder: Path) -> None:
    if not (folder / "examples.jsonl").is_file():
        cure = 'Write {"input": …, "output": …} into it, one a line.'
        raise DefinitionError(f"{folder} has no examples.jsonl, by which the package of {name} is proven. {cure}")
