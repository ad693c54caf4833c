"""Measure servelite's promises on this machine and print them beside what was asked: `python loadtests/figures.py`.

A timing never fails the run, for machines differ and are busy; a wrong or failed answer does (exit code 1).
"""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from calling import calling_figures
from chaining import chain_figures
from load import require_wrk
from metering import row_figures
from packing import package_figures
from reading import reading_figures
from servers import HERE
from serving import Bench, memory_figures, tiny_figures
from starting import call_figures, import_figures, start_figures
from summing import usage_figures
from table import Figure, as_json, as_table, machine
from warming import warm_figures

SENTIMENT = HERE.parent / "functions" / "sentiment"
TINY = HERE / "functions" / "tiny"
CHAIN = HERE / "functions" / "chain"
CALLER = HERE / "functions" / "caller"

PARTS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "import": lambda bench: import_figures(bench.rounds, bench.work),
    "start": lambda bench: start_figures(SENTIMENT, bench.rounds, bench.work),
    "call": lambda bench: call_figures(SENTIMENT, bench.rounds, bench.work),
    "memory": lambda bench: memory_figures(SENTIMENT, bench),
    "tiny": lambda bench: tiny_figures(TINY, bench),
    "row": lambda bench: row_figures(TINY, bench),
    "pipeline": lambda bench: chain_figures(CHAIN, bench),
    "reading": lambda bench: reading_figures(HERE.parent / "functions" / "read_review", bench),
    "usage": lambda bench: usage_figures(bench.rounds, bench.work),
    "package": lambda bench: package_figures(SENTIMENT, bench.rounds, bench.work),
    "lambda": lambda bench: warm_figures(TINY, bench.rounds),
    "child": lambda bench: calling_figures(CALLER, TINY, bench),
}
NEED_WRK = {"memory", "tiny", "row", "pipeline", "child"}


def main(arguments: Sequence[str]) -> int:
    """Measure the parts that are named; return the exit code."""
    parser = _parser()
    said = parser.parse_args(arguments)
    parts = said.parts or list(PARTS)
    if unknown := [part for part in parts if part not in PARTS]:
        parser.error(f"There is no part named '{unknown[0]}'. Parts: {', '.join(PARTS)}")
    if NEED_WRK.intersection(parts):
        require_wrk()
    figures = [figure for part in parts for figure in _measure(part, said.rounds, said.seconds)]
    if said.json:
        print(as_json(figures))
    else:
        print(", ".join(f"{name} {value}" for name, value in machine().items()), as_table(figures), sep="\n\n")
    return int(any(not figure.is_met and not figure.is_timing for figure in figures))


def _measure(part: str, rounds: int, seconds: float) -> list[Figure]:
    print(f"measuring: {part} …", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="servelite-figures-") as work:
        return list(PARTS[part](Bench(rounds, seconds, Path(work))))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"what to measure, by default everything: {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=5, help="samples of each figure; medians are shown (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=4, help="whole seconds of one load (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON, with every sample")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
