"""The proof of a package: the examples of its functions, answered inside it by a Python that sees nothing else."""

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from servelite.core.errors import ServeliteError, ServiceError
from servelite.core.likeness import difference
from servelite.tools.packaging.target import FUNCTIONS
from servelite.worker.description import read_examples

SCRIPT = Path(__file__).parent / "template" / "examples.py"

WITHIN_S = 600

LAST_WORDS = 600
"""Characters of what a Python wrote before it ended that an error repeats."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What running a function's examples came to; `used` are the files of the package that were imported for it."""

    name: str
    examples: int
    used: frozenset[str]


def prove(tree: Path, python: str, report: Path, say: Callable[[str], None]) -> list[Proof]:
    """Run the examples of each function of a package.

    Raises:
        ServeliteError: an example is answered differently, or not at all.
    """
    return [_prove(tree, folder, python, report, say) for folder in sorted((tree / FUNCTIONS).iterdir())]


def _prove(tree: Path, folder: Path, python: str, report: Path, say: Callable[[str], None]) -> Proof:
    name, examples = folder.name, read_examples(folder)
    say(f"proving: {name}, {len(examples)} examples")
    said = _run(tree, name, python, report)
    wrong = [
        told for number, told in enumerate(map(_told, examples, said["answers"]), start=1) if told for told in [f"example {number} {told}"]
    ]
    status = said["page"].get("output", {}).get("statusCode", said["page"].get("error"))
    if status != 200:
        wrong.append(f"GET /functions/{name} is answered {status}")
    if wrong:
        raise ServeliteError(f"The package of {name} does not do what its folder does: {'; '.join(wrong[:3])}. It was not written.")
    return Proof(name, len(examples), frozenset(said["used"]))


def _told(example: dict[str, Any], answer: dict[str, Any]) -> str:
    """Say how an answer differs from what the example has; empty where it does not."""
    if "error" in answer:
        return f"fails with {answer['error']}"
    differs = difference(example["output"], answer["output"]) if "output" in example else None
    return f"is answered differently: {differs}" if differs else ""


def _run(tree: Path, name: str, python: str, report: Path) -> dict[str, Any]:
    """Run the script in an isolated Python (-I: no environment, no working directory; -S: no site-packages) that writes no bytecode."""
    surroundings = {"LAMBDA_TASK_ROOT": str(tree), "SERVELITE_FUNCTION": name, "HOME": str(report.parent), "TMPDIR": str(report.parent)}
    command = [python, "-ISB", str(SCRIPT), str(tree), name, str(report)]
    report.unlink(missing_ok=True)
    try:
        done = subprocess.run(
            command,
            cwd=tree,
            env=surroundings,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=WITHIN_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ServiceError(
            f"The examples of {name} took longer than {WITHIN_S} s inside the package. Write fewer, or smaller ones."
        ) from error
    if done.returncode or not report.exists():
        last = done.stderr.strip()[-LAST_WORDS:]
        raise ServeliteError(f"The package of {name} does not run ({python} ended with {done.returncode}). Its last words:\n{last}")
    said: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return said
