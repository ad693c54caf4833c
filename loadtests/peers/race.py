"""Race servelite against its peers on this machine, print the ratios, and write docs/benchmarks.md: `python loadtests/peers/race.py`.

`make peers` installs them first. A timing never fails the run; a wrong or failed answer of servelite's does (exit code 1).
"""

import argparse
import json
import random
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.append(str(HERE.parent))

from contestants import Contestant, Kind, contestants  # noqa: E402  load, servers and table stand in loadtests/
from load import require_wrk  # noqa: E402
from machine import about  # noqa: E402
from page import as_lines, as_page  # noqa: E402
from results import StintResult, did_not_run, errors, rows, worth_more  # noqa: E402
from running import Plan, run_stint  # noqa: E402
from works import WORKS  # noqa: E402

ROOT = HERE.parents[1]
WITHIN = 0.85
"""A setting that is slower than this part of its contestant's best, in every cell of the first round, is not measured again."""


def main(arguments: Sequence[str]) -> int:
    """Race, or read what a race has left; return the exit code."""
    said = _parser().parse_args(arguments)
    on, stints = _read(said.read) if said.read else _measure(said)
    found = rows(stints, Kind.OURS, Kind.LIMIT)
    print(as_lines(found))
    if said.page:
        said.page.write_text(as_page(on, found, stints), encoding="utf-8")
    for what, why in did_not_run(stints).items():
        print(f"did not run: {what}: {why}", file=sys.stderr)
    _, failed, wrong = errors(stints).get("servelite", (0, 0, 0))
    return int(bool(failed or wrong))


def _measure(said: argparse.Namespace) -> tuple[dict[str, Any], list[StintResult]]:
    """Race as was said; all samples are kept after each start, so that a race that is cut short can be read."""
    require_wrk()
    field = [one for one in contestants() if _is_asked_for(one, said.only)]
    if not any(one.kind is not Kind.OURS for one in field):
        raise SystemExit(f"Nobody races: --only knows {', '.join(dict.fromkeys(one.name for one in contestants()))}.")
    if missing := [work for work in said.works if not (WORKS[work].folder / "examples.jsonl").exists()]:
        raise SystemExit(f"{WORKS[missing[0]].folder} has no examples.jsonl yet. Run `make peers`.")
    stints: list[StintResult] = []
    said.json.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="servelite-race-") as folder:
        plan = Plan(said.clients, said.seconds, said.venvs.resolve(), Path(folder), said.patience)
        for round_ in range(said.rounds):
            on = about(field, said.venvs, round_ + 1, said.seconds)
            for stint in _round(round_, said, field, tuple(stints), plan):
                stints.append(stint)
                said.json.write_text(json.dumps({"on": on, "stints": [one.to_dict() for one in stints]}, indent=1), encoding="utf-8")
    return on, stints


def _read(file: Path) -> tuple[dict[str, Any], list[StintResult]]:
    kept = json.loads(file.read_text(encoding="utf-8"))
    return kept["on"], [StintResult.from_dict(one) for one in kept["stints"]]


def _is_asked_for(one: Contestant, only: Sequence[str]) -> bool:
    return not only or one.kind is Kind.OURS or one.name.lower() in {name.lower() for name in only}


def _round(
    round_: int, said: argparse.Namespace, field: Sequence[Contestant], before: Sequence[StintResult], plan: Plan
) -> Iterator[StintResult]:
    """Let everybody run once, in an order that changes; whoever did not run, or was slow, rests after the first round."""
    entered = [(one, work) for work in said.works for one in field if work in one.works]
    if before:
        worth = worth_more([stint for stint in before if stint.round == 0], WITHIN)
        entered = [(one, work) for one, work in entered if (one.name, one.setting, work) in worth]
    random.Random(round_).shuffle(entered)
    for number, (one, work) in enumerate(entered, start=1):
        stint = run_stint(one, WORKS[work], round_, plan)
        seen = stint.error[:160] or ", ".join(f"{load.per_s:,.0f}" for load in stint.loads) + " requests/s"
        print(f"round {round_ + 1}/{said.rounds}, {number}/{len(entered)}: {work}, {one.label}: {seen}", file=sys.stderr, flush=True)
        yield stint


def _from_1(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--works", nargs="+", choices=list(WORKS), default=list(WORKS), help="the works (default: all)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="race against these only")
    parser.add_argument(
        "--rounds", type=_from_1, default=5, help="how often each contestant is started; medians are shown (default %(default)s)"
    )
    parser.add_argument("--seconds", type=_from_1, default=3, help="whole seconds of one load (default %(default)s)")
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 16, 64], help="numbers of clients (default 1 16 64)")
    parser.add_argument("--patience", type=float, default=0, help="seconds to wait for a quiet machine before each start (default 0)")
    parser.add_argument("--venvs", type=Path, default=ROOT / "build" / "peers", help="where `make peers` installed them")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "race.json", help="where all samples go (default build/race.json)")
    parser.add_argument("--page", type=Path, help="also write the page, as docs/benchmarks.md has it, into this file")
    parser.add_argument("--read", type=Path, metavar="FILE", help="do not race: show what an earlier race has left in FILE")
    return parser


def _end(*_: object) -> None:
    raise SystemExit("Ended by a signal; what was started has ended too.")


if __name__ == "__main__":
    for ends in (signal.SIGTERM, signal.SIGINT):  # a race in the background would not hear Ctrl-C, and leave its servers behind
        signal.signal(ends, _end)
    sys.exit(main(sys.argv[1:]))
