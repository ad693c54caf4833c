"""Where the functions of these tests are, and how a test tells what it measured."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def functions() -> Path:
    """Return the folder of the functions that these tests serve."""
    return Path(__file__).parent / "functions"


@pytest.fixture
def measured(record_property: Callable[[str, object], None]) -> Callable[[str, str, str], None]:
    """Return a teller of figures, measured("late", "+8 ms", asked="+100 ms"): in the XML report, and on stdout (`pytest -rP`)."""

    def tell(what: str, figure: str, asked: str) -> None:
        record_property(what, f"{figure} (asked: {asked})")
        sys.stdout.write(f"measured: {what}: {figure} (asked: {asked})\n")

    return tell
