"""Which Python runs a function's handler."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from servelite.core.errors import DefinitionError
from servelite.runtime.environments import CHANGES, Environment, check_here, interpreter, runs_elsewhere


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a requirements.txt."""
    folder = tmp_path / "tinted"
    folder.mkdir()
    (folder / "requirements.txt").write_text("tint==1.0\n")
    return folder


@pytest.fixture
def environment(folder: Path) -> Environment:
    """Return an environment with all that a look at it from outside can see."""
    environment = Environment(folder)
    environment.python.parent.mkdir(parents=True)
    environment.python.symlink_to(sys.executable)
    (environment.path / "pyvenv.cfg").touch()
    environment.write_stamp(environment.expected())
    return environment


def test_a_function_without_an_environment_runs_in_the_one_of_servelite(folder):
    assert interpreter(folder) == sys.executable
    assert not runs_elsewhere(folder)
    check_here(folder)


def test_a_function_with_an_environment_runs_in_it(environment):
    assert interpreter(environment.folder) == str(environment.folder / ".venv" / "bin" / "python")
    assert runs_elsewhere(environment.folder)


def test_its_python_is_named_in_full_where_the_folder_is_not(environment, monkeypatch):
    monkeypatch.chdir(environment.folder.parent)
    assert interpreter(Path("tinted")) == str(environment.python)


def test_an_environment_that_is_not_servelites_does_not_count(environment):
    (environment.path / "servelite.json").unlink()
    assert interpreter(environment.folder) == sys.executable


def test_an_environment_without_requirements_does_not_count(environment):
    environment.requirements.unlink()
    assert interpreter(environment.folder) == sys.executable


@pytest.mark.parametrize("content", ["{}", "", '{"requ', "[1]"], ids=["empty", "no JSON", "a part of it", "something else"])
def test_an_environment_that_is_being_made_is_refused(environment, content):
    (environment.path / "servelite.json").write_text(content)
    with pytest.raises(DefinitionError, match="its installation did not end"):
        interpreter(environment.folder)


def test_an_environment_of_other_requirements_is_refused_with_the_command(environment):
    environment.requirements.write_text("tint==2.0\n")
    with pytest.raises(DefinitionError) as caught:
        interpreter(environment.folder)
    assert caught.value.detail == (
        f"{environment.path} can't be used: requirements.txt has changed since it was made. "
        f"Make it anew with: servelite install {environment.folder}"
    )


@pytest.mark.parametrize("key", CHANGES)
def test_an_environment_that_was_made_of_something_else_is_refused(environment, key):
    stamp = json.loads((environment.path / "servelite.json").read_text())
    environment.write_stamp({**stamp, key: "something else"})
    with pytest.raises(DefinitionError, match=CHANGES[key]):
        interpreter(environment.folder)


def _lose_python(environment: Environment) -> None:
    environment.python.unlink()
    environment.python.symlink_to("/nowhere/python")


def _lose_configuration(environment: Environment) -> None:
    (environment.path / "pyvenv.cfg").unlink()


@pytest.mark.parametrize("damage", [_lose_python, _lose_configuration], ids=["its Python", "its configuration"])
def test_an_environment_that_lost_a_part_is_refused(environment, damage: Callable[[Environment], None]):
    damage(environment)
    with pytest.raises(DefinitionError, match="its Python is gone"):
        interpreter(environment.folder)


def test_a_function_that_runs_elsewhere_is_not_run_here(environment):
    with pytest.raises(DefinitionError) as caught:
        check_here(environment.folder)
    assert f"{environment.python} -m pytest {environment.folder}" in caught.value.detail
