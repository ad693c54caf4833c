"""Wheels are resolved for a target, each step held to what was resolved before; by uv and by pip."""

import importlib.metadata
from pathlib import Path

import pytest

from servelite.core.errors import ServiceError
from servelite.tools.packaging.target import Target, here
from servelite.tools.packaging.wheels import Step, find_installer, installed_versions, plan_steps, resolve
from tests.wheels import write_wheel

TARGET = Target("3.13", "arm64")


@pytest.fixture(autouse=True)
def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_NO_INDEX", "UV_NO_INDEX", "UV_OFFLINE"):
        monkeypatch.setenv(name, "1")


def function(tmp_path: Path, name: str, *wheels: tuple[str, ...]) -> Step:
    """Write a function that requires wheels beside it, and return its step."""
    folder = tmp_path / name
    folder.mkdir()
    (folder / "requirements.txt").write_text("".join(write_wheel(folder, *wheel) for wheel in wheels))
    return Step(name, folder, ("-r", "requirements.txt"))


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_what_functions_require_is_put_into_one_tree(tmp_path, installer):
    steps = [function(tmp_path, "tinted", ("tint", "1.0")), function(tmp_path, "dyed", ("dye", "2.0"), ("tint", "1.0"))]
    said: list[str] = []
    tree = resolve(steps, installer, TARGET, tmp_path / "work", said.append)
    assert sorted(file.name for file in tree.iterdir() if file.suffix) == ["dye-2.0.dist-info", "dye.py", "tint-1.0.dist-info", "tint.py"]
    assert said == ["resolving: tinted for Python 3.13 on arm64", "resolving: dyed for Python 3.13 on arm64"]


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_functions_that_can_t_be_together_are_told_in_the_installers_words(tmp_path, installer):
    steps = [function(tmp_path, "tinted", ("tint", "1.0")), function(tmp_path, "dyed", ("tint", "2.0"))]
    with pytest.raises(ServiceError) as caught:
        resolve(steps, installer, TARGET, tmp_path / "work", lambda _: None)
    said = caught.value.detail
    assert said.startswith(f"{steps[1].folder / 'requirements.txt'} could not be resolved for Python 3.13 on arm64. The last lines")
    assert "tint" in said


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_the_versions_are_those_that_run_here(tmp_path, installer):
    """`anyio` is installed here in another version than the wheel, which can't be taken then."""
    with pytest.raises(ServiceError, match="anyio"):
        resolve([function(tmp_path, "old", ("anyio", "0.1"))], installer, TARGET, tmp_path / "work", lambda _: None)


def test_a_function_s_own_environment_comes_first(tmp_path):
    step = function(tmp_path, "tinted", ("tint", "1.0"))
    info = step.folder / ".venv" / "lib" / "python3.11" / "site-packages" / "pydantic-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: pydantic\nVersion: 1.0\n")
    pins = installed_versions([step])
    assert pins["pydantic"] == "1.0"
    assert pins["starlette"] == importlib.metadata.version("starlette")
    assert "servelite" not in pins


@pytest.mark.parametrize(
    ("source", "brought"),
    [
        ("model = load_onnx('model.onnx')", {"numpy", "onnxruntime"}),
        ("import numpy as np", {"numpy"}),
        ("from servelite import function", set()),
    ],
    ids=["a model", "numpy alone", "neither"],
)
def test_only_what_functions_use_is_asked_for(source, brought):
    (first,) = plan_steps([], source, for_image=False)
    names = {one.partition(">")[0] for one in first.wanted}
    assert names == {"mangum", "pydantic", "starlette"} | brought


def test_an_image_brings_what_lambda_s_own_python_has(tmp_path):
    (first, own) = plan_steps([function(tmp_path, "tinted").folder], "", for_image=True)
    assert {"awslambdaric", "boto3"} < {one.partition(">")[0] for one in first.wanted}
    assert (own.name, own.wanted) == ("tinted", ("-r", "requirements.txt"))


def test_uv_is_taken_where_it_is_installed():
    assert find_installer() == "uv"  # the development environment has it


def test_a_command_says_all_that_it_depends_on(tmp_path):
    step = Step("tinted", tmp_path, ("-r", "requirements.txt"))
    command = step.command("pip", here(), tmp_path / "work" / "tinted")
    assert command[command.index("--target") + 1] == str(tmp_path / "work" / "tinted")
    assert command[command.index("-c") + 1] == str(tmp_path / "work" / "pins.txt")
