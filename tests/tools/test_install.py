"""A function's environment is planned, then made; or everything stays as it was."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pydantic
import pytest

import servelite
from servelite.core.errors import DefinitionError, ServiceError
from servelite.runtime.environments import Environment, interpreter
from servelite.tools.install import Plan, install, plan
from tests.wheels import write_wheel

NOBODY = 65534


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder that needs a package that is nowhere else."""
    folder = tmp_path / "tinted"
    folder.mkdir()
    (folder / "requirements.txt").write_text(write_wheel(folder, "tint", "1.0"))
    return folder


def make(todo: Plan) -> list[str]:
    """Make a plan's environment, and return what pip wrote."""
    said: list[str] = []
    install(todo, said.append)
    return said


def run(environment: Environment, source: str) -> str:
    """Run a line of Python in an environment and return what it prints."""
    return subprocess.run([environment.python, "-P", "-c", source], capture_output=True, text=True, timeout=60, check=True).stdout


def test_a_folder_without_requirements_needs_nothing(tmp_path):
    todo = plan(tmp_path)
    assert (todo.commands, todo.why) == ((), "it has no requirements.txt")


def test_a_plan_says_the_commands_and_does_nothing(folder):
    todo = plan(folder)
    assert todo.why == "there is none yet"
    make_it, fill_it = todo.commands
    assert make_it[-2:] == ("--without-pip", ".venv")
    assert fill_it[0] == str(folder / ".venv" / "bin" / "python")
    assert fill_it[-3:-1] == ("-r", "requirements.txt")
    assert not (folder / ".venv").exists()


def test_an_environment_has_its_packages_and_sees_those_of_servelite_behind(folder):
    said = make(plan(folder))
    environment = Environment(folder)
    assert any(line.startswith("Successfully installed tint-1.0") for line in said)
    assert interpreter(folder) == str(environment.python)
    assert run(environment, "import tint; print(tint.VERSION)") == "1.0\n"
    places = run(environment, "import pydantic, servelite, sys; print(sys.prefix, pydantic.__file__, servelite.__file__)").split()
    assert places == [str(environment.path), pydantic.__file__, servelite.__file__]
    assert sum(file.lstat().st_size for file in environment.path.rglob("*")) < 2**20
    assert plan(folder).commands == ()
    assert plan(folder, force=True).why == "--force asks for it"


def test_changed_requirements_are_installed_from_the_start(folder):
    make(plan(folder))
    (folder / "requirements.txt").write_text(write_wheel(folder, "dye", "2.0"))
    todo = plan(folder)
    assert todo.why == "requirements.txt has changed since it was made"
    make(todo)
    assert run(Environment(folder), "import dye, importlib.util; print(dye.VERSION, importlib.util.find_spec('tint'))") == "2.0 None\n"
    assert sorted(file.name for file in folder.glob(".venv*")) == [".venv"]


def test_a_failed_installation_leaves_no_environment_and_the_words_of_pip(folder):
    (folder / "requirements.txt").write_text("no-such-package-anywhere\n")
    with pytest.raises(ServiceError) as caught:
        make(plan(folder))
    assert caught.value.detail.startswith(f"{folder / 'requirements.txt'} could not be installed. The last lines of pip:\n  ")
    assert "No matching distribution found for no-such-package-anywhere" in caught.value.detail
    assert not list(folder.glob(".venv*"))


def test_a_failed_installation_leaves_the_environment_that_was_there(folder):
    make(plan(folder))
    requirements = (folder / "requirements.txt").read_text()
    (folder / "requirements.txt").write_text("no-such-package-anywhere\n")
    with pytest.raises(ServiceError):
        make(plan(folder))
    (folder / "requirements.txt").write_text(requirements)
    assert plan(folder).commands == ()
    assert run(Environment(folder), "import tint; print(tint.VERSION)") == "1.0\n"
    assert sorted(file.name for file in folder.glob(".venv*")) == [".venv"]


@pytest.mark.parametrize(("name", "needs"), [("pydantic", ""), ("tint", "pydantic==1.0")], ids=["itself", "by what it needs"])
def test_what_servelite_can_t_run_with_is_refused_with_both(folder, name, needs):
    wheel = write_wheel(folder, name, "1.0", needs)
    (folder / "requirements.txt").write_text(wheel)
    with pytest.raises(DefinitionError) as caught:
        make(plan(folder))
    assert f"{folder / 'requirements.txt'} can't be installed beside servelite: " in caught.value.detail
    assert "depends on pydantic>=2" in caught.value.detail
    assert f"{name} 1.0" in caught.value.detail
    assert not list(folder.glob(".venv*"))


def test_a_package_that_servelite_has_already_is_not_installed_twice(folder):
    (folder / "requirements.txt").write_text("pydantic\nnumpy\n")
    assert not [line for line in make(plan(folder)) if "Successfully installed" in line]


@pytest.mark.parametrize("changed", [False, True], ids=["the same file", "another file"])
def test_hashes_are_checked(folder, *, changed):
    line = (folder / "requirements.txt").read_text().strip()
    digest = hashlib.sha256((folder / line).read_bytes()).hexdigest()
    (folder / "requirements.txt").write_text(f"{line} --hash=sha256:{digest}\n")
    if changed:
        (folder / line).write_bytes(b"")
    with pytest.raises(ServiceError, match="DO NOT MATCH") if changed else nullcontext():
        make(plan(folder))
    assert (folder / ".venv").exists() is not changed


def test_somebody_elses_environment_is_left_alone(folder):
    (folder / ".venv").mkdir()
    with pytest.raises(DefinitionError, match=r"was not made by servelite, so it is left alone\. Rename or remove it, then run: servelite"):
        plan(folder)


def test_the_environment_of_servelite_itself_is_left_alone(folder):
    (folder / ".venv").symlink_to(sys.prefix)
    with pytest.raises(DefinitionError, match=r"where servelite itself is installed.* -m pip install -r "):
        plan(folder)


@contextmanager
def powerless(folder: Path) -> Iterator[None]:
    """Be one who may not write to a folder; root may always."""
    folder.chmod(0o555)
    user = os.geteuid()
    if not user:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


def test_a_folder_that_can_t_be_written_is_told(folder, monkeypatch):
    folder.parent.chmod(0o755)
    monkeypatch.chdir(folder.parent)  # the folders above may be closed to nobody
    todo = plan(Path(folder.name))
    with powerless(folder), pytest.raises(ServiceError, match=r"\.venv can't be made: Permission denied\. .* must be writable"):
        make(todo)
    assert not list(folder.glob(".venv*"))
