"""What importing a function leaves in this process goes with the test."""

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _import_state() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        if getattr(sys.modules[name], "__file__", None) is None or "site-packages" not in str(sys.modules[name].__file__):
            del sys.modules[name]
