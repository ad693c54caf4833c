"""Making a package: the whole way, with wheels from the registry, or nothing at all."""

import asyncio
import json
import sys
import zipfile
from pathlib import Path

import pytest

from servelite.core.errors import ServeliteError, ServiceError
from servelite.tools.packaging.making import check_functions, make, place_own, roots
from servelite.tools.packaging.plan import Plan, find_contents, make_plan
from servelite.tools.packaging.pruning import files_of, prune
from servelite.tools.packaging.target import Target, here
from servelite.tools.packaging.wheels import resolve
from tests.wheels import write_wheel

FUNCTIONS = Path(__file__).parents[3] / "functions"
SENTIMENT = FUNCTIONS / "sentiment"
OTHER = next(arch for arch in ("arm64", "x86_64") if arch != here().arch)


def silent(_line: str) -> None:
    """Say nothing."""


def plan_here(out: Path, *folders: Path, target: Target | None = None, is_image: bool = False) -> Plan:
    """Plan a package that this very Python can run."""
    return make_plan(asyncio.run(find_contents(folders)), target or here(), out, is_image=is_image, is_checked=False)


def test_servelite_comes_as_it_is_installed_without_its_command_line(tmp_path, write_echo):
    tree = tmp_path / "tree"
    place_own(tree, {"echo": write_echo()})
    prune(tree, [])
    files = set(files_of(tree))
    assert {"servelite/__init__.py", "servelite/worker/runner.py", "functions/echo/handler.py"} <= files
    assert not [file for file in files if file.startswith(("servelite/cli", "servelite/tools")) or "__pycache__" in file]


def test_a_wheel_beside_a_function_is_asked_for_though_no_name_is(tmp_path, write_echo, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    folder = write_echo()
    (folder / "requirements.txt").write_text(write_wheel(folder, "tint", "1.0", "dye") + write_wheel(folder, "dye", "1.0"))
    plan = plan_here(tmp_path / "build", folder)
    steps = [step for step in plan.steps if step.name == "echo"]
    tree = resolve(steps, plan.installer, here(), tmp_path / "work", silent)
    assert {need.name for need in roots(tree, steps)} == {"tint"}


def test_a_failed_check_is_told_by_name(tmp_path, write_echo):
    folder = write_echo()
    check_functions({"echo": folder}, silent)
    (folder / "examples.jsonl").write_text('{"input": "hello", "output": "bye"}\n')
    with pytest.raises(ServeliteError, match=r"\(--no-check skips it\)\. echo, examples: Input 1: the output is"):
        check_functions({"echo": folder}, silent)


def test_what_can_t_be_resolved_leaves_nothing_behind(tmp_path, write_echo, monkeypatch):
    for name in ("PIP_NO_INDEX", "UV_NO_INDEX", "UV_OFFLINE"):
        monkeypatch.setenv(name, "1")
    (folder := write_echo()).joinpath("requirements.txt").write_text("no-such-package-anywhere\n")
    with pytest.raises(ServiceError, match="could not be resolved"):
        make(plan_here(tmp_path / "build", folder), silent)
    assert list((tmp_path / "build").iterdir()) == []


@pytest.mark.registry
def test_two_runs_make_the_same_bytes_and_prove_them(tmp_path, write_echo):
    (tmp_path / "again").mkdir()
    folder = write_echo()
    one, other = plan_here(tmp_path / "one", folder), plan_here(tmp_path / "again" / "other", folder)
    made = make(one, silent)
    make(other, silent)
    assert one.product.read_bytes() == other.product.read_bytes()
    assert [(proof.name, proof.examples) for proof in made.proofs] == [("echo", 2)]
    assert made.account.after < 25 * 2**20  # neither onnxruntime nor numpy
    with zipfile.ZipFile(one.product) as package:
        names = set(package.namelist())
        assert sum(entry.file_size for entry in package.infolist()) == made.account.after
    assert "functions/echo/handler.py" in names
    assert f"servelite/__pycache__/__init__.{sys.implementation.cache_tag}.pyc" in names
    assert sorted(file.name for file in one.out.iterdir()) == ["echo.zip"]


@pytest.mark.registry
@pytest.mark.parametrize("arch", [here().arch, OTHER], ids=["this processor", "another one"])
def test_a_model_is_packaged_and_proven_and_more_than_two_fifths_are_cut(tmp_path, arch):
    plan = plan_here(tmp_path / "build", SENTIMENT, target=Target("3.13", arch))
    made = make(plan, silent)
    assert made.account.after <= 0.6 * made.account.before
    assert (plan.proving.arch, made.proofs[0].name) == (here().arch, "sentiment")
    machine = {"x86_64": "x86_64", "arm64": "aarch64"}[arch]
    with zipfile.ZipFile(plan.product) as package:
        libraries = [name for name in package.namelist() if name.endswith(".so")]
        assert libraries
        assert all(f"313-{machine}" in name or "abi3" in name or "313" not in name for name in libraries)
        assert not [name for name in package.namelist() if "libonnxruntime.so" in name or name.startswith("functions/sentiment/train")]


@pytest.mark.registry
def test_a_pipeline_comes_with_its_stages_and_each_is_proven(tmp_path):
    plan = plan_here(tmp_path / "build", FUNCTIONS / "triage")
    made = make(plan, silent)
    assert {proof.name for proof in made.proofs} == {"langid", "sentiment", "spam", "triage"}
    assert all(proof.examples >= 4 for proof in made.proofs)
    with zipfile.ZipFile(plan.product) as package:
        assert {"functions/triage/handler.py", "functions/spam/model.onnx"} <= set(package.namelist())


@pytest.mark.registry
def test_a_package_that_answers_differently_is_not_written(tmp_path, write_echo):
    folder = write_echo()
    (folder / "handler.py").write_text((folder / "handler.py").read_text().replace("return text", "return text + __file__"))
    with pytest.raises(ServeliteError, match="example 1 is answered differently"):
        make(plan_here(tmp_path / "build", folder), silent)
    assert list((tmp_path / "build").iterdir()) == []


@pytest.mark.registry
def test_an_image_brings_lambda_s_runtime_client(tmp_path, write_echo):
    plan = plan_here(tmp_path / "build", write_echo(), is_image=True)
    make(plan, silent)
    root = plan.product / "root"
    assert (plan.product / "Dockerfile").is_file()
    assert all((root / name).is_dir() for name in ("awslambdaric", "boto3", "servelite", "functions/echo"))
    assert json.loads((root / "functions" / "echo" / "examples.jsonl").read_text().splitlines()[0])["input"] == "hello"
