"""Making a package as it was planned: resolve, place, cut, compile, prove, weigh, zip; nothing is written before it is proven."""

import asyncio
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import servelite
from servelite.assembly.environment import SETTINGS_FILE
from servelite.core.errors import ServeliteError
from servelite.tools.check import check
from servelite.tools.packaging.account import Account, account, weigh
from servelite.tools.packaging.distributions import Need, owners, read_distributions, read_needs
from servelite.tools.packaging.leaving import left_out
from servelite.tools.packaging.plan import Plan
from servelite.tools.packaging.products import write_image, write_zip
from servelite.tools.packaging.proof import Proof, prove
from servelite.tools.packaging.pruning import Piece, files_of, prune
from servelite.tools.packaging.pythons import compile_tree, find_python
from servelite.tools.packaging.sources import files_left_out
from servelite.tools.packaging.target import FUNCTIONS, Target
from servelite.tools.packaging.wheels import Step, resolve

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Package:
    """What was made: its account, its proofs, and the packages in it that no example imported."""

    account: Account
    proofs: tuple[Proof, ...]
    idle: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Tree:
    """A tree as it is shipped, or one for this machine that is cut alike; `packages` says whose each file is that is left."""

    place: Path
    account: Account
    packages: Mapping[str, str]


def check_functions(folders: Mapping[str, Path], say: Say) -> None:
    """Check functions as `servelite check` does; ServeliteError where one fails."""
    failed = []
    for name, folder in folders.items():
        say(f"checking: {name}")
        verdicts = asyncio.run(check(folder))
        failed += [f"{name}, {one.check}: {one.says}" for one in verdicts if one.result == "failed"]
    if failed:
        raise ServeliteError(f"A package is made of functions that pass servelite check (--no-check skips it). {' '.join(failed)}")


def make(plan: Plan, say: Say) -> Package:
    """Make a package.

    Raises:
        DefinitionError: it is too large.
        ServeliteError: a check or an example fails in it.
        ServiceError: wheels can't be resolved, or bytecode can't be made.
    """
    shutil.rmtree(plan.work, ignore_errors=True)  # left by one that was killed
    plan.work.mkdir(parents=True)
    try:
        shipped = _make_tree(plan, plan.target, plan.work / "shipped", say)
        run = shipped if plan.is_proven_as_it_is else _make_tree(plan, plan.proving, plan.work / "here", say)
        python = find_python(plan.proving.python)
        assert python is not None  # it is what the plan found
        proofs = prove(run.place, python, plan.work / "report.json", say)
        if not plan.is_image:
            shipped.account.check()
        say(f"writing: {plan.product}")
        _write(plan, shipped.place)
        return Package(shipped.account, tuple(proofs), _idle(run.packages, proofs))
    finally:
        shutil.rmtree(plan.work, ignore_errors=True)


def _make_tree(plan: Plan, target: Target, work: Path, say: Say) -> _Tree:
    tree = resolve(plan.steps, plan.installer, target, work, say)
    place_own(tree, plan.contents.folders, plan.settings)
    before = weigh(tree)
    spared, whose = list(left_out(before)), owners(read_distributions(tree).values())
    pieces = [*_cut_functions(tree, plan.contents.folders), *prune(tree, roots(tree, plan.steps))]
    after = _size(tree)
    say(f"compiling: for Python {target.python}")
    compile_tree(tree, target)
    left = {file: whose[file] for file in files_of(tree) if file in whose}
    return _Tree(tree, account(before, pieces, spared, _size(tree) - after), left)


def place_own(tree: Path, folders: Mapping[str, Path], settings: Path | None = None) -> None:
    """Put servelite itself, as it is installed here, functions, and settings into a tree."""
    own = Path(servelite.__file__).parent
    shutil.copytree(own, tree / "servelite", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    for name, folder in folders.items():
        shutil.copytree(folder, tree / FUNCTIONS / name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    if settings:
        shutil.copy(settings, tree / SETTINGS_FILE)


def roots(tree: Path, steps: Iterable[Step]) -> Sequence[Need]:
    """Return what is asked for by name, and what was resolved without being required by anything else: a wheel beside a function."""
    lines = [line for step in steps for line in (step.wanted if step.wanted[:1] != ("-r",) else _read_lines(step))]
    known = read_distributions(tree)
    required = {need.name for one in known.values() for need in one.needs if need.name != one.name}
    return [*read_needs(lines), *(Need(name, frozenset(), "") for name in known.keys() - required)]


def _read_lines(step: Step) -> list[str]:
    return (step.folder / "requirements.txt").read_text(encoding="utf-8").splitlines()


def _cut_functions(tree: Path, folders: Mapping[str, Path]) -> Iterable[Piece]:
    for name, folder in folders.items():
        for file, why in files_left_out(folder).items():
            packed = tree / FUNCTIONS / name / file
            yield Piece(f"{FUNCTIONS}/{name}", str(packed.relative_to(tree)), packed.stat().st_size, why)
            packed.unlink()


def _write(plan: Plan, tree: Path) -> None:
    if plan.is_image:
        write_image(tree, plan.product, plan.target)
    else:
        write_zip(tree, plan.product)


def _size(tree: Path) -> int:
    return sum((tree / file).stat().st_size for file in files_of(tree))


def _idle(packages: Mapping[str, str], proofs: Iterable[Proof]) -> tuple[str, ...]:
    """Return the packages that are left and of which no example imported a file."""
    used = {packages.get(file) for proof in proofs for file in proof.used}
    return tuple(sorted(set(packages.values()) - used))
