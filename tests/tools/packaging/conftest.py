"""What tests of packages share: functions that need nothing but servelite, and plans of them."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from servelite.tools.packaging.plan import Plan, find_contents, make_plan
from servelite.tools.packaging.target import Target, here
from tests.conftest import FolderWriter

ECHO = '''
    """Says it again, "loudly"."""
    from servelite import function

    @function(max_batch={batch}, timeout_s={timeout_s}, memory_mib={memory_mib})
    def {name}(text{plural}: {kind}) -> {kind}:
        return text{plural}
'''

Planner = Callable[..., Plan]


@pytest.fixture
def write_echo(write_function: FolderWriter) -> Callable[..., Path]:
    """Return a writer of functions that echo, with the limits that are given."""

    def write(name: str = "echo", batch: int = 1, timeout_s: float = 2.5, memory_mib: int = 300) -> Path:
        many = batch > 1
        source = ECHO.format(
            name=name,
            batch=batch,
            timeout_s=timeout_s,
            memory_mib=memory_mib,
            kind="list[str]" if many else "str",
            plural="s" if many else "",
        )
        return write_function(name, source, {"examples.jsonl": '{"input": "hello", "output": "hello"}\n{"input": "again"}\n'})

    return write


@pytest.fixture
def make_plan_of(tmp_path: Path) -> Planner:
    """Return a maker of plans, for this very Python unless another is asked for: make_plan_of(folder, …, is_image=False)."""

    def plan(*folders: Path, target: Target | None = None, is_image: bool = False) -> Plan:
        contents = asyncio.run(find_contents(folders))
        return make_plan(contents, target or here(), tmp_path / "build", is_image=is_image, is_checked=True)

    return plan
