"""The packages of a tree, as their dist-info tells: whose file each is, and who needs whom."""

import csv
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from servelite.tools.packaging.wheels import REQUIREMENT, normalised

EXTRA = re.compile(r"extra\s*==\s*['\"]([^'\"]+)['\"]")


@dataclass(frozen=True, slots=True)
class Need:
    """One requirement of a package: which, with which of its extras, and behind which extra of its own; "" for none."""

    name: str
    extras: frozenset[str]
    behind: str


@dataclass(frozen=True, slots=True)
class Distribution:
    """A package: its name, its files relative to the tree, and what it requires, whatever the markers say."""

    name: str
    version: str
    info: str
    files: tuple[str, ...]
    needs: tuple[Need, ...]


def read_distributions(tree: Path) -> dict[str, Distribution]:
    """Return the packages of a tree by name."""
    found = (_read(tree, info) for info in sorted(tree.glob("*.dist-info")))
    return {one.name: one for one in found}


def owners(distributions: Iterable[Distribution]) -> dict[str, str]:
    """Return whose each file is."""
    return {file: one.name for one in distributions for file in one.files}


def reachable(roots: Iterable[Need], known: Mapping[str, Distribution], unused: Iterable[tuple[str, str]] = ()) -> set[str]:
    """Return the names of packages that roots need, themselves among them, if the needs in `unused` (who, whom) don't count."""
    left_out, seen = set(unused), defaultdict[str, set[str]](set)
    waiting = list(roots)
    while waiting:
        need = waiting.pop()
        is_new = need.name not in seen
        new_extras = need.extras - seen[need.name]
        seen[need.name] |= need.extras
        if need.name in known and (is_new or new_extras):
            waiting += [
                one for one in known[need.name].needs if one.behind in {"", *seen[need.name]} and (need.name, one.name) not in left_out
            ]
    return {name for name in seen if name in known}


def read_needs(lines: Iterable[str]) -> Iterator[Need]:
    """Read requirements, as METADATA or a requirements.txt has them; options, paths and remarks are left out."""
    for line in lines:
        match = REQUIREMENT.match(line.strip())
        if match and not line.strip().startswith(("-", "#", ".", "/")):
            extras = frozenset(normalised(one.strip()) for one in (match[2] or "").strip("[] ").split(",") if one.strip())
            behind = EXTRA.search(match[4] or "")
            yield Need(normalised(match[1]), extras, normalised(behind[1]) if behind else "")


def _read(tree: Path, info: Path) -> Distribution:
    metadata = HeaderParser().parsestr((info / "METADATA").read_text(encoding="utf-8", errors="replace"))
    with (info / "RECORD").open(encoding="utf-8", newline="") as record:
        listed = [row[0] for row in csv.reader(record) if row]
    files = tuple(str(PurePosixPath(file)) for file in listed if (tree / file).is_file() and not file.startswith(".."))
    needs = tuple(read_needs(metadata.get_all("Requires-Dist") or []))
    return Distribution(normalised(metadata["Name"]), metadata["Version"], info.name, files, needs)
