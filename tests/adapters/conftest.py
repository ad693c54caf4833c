"""One server for all tests of the doors: they ask, and change nothing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import Server

ROOT = Path(__file__).parents[2]
FUNCTIONS = ROOT / "tests" / "functional" / "functions"


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve the test's functions and the sentiment model."""
    started = Server(FUNCTIONS, ROOT / "functions" / "sentiment", cwd=tmp_path_factory.mktemp("doors"))
    try:
        yield started.wait_ready()
    finally:
        started.kill()
