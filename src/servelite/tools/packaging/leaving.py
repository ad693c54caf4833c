"""What servelite requires and a package does without: why, and what it weighs as it is installed here."""

import importlib.metadata
from collections.abc import Collection, Iterator
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

from servelite.tools.packaging.account import Row
from servelite.tools.packaging.distributions import read_needs
from servelite.tools.packaging.wheels import normalised

GATEWAY = "the local gateway's"
COMMANDS = "the command line's"

WHY = {
    "httptools": GATEWAY,
    "prometheus-client": GATEWAY,
    "uvloop": GATEWAY,
    "watchfiles": GATEWAY,
    "click": COMMANDS,
    "rich": COMMANDS,
    "boto3": "Lambda's own Python has it",
    "onnxruntime": "no function uses it",
    "numpy": "no function uses it",
}
"""Requirements of servelite, with its extra `aws`, that a package may do without."""


def left_out(present: Collection[str]) -> Iterator[Row]:
    """Yield what a plain installation would have brought besides what is present: each with what it requires, once."""
    seen = set(present)
    for name, why in WHY.items():
        for one in _with_needs(name, seen):
            yield Row(normalised(one.name), _size(one), 0, why)


def _with_needs(name: str, seen: set[str]) -> Iterator[Distribution]:
    if name in seen:
        return
    seen.add(name)
    try:
        one = importlib.metadata.distribution(name)
    except PackageNotFoundError:  # an extra that is not installed, or for another system
        return
    yield one
    for need in read_needs(one.requires or []):
        if not need.behind:
            yield from _with_needs(need.name, seen)


def _size(one: Distribution) -> int:
    """Return the size of its files, without the bytecode that an installer adds."""
    places = [Path(str(file.locate())) for file in one.files or [] if file.suffix != ".pyc"]
    return sum(place.stat().st_size for place in places if place.is_file())
