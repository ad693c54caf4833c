"""Where the functions of these tests are."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def functions() -> Path:
    """Return the folder of the functions that these tests serve."""
    return Path(__file__).parent / "functions"
