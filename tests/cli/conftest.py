"""What the tests of the commands share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server import Server

FUNCTIONS = Path(__file__).parents[1] / "functional" / "functions"


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve some functions for `servelite call --url`."""
    folders = [FUNCTIONS / name for name in ("double", "shout", "flip", "misbehave")]
    started = Server(*folders, cwd=tmp_path_factory.mktemp("served"))
    try:
        yield started.wait_ready()
    finally:
        started.kill()
