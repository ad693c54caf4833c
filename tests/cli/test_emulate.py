"""`servelite emulate`: what is told before anything is started; `tests/aws` has what it does."""

from pathlib import Path

import pytest

from tests.cli.command import servelite_here as servelite
from tests.conftest import FolderWriter

ECHO = "from servelite import function\n@function\ndef echo(text: str) -> str:\n    return text"


@pytest.fixture
def sam(tmp_path: Path) -> Path:
    """Return a `sam` command with an emulator beside it that does nothing."""
    rapid = tmp_path / "lib" / "python3.12" / "site-packages" / "samcli" / "local" / "rapid"
    rapid.mkdir(parents=True)
    for machine in ("x86_64", "arm64"):
        (rapid / f"aws-lambda-rie-{machine}").write_text("#!/bin/sh\necho it is broken\n", encoding="utf-8")
        (rapid / f"aws-lambda-rie-{machine}").chmod(0o755)
    return tmp_path / "bin" / "sam"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "has no examples.jsonl to take an input from. Name an event"),
        (["nothing.json"], "nothing.json can't be read: No such file or directory. EVENT.json is a file that holds an event."),
        (["broken.json"], "broken.json is not JSON"),
        (["event.json", "--env", "X"], "--env X is no variable. Write NAME=VALUE."),
        (["event.json", "--env", "=1"], "--env =1 is no variable. Write NAME=VALUE."),
    ],
)
def test_what_can_t_be_meant_is_told(tmp_path: Path, write_function: FolderWriter, sam: Path, arguments: list[str], told: str) -> None:
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "event.json").write_text("1", encoding="utf-8")
    done = servelite("emulate", str(write_function("echo", ECHO)), "--sam", str(sam), *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert told in done.stderr


def test_an_example_that_is_none_is_told(tmp_path: Path, write_function: FolderWriter, sam: Path) -> None:
    folder = write_function("echo", ECHO, {"examples.jsonl": "[]"})
    done = servelite("emulate", str(folder), "--sam", str(sam), cwd=tmp_path)
    assert (done.returncode, "examples.jsonl:1: a line of it is" in done.stderr) == (2, True)


def test_an_emulator_that_does_not_start_is_told(tmp_path: Path, write_function: FolderWriter, sam: Path) -> None:
    (tmp_path / "event.json").write_text("1", encoding="utf-8")
    done = servelite("emulate", str(write_function("echo", ECHO)), "event.json", "--sam", str(sam), cwd=tmp_path)
    assert (done.returncode, "The emulator does not start: it is broken" in done.stderr) == (1, True)
