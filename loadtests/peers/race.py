"""Race servelite against its peers on this machine, print the ratios, and write docs/benchmarks.md: `python loadtests/peers/race.py`.

`make peers` installs them first. A timing never fails the run; a wrong or failed answer of servelite's does (exit code 1).
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

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
    """Race; return the exit code."""
    said = _parser().parse_args(arguments)
    require_wrk()
    field = [one for one in contestants() if _is_asked_for(one, said.only)]
    if not any(one.kind is not Kind.OURS for one in field):
        raise SystemExit(f"Nobody races: --only knows {', '.join(dict.fromkeys(one.name for one in contestants()))}.")
    missing = [str(WORKS[work].folder) for work in said.works if not (WORKS[work].folder / "examples.jsonl").exists()]
    if missing:
        raise SystemExit(f"{missing[0]} has no examples.jsonl yet. Run `make peers`.")
    with tempfile.TemporaryDirectory(prefix="servelite-race-") as folder:
        plan = Plan(said.clients, said.seconds, said.venvs.resolve(), Path(folder), said.patience)
        stints = _race(field, said.works, said.rounds, plan)
    found = rows(stints, Kind.OURS, Kind.LIMIT)
    on = about(field, said.venvs, said.rounds, said.seconds)
    print(as_lines(found))
    said.json.parent.mkdir(parents=True, exist_ok=True)
    said.json.write_text(json.dumps({"on": on, "stints": [stint.to_dict() for stint in stints]}, indent=1), encoding="utf-8")
    if said.page:
        said.page.write_text(as_page(on, found, stints), encoding="utf-8")
    for what, why in did_not_run(stints).items():
        print(f"did not run: {what}: {why}", file=sys.stderr)
    _, failed, wrong = errors(stints).get("servelite", (0, 0, 0))
    return int(bool(failed or wrong))


def _is_asked_for(one: Contestant, only: Sequence[str]) -> bool:
    return not only or one.kind is Kind.OURS or one.name.lower() in {name.lower() for name in only}


def _race(field: Sequence[Contestant], works: Sequence[str], rounds: int, plan: Plan) -> list[StintResult]:
    """Let everybody run once a round, in an order that changes; whoever did not run, or was slow, rests after the first."""
    stints: list[StintResult] = []
    entered = [(one, work) for work in works for one in field if work in one.works]
    for round_ in range(rounds):
        if round_ == 1:
            worth = worth_more(stints, WITHIN)
            entered = [(one, work) for one, work in entered if (one.name, one.setting, work) in worth]
        random.Random(round_).shuffle(entered)
        for number, (one, work) in enumerate(entered, start=1):
            stint = run_stint(one, WORKS[work], round_, plan)
            stints.append(stint)
            seen = stint.error[:160] or ", ".join(f"{load.per_s:,.0f}" for load in stint.loads) + " requests/s"
            print(f"round {round_ + 1}/{rounds}, {number}/{len(entered)}: {work}, {one.label}: {seen}", file=sys.stderr, flush=True)
    return stints


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--works", nargs="+", choices=list(WORKS), default=list(WORKS), help="the works (default: all)")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="race against these only")
    parser.add_argument(
        "--rounds", type=int, default=5, help="how often each contestant is started; medians are shown (default %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=3, help="whole seconds of one load (default %(default)s)")
    parser.add_argument("--clients", nargs="+", type=int, default=[1, 16, 64], help="numbers of clients (default 1 16 64)")
    parser.add_argument("--patience", type=float, default=0, help="seconds to wait for a quiet machine before each start (default 0)")
    parser.add_argument("--venvs", type=Path, default=ROOT / "build" / "peers", help="where `make peers` installed them")
    parser.add_argument("--json", type=Path, default=ROOT / "build" / "race.json", help="where all samples go (default build/race.json)")
    parser.add_argument("--page", type=Path, help="also write the page, as docs/benchmarks.md has it, into this file")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
