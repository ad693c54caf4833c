"""`servelite install`, and the commands that run a function in its own environment."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.command import RUN_WITHIN_S, servelite
from tests.server import until
from tests.wheels import write_slow_package, write_wheel

FolderWriter = Callable[..., Path]

TINTED = """
    '''Which tint is this?'''
    import sys
    import tint
    from servelite import function

    print("loading")

    @function
    def tinted(text: str) -> str:
        return f"{text} {tint.VERSION} {sys.prefix}"
"""

ECHO = "from servelite import function\n\n@function\ndef echo(text: str) -> str:\n    return text\n"


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")


@pytest.fixture
def tinted(write_function: FolderWriter) -> Path:
    """Return a function that needs a package."""
    folder = write_function("tinted", TINTED)
    (folder / "requirements.txt").write_text(write_wheel(folder, "tint", "1.0"))
    return folder


def test_a_function_is_called_listed_and_shown_in_its_environment(tinted: Path, tmp_path: Path) -> None:
    done = servelite("install", "functions/tinted", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "functions/tinted: make functions/tinted/.venv, because there is none yet.",
        "functions/tinted: installed.",
    ]
    assert "nothing to do" in servelite("install", "functions/tinted", cwd=tmp_path).stdout
    called = servelite("call", "functions/tinted", "-", cwd=tmp_path, stdin=b"hello")
    assert (called.returncode, called.stdout) == (0, f"hello 1.0 {tinted / '.venv'}\n")
    assert "receipt: " in called.stderr
    assert [one["name"] for one in json.loads(servelite("list", "functions", "--json", cwd=tmp_path).stdout)] == ["tinted"]
    shown = json.loads(servelite("show", "functions/tinted", "--json", cwd=tmp_path).stdout)
    assert (shown["summary"], [one["name"] for one in shown["artefacts"]]) == ("Which tint is this?", ["tint-1.0-py3-none-any.whl"])


def test_an_environment_that_can_t_be_entered_is_not_tried_for_ever(tinted: Path, tmp_path: Path) -> None:
    servelite("install", tinted, cwd=tmp_path)
    python = tinted / ".venv" / "bin" / "python"
    python.unlink()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    done = servelite("call", tinted, "hello", cwd=tmp_path)
    assert done.returncode == 2
    assert "has an environment of its own" in done.stderr


@pytest.mark.parametrize("command", ["run", "call", "list", "show"])
def test_requirements_that_changed_are_told_with_the_command(tinted: Path, tmp_path: Path, command: str) -> None:
    (tinted / ".venv").mkdir()
    (tinted / ".venv" / "servelite.json").write_text('{"requirements": "other ones"}')
    done = servelite(command, tinted, cwd=tmp_path)
    assert done.returncode == 2
    assert "requirements.txt has changed since it was made. " in done.stderr
    assert f"servelite install {tinted}\n" in done.stderr


def test_a_package_that_is_not_installed_is_told_with_the_command(tinted: Path, tmp_path: Path) -> None:
    done = servelite("call", tinted, "hello", cwd=tmp_path)
    assert done.returncode == 2
    assert f"handler.py:4: there is no module 'tint' here. Install what {tinted / 'requirements.txt'} names: " in done.stderr
    assert f": servelite install {tinted}\n" in done.stderr


def test_a_package_that_the_requirements_lack_is_told_with_the_file(tinted: Path, tmp_path: Path) -> None:
    servelite("install", tinted, cwd=tmp_path)
    (tinted / "handler.py").write_text("import dye\n")
    done = servelite("call", tinted, "hello", cwd=tmp_path)
    assert done.returncode == 2
    assert f"a package goes into {tinted / 'requirements.txt'}, then run: servelite install {tinted}" in done.stderr


def test_a_dry_run_prints_the_commands_and_does_nothing(tinted: Path, write_function: FolderWriter, tmp_path: Path) -> None:
    write_function("plain", ECHO)
    done = servelite("install", "functions", "--dry-run", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    plain, make, *commands = done.stdout.splitlines()
    assert plain == "functions/plain: nothing to do, because it has no requirements.txt."
    assert make == "functions/tinted: make functions/tinted/.venv, because there is none yet."
    assert [command.split()[0] for command in commands][:1] == ["cd"]
    assert " -m venv " in commands[1]
    assert " -m pip install " in commands[2]
    assert not (tinted / ".venv").exists()


def test_the_commands_of_a_dry_run_can_be_run(tinted: Path, tmp_path: Path) -> None:
    printed = servelite("install", tinted, "--dry-run", cwd=tmp_path).stdout
    made, _, _ = printed.partition(" -m pip ")[0].rpartition("\n")
    script = "\n".join(made.splitlines()[1:])
    subprocess.run(["/bin/sh", "-e", "-c", script], cwd=tmp_path, timeout=RUN_WITHIN_S, check=True)
    assert (tinted / ".venv" / "bin" / "python").exists()


def test_nothing_is_installed_where_one_of_several_is_refused(tinted: Path, write_function: FolderWriter, tmp_path: Path) -> None:
    other = write_function("zebra", ECHO, {"requirements.txt": "tint\n"})
    (other / ".venv").mkdir()
    done = servelite("install", "functions", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "functions/zebra/.venv was not made by servelite" in done.stderr
    assert not (tinted / ".venv").exists()


def test_a_package_that_can_t_be_found_fails_with_the_words_of_pip(tinted: Path, tmp_path: Path) -> None:
    (tinted / "requirements.txt").write_text("no-such-package-anywhere\n")
    done = servelite("install", tinted, cwd=tmp_path)
    assert done.returncode == 1
    assert "No matching distribution found for no-such-package-anywhere" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_installation_that_was_killed_is_never_taken_for_one_that_fits(tinted: Path, tmp_path: Path) -> None:
    requirements = (tinted / "requirements.txt").read_text()
    (tinted / "requirements.txt").write_text(write_slow_package(tinted))
    command = [sys.executable, "-m", "servelite", "install", str(tinted)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        until((tinted / "slow" / "building").exists)
        process.kill()
    unfinished = servelite("call", tinted, "hello", cwd=tmp_path)
    second = servelite("install", tinted, cwd=tmp_path)
    (tinted / "slow" / "gate").write_text("enough")
    assert (unfinished.returncode, "its installation did not end" in unfinished.stderr) == (2, True)
    assert (second.returncode, "Another servelite install is at work" in second.stderr) == (2, True)  # pip outlived the first
    (tinted / "requirements.txt").write_text(requirements)
    until(lambda: servelite("install", tinted, cwd=tmp_path).returncode == 0)
    assert servelite("call", tinted, "hello", cwd=tmp_path).stdout.startswith("hello 1.0 ")
