"""`servelite new`: the folder it makes works at once, and its test passes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import RUN_WITHIN_S, servelite
from tests.server import Server


@pytest.mark.parametrize("name", ["hello", "functions/hello-world", "class", "Greet_2"])
def test_a_new_function_can_be_called(tmp_path: Path, name: str) -> None:
    made = servelite("new", name, cwd=tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    assert f"servelite run {name}" in made.stdout
    done = servelite("call", name, '{"name": "Ada"}', cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, '{"text":"Hello Ada!"}\n')


def test_a_new_function_can_be_served(tmp_path: Path, start_server: Callable[..., Server]) -> None:
    servelite("new", "hello", cwd=tmp_path)
    server = start_server("hello")
    assert server.call("hello", {"name": "Grace"}).json() == {"text": "Hello Grace!"}
    assert len(server.get("/functions/hello").json()["examples"]) == 2


def test_the_test_of_a_new_function_passes(tmp_path: Path) -> None:
    servelite("new", "hello-world", cwd=tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "hello-world"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=RUN_WITHIN_S, check=False)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout


def test_the_test_of_a_new_function_can_fail(tmp_path: Path) -> None:
    servelite("new", "hello", cwd=tmp_path)
    handler = tmp_path / "hello" / "handler.py"
    handler.write_text(handler.read_text().replace("Hello", "Goodbye"))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "hello"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=RUN_WITHIN_S, check=False)
    assert done.returncode == 1, done.stdout
    assert "1 failed, 1 passed" in done.stdout


@pytest.mark.parametrize("name", ["9lives", "ü", "a b", "x" * 65, "-dash"])
def test_an_impossible_name_is_refused(tmp_path: Path, name: str) -> None:
    done = servelite("new", "--", name, cwd=tmp_path)
    assert done.returncode == 2
    assert "can't name a function" in done.stderr
    assert not list(tmp_path.iterdir())


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    servelite("new", "hello", cwd=tmp_path)
    (tmp_path / "hello" / "handler.py").write_text("mine")
    done = servelite("new", "hello", cwd=tmp_path)
    assert done.returncode == 2
    assert "hello exists already" in done.stderr
    assert (tmp_path / "hello" / "handler.py").read_text() == "mine"
