"""Cutting a tree down to what is needed: whole packages that nobody needs any more, then files by the rules of `cuts`."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from servelite.tools.packaging.cuts import ASKS_FOR_METADATA, COPES, CUTS, METADATA_WHY, UNUSED, Cut, Unused
from servelite.tools.packaging.distributions import Distribution, Need, owners, reachable, read_distributions
from servelite.tools.packaging.target import FUNCTIONS

OWN = "servelite"
"""It imports nothing that is cut, and has the rules in its source."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A file that is cut: whose it is, its size, and why it goes."""

    package: str
    file: str
    size: int
    why: str


def prune(tree: Path, roots: Sequence[Need]) -> list[Piece]:
    """Cut a tree, and return what was cut."""
    pieces = list(find_pieces(tree, roots))
    for piece in pieces:
        (tree / piece.file).unlink()
    for folder in sorted((place for place in tree.rglob("*") if place.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
    return pieces


def find_pieces(tree: Path, roots: Sequence[Need]) -> Iterator[Piece]:
    """Yield the files of a tree that its packages and functions do without."""
    known = read_distributions(tree)
    whose, files = owners(known.values()), list(files_of(tree))
    sources = {file: (tree / file).read_text(encoding="utf-8", errors="replace") for file in files if file.endswith(".py")}
    needed, because = _needed(roots, known, _Mentions(sources, whose))
    kept = {file: source for file, source in sources.items() if owner(file, whose) in needed or owner(file, whose) not in known}
    mentions = _Mentions(kept, whose)
    informed = _informed(known, kept, whose)
    cuts = [cut for cut in CUTS if not mentions.any(cut.unless, {cut.package})]
    for file in files:
        package = owner(file, whose)
        why = because.get(package, "") or _why(file, package, cuts) or _info_why(file, package, known, informed)
        if why:
            yield Piece(package, file, (tree / file).stat().st_size, why)


def files_of(tree: Path) -> Iterator[str]:
    """Yield the files of a tree, by name."""
    yield from sorted(str(file.relative_to(tree)) for file in tree.rglob("*") if file.is_file())


def owner(file: str, whose: Mapping[str, str]) -> str:
    """Return the package that a file belongs to; what none lists belongs to its folder, a function's to the function."""
    if package := whose.get(file):
        return package
    parts = file.split("/")
    if parts[-2:-1] == ["__pycache__"]:
        return whose.get("/".join([*parts[:-2], f"{parts[-1].partition('.')[0]}.py"]), parts[0])
    return "/".join(parts[:2]) if parts[0] == FUNCTIONS else parts[0]


class _Mentions:
    """Who imports a module, as far as sources tell."""

    def __init__(self, sources: Mapping[str, str], whose: Mapping[str, str]) -> None:
        self._sources = [(owner(file, whose), source) for file, source in sources.items() if owner(file, whose) != OWN]

    def any(self, module: str, but: Collection[str]) -> bool:
        """Tell whether anybody does but the packages that are named."""
        pattern = _import_of(module)
        return bool(module) and any(whose not in but and pattern.search(source) for whose, source in self._sources)


def _import_of(module: str) -> re.Pattern[str]:
    """Return what finds imports of a module, by its name in a string too."""
    above, _, last = module.rpartition(".")
    ways = [rf"\b(?:import|from)\s+{re.escape(module)}\b", rf"[\"']{re.escape(module)}\b"]
    if above:
        ways.append(rf"\bfrom\s+{re.escape(above)}\s+import\s+(?:\([^)]*|[^\n]*)\b{last}\b")
    return re.compile("|".join(ways))


def _needed(roots: Sequence[Need], known: Mapping[str, Distribution], mentions: _Mentions) -> tuple[set[str], dict[str, str]]:
    """Return the packages that are needed, and why the others go.

    What only imports come from that go too is not needed for them: so all rules are followed, then those taken back that somebody who
    stays has a use for, until all fit.
    """
    rules = list(UNUSED)
    while True:
        needed = reachable(roots, known, [(rule.package, need) for rule in rules for need in rule.needs])
        gone = known.keys() - needed
        if not (wrong := [rule for rule in rules if mentions.any(rule.unless, {rule.package, *gone})]):
            return needed, {name: _because(name, known, rules) for name in gone}
        rules = [rule for rule in rules if rule not in wrong]


def _because(name: str, known: Mapping[str, Distribution], rules: Iterable[Unused]) -> str:
    """Say why a package goes: by the rule that leaves it out, or the one that leaves out what needs it."""
    for rule in rules:
        if name in reachable([Need(need, frozenset(), "") for need in rule.needs], known):
            return f"{rule.package} requires it {rule.why}"
    return "nothing here requires it"


def _why(file: str, package: str, cuts: Iterable[Cut]) -> str:
    if package.startswith(f"{FUNCTIONS}/"):
        return ""  # the rules are about packages
    return next((cut.why for cut in cuts if cut.package in ("", package) and fnmatchcase(file, cut.pattern)), "")


def _info_why(file: str, package: str, known: Mapping[str, Distribution], informed: set[str]) -> str:
    one = known.get(package)
    if one is None or not file.startswith(f"{one.info}/"):
        return ""
    is_asked_for = package in informed and file.rpartition("/")[2] in ("METADATA", "entry_points.txt")
    return "" if is_asked_for else METADATA_WHY


def _informed(known: Mapping[str, Distribution], sources: Mapping[str, str], whose: Mapping[str, str]) -> set[str]:
    """Return the packages whose metadata somebody may ask for: those that ask, and what they require; all if a function asks."""
    asking = {owner(file, whose) for file, source in sources.items() if any(word in source for word in ASKS_FOR_METADATA)}
    if any(name.startswith(f"{FUNCTIONS}/") for name in asking):
        return set(known)
    return reachable([Need(name, frozenset(), "") for name in asking if name in known and name not in COPES], known)
