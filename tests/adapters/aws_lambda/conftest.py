"""A process on AWS Lambda that ends with the test."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.adapters.aws_lambda.lambdas import FLIP, SHOUT, TOTAL, Lambda
from tests.conftest import FolderWriter

Starter = Callable[..., Lambda]


@pytest.fixture
def start(write_function: FolderWriter) -> Iterator[Starter]:
    """Return a starter: start({"name": handler source, …}, function="name", …)."""
    started: list[Lambda] = []

    def begin(sources: dict[str, str], files: dict[str, dict[str, str]] | None = None, **surroundings: Any) -> Lambda:
        folders = [write_function(name, source, (files or {}).get(name)) for name, source in sources.items()]
        started.append(Lambda(folders[0].parent, **surroundings))
        return started[-1]

    yield begin
    for one in started:
        one.environment.close()


@pytest.fixture
def total(start: Starter) -> Lambda:
    """Return a function that adds up numbers."""
    return start({"total": TOTAL})


@pytest.fixture
def shout(start: Starter) -> Lambda:
    """Return a function that takes and gives text."""
    return start({"shout": SHOUT})


@pytest.fixture
def flip(start: Starter) -> Lambda:
    """Return a function that takes and gives bytes."""
    return start({"flip": FLIP})
