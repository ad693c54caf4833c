"""`servelite package` and `servelite deploy` print their plans before anything is done."""

from collections.abc import Callable
from pathlib import Path

import pytest

from servelite.tools.packaging.target import default_target
from tests.cli.command import servelite

FolderWriter = Callable[..., Path]

ECHO = """
    '''Says it again.'''
    from servelite import function

    @function
    def echo(text: str) -> str:
        return text
"""


@pytest.fixture
def echo(write_function: FolderWriter) -> Path:
    """Return a function that needs nothing."""
    return write_function("echo", ECHO, {"examples.jsonl": '{"input": "hello", "output": "hello"}\n'})


def test_a_dry_run_prints_the_plan_and_does_nothing(echo: Path, tmp_path: Path) -> None:
    done = servelite("package", "functions/echo", "--target", "lambda", "--arch", "arm64", "--python", "3.13", "--dry-run", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    steps = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert steps == ["package", "check", "resolve", "cut", "compile", "prove", "write"]
    assert "package: echo for AWS Lambda, Python 3.13 on arm64, into build/echo.zip" in done.stdout
    assert not (tmp_path / "build").exists()


def test_what_a_function_prints_when_it_is_loaded_is_no_part_of_the_plan(echo: Path, tmp_path: Path) -> None:
    (echo / "handler.py").write_text(f"print('loading')\n{(echo / 'handler.py').read_text()}")
    done = servelite("package", "functions/echo", "--dry-run", cwd=tmp_path)
    assert done.stdout.startswith("package: ")
    assert "loading" in done.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--python", "3.11"], "'3.11' is not one of '3.12', '3.13', '3.14'"),
        (["--image", "--start", "snapstart"], "SnapStart takes zips only. Leave out --image"),
        (["--target", "moon"], "'moon' is not"),
    ],
    ids=["an old Python", "what does not go together", "another target"],
)
def test_what_is_not_possible_is_told(echo: Path, tmp_path: Path, options: list[str], said: str) -> None:
    done = servelite("package", "functions/echo", *options, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr


def test_a_function_that_fails_its_check_is_not_packaged(echo: Path, tmp_path: Path) -> None:
    (echo / "card.toml").write_text("[acceptance]\naccuracy = 0.9\n[measured]\naccuracy = 0.5\n")
    done = servelite("package", "functions/echo", cwd=tmp_path)
    assert done.returncode == 1
    assert "(--no-check skips it). echo, card: accuracy is 0.5, below its bar of 0.9" in done.stderr
    assert not (tmp_path / "build").exists()


def test_a_deployment_prints_its_commands(echo: Path, tmp_path: Path) -> None:
    done = servelite("deploy", "functions/echo", "--stack", "again", "--region", "eu-central-1", "--dry-run", cwd=tmp_path)
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("deploy: ")]
    assert line.startswith("deploy: cd build && sam deploy --template-file template.yaml --stack-name again --resolve-s3")
    assert line.endswith("--region eu-central-1")


def test_without_sam_nothing_is_packaged(echo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    done = servelite("deploy", "functions/echo", "--yes", cwd=tmp_path)
    assert done.returncode == 2
    assert "Deploying takes AWS' sam, which is not here. Install it into an environment of its own: python -m venv .sam" in done.stderr
    assert not (tmp_path / "build").exists()


def test_a_deployment_is_asked_about(echo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sam = tmp_path / "sam"
    sam.write_text("#!/bin/sh\n")
    sam.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    done = servelite("deploy", "functions/echo", cwd=tmp_path, stdin=b"n\n")
    assert done.returncode == 1
    assert "Deploy the stack echo? [y/N]: " in done.stdout
    assert not (tmp_path / "build").exists()


def test_the_default_python_is_one_that_lambda_has(echo: Path, tmp_path: Path) -> None:
    done = servelite("package", "functions/echo", "--dry-run", cwd=tmp_path)
    assert f"Python {default_target().python} on {default_target().arch}" in done.stdout


@pytest.mark.registry
def test_a_package_is_written_with_its_template_and_accounted_for(echo: Path, tmp_path: Path) -> None:
    done = servelite("package", "functions/echo", "--queue", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith("uvloop ") and line.endswith("the local gateway's")]
    assert [line for line in lines if line.startswith("all ") and line.endswith("is left")]
    assert any(line.startswith("Proven") and line.endswith("echo (1 examples).") for line in lines)
    assert lines[-1] == "Written: build/echo.zip, build/template.yaml"
    assert sorted(file.name for file in (tmp_path / "build").iterdir()) == ["echo.zip", "template.yaml"]
    assert "CodeUri: echo.zip" in (tmp_path / "build" / "template.yaml").read_text()


@pytest.mark.registry
def test_a_deployment_packages_and_then_runs_sam_beside_the_template(echo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sam = tmp_path / "sam"
    sam.write_text('#!/bin/sh\nls > said.txt; echo "$@" >> said.txt\n')
    sam.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    done = servelite("deploy", "functions/echo", "--yes", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    there, said = (tmp_path / "build" / "said.txt").read_text().rsplit("\n", 2)[:2]
    assert {"echo.zip", "template.yaml"} <= set(there.splitlines())
    assert said.startswith("deploy --template-file template.yaml --stack-name echo --resolve-s3 --capabilities CAPABILITY_IAM")
