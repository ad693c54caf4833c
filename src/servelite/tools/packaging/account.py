"""The size account of a package: what each part weighed, what is left of it, and why the rest was cut."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from servelite.core.errors import DefinitionError
from servelite.tools.packaging.distributions import owners, read_distributions
from servelite.tools.packaging.pruning import Piece, files_of, owner
from servelite.tools.packaging.target import MB, MOST_UNZIPPED_BYTES, MOST_ZIPPED_BYTES

CAUSES = 3
"""Reasons of one row, and parts that are named where a package is too large."""

LEAST_TOLD = MB // 20
"""Bytes that a reason took before it is told beside others."""

BYTECODE = "bytecode"


@dataclass(frozen=True, slots=True)
class Row:
    """A part of a package, in bytes."""

    part: str
    before: int
    after: int
    why: str


@dataclass(frozen=True, slots=True)
class Account:
    """All parts, the largest first."""

    rows: tuple[Row, ...]

    @property
    def before(self) -> int:
        return sum(row.before for row in self.rows)

    @property
    def after(self) -> int:
        return sum(row.after for row in self.rows)

    def check(self) -> None:
        """Refuse what Lambda would refuse; DefinitionError with the largest parts."""
        if self.after <= MOST_UNZIPPED_BYTES:
            return
        largest = sorted(self.rows, key=lambda row: row.after, reverse=True)[:CAUSES]
        causes = ", ".join(f"{row.part} {megabytes(row.after)}" for row in largest)
        raise DefinitionError(
            f"The package has {megabytes(self.after)} unzipped, and Lambda takes {megabytes(MOST_UNZIPPED_BYTES)}. "
            f"The largest parts: {causes}. Make them smaller, package functions apart, or use --image, which takes 10 GB."
        )


def weigh(tree: Path) -> dict[str, int]:
    """Return what the parts of a tree weigh, by name."""
    whose, sums = owners(read_distributions(tree).values()), Counter[str]()
    for file in files_of(tree):
        sums[owner(file, whose)] += (tree / file).stat().st_size
    return dict(sums)


def account(before: Mapping[str, int], pieces: Iterable[Piece], spared: Iterable[Row], bytecode: int) -> Account:
    """Return the account of a tree that weighed `before` until pieces were cut and bytecode was added; `spared` never came into it."""
    cut = defaultdict[str, Counter[str]](Counter)
    for piece in pieces:
        cut[piece.package][piece.why] += piece.size
    rows = [*spared, *(Row(part, size, size - cut[part].total(), _why(cut[part])) for part, size in before.items())]
    rows.sort(key=lambda row: (-row.before, row.part))
    added = [Row(BYTECODE, 0, bytecode, "compiled, so that no cold start has to")] if bytecode else []
    return Account((*rows, *added))


def zip_advice(size: int) -> str:
    """Say what a zip of this size needs; empty where it may be uploaded as it is."""
    if size <= MOST_ZIPPED_BYTES:
        return ""
    return f"The zip has {megabytes(size)}. Above {megabytes(MOST_ZIPPED_BYTES)} upload it through S3, as sam deploy does, or use --image."


def megabytes(size: int) -> str:
    """Write a size as AWS counts: 2^20 bytes a MB."""
    return f"{size / MB:,.1f} MB"


def account_cells(of: Account) -> list[tuple[str, str, str, str]]:
    """Return the rows of its table, the sum last."""
    rows: Sequence[Row] = (*of.rows, Row("all", of.before, of.after, f"{of.after / of.before:.0%} is left" if of.before else ""))
    return [(row.part, megabytes(row.before), megabytes(row.after), row.why) for row in rows]


def _why(reasons: Counter[str]) -> str:
    """Name the reasons that count, and what each took where there are several."""
    told = [(why, size) for why, size in reasons.most_common(CAUSES) if size >= LEAST_TOLD] or reasons.most_common(1)
    return "; ".join(f"{why} ({megabytes(size)})" if len(told) > 1 else why for why, size in told)
