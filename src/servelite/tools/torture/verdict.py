"""What a trial is, and what came of it: the promise, what was expected, what was seen, and whether that is as promised."""

from dataclasses import dataclass
from typing import Literal

Result = Literal["pass", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a trial saw, and its one figure."""

    result: Result
    seen: str
    figure: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A finding beside the promise it is held against: a row of the table."""

    trial: str
    promise: str
    expected: str
    seen: str
    result: Result
    figure: str


def finding(figure: str, *sights: tuple[str, bool]) -> Finding:
    """Make a finding of single sights, each with whether it is as promised; those that are not are marked."""
    seen = ", ".join(text if is_right else f"✗ {text}" for text, is_right in sights)
    return Finding("pass" if all(is_right for _, is_right in sights) else "fail", seen, figure)


def failed(why: str) -> Finding:
    """Make the finding of a trial that could not go on."""
    return Finding("fail", f"✗ {why}")


def skipped(why: str) -> Finding:
    """Make the finding of a trial that does not fit this function or server."""
    return Finding("skip", why)
