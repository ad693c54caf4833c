"""Mutation tests of the arithmetic of money: `make mutation`.

mutmut changes one operator, number or condition at a time, and runs the tests of `[tool.mutmut]` in pyproject.toml; a mutant that
they do not notice is a price that could be wrong without anybody knowing. It leaves alone what stands outside functions, properties,
and the lines that pyproject.toml names with a reason. Exit code 1 says that a mutant survived.
"""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "mutation"

MUTATED = (
    "servelite.core.tariff.",
    "servelite.core.comparison.",
    "servelite.core.month.",
    "servelite.core.call.x_shares_",
    "servelite.core.call.x_proportionate_",
)
"""What the names of the mutants begin with."""


NOTICED = ("killed", "timeout")
"""What becomes of a mutant that the tests notice; one that makes them run for ever is noticed too."""


def main() -> int:
    """Mutate a copy, print what came of it, and return the exit code."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, FOLDER / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", FOLDER)
    done = _mutmut("run", *(f"{name}*" for name in MUTATED))
    if done.returncode:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n", file=sys.stderr)
        return done.returncode
    return _judge(dict(line.strip().rsplit(": ", 1) for line in _mutmut("results", "--all", "true").stdout.splitlines()))


def _judge(results: dict[str, str]) -> int:
    for beginning in MUTATED:
        found = [result for name, result in results.items() if name.startswith(beginning)]
        print(f"{beginning.rstrip('._')}: {sum(result in NOTICED for result in found)} of {len(found)} mutants killed")
        if not found:
            print("  none was made: is it there still?")
            return 1
    left = [name for name, result in results.items() if name.startswith(MUTATED) and result not in NOTICED]
    for name in left:
        print(f"\n{name}: {results[name]}\n{_mutmut('show', name).stdout}")
    return int(bool(left))


def _mutmut(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([sys.executable, "-m", "mutmut", *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    sys.exit(main())
