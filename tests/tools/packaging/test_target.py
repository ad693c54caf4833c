"""What a package is made for, and which Python runs it here."""

import sys
from pathlib import Path

import pytest

from servelite.tools.packaging.pythons import find_python
from servelite.tools.packaging.target import Target, default_target, here


def test_uv_is_told_the_system_and_pip_each_tag():
    target = Target("3.13", "arm64")
    assert target.options("uv")[:4] == ("--python-version", "3.13", "--python-platform", "aarch64-manylinux_2_34")
    pip = target.options("pip")
    assert {"manylinux_2_34_aarch64", "manylinux_2_28_aarch64", "manylinux2014_aarch64"} <= set(pip)
    assert pip.count("--platform") == sum("manylinux" in part for part in pip)
    assert target.options("uv")[-2:] == pip[-2:] == ("--only-binary", ":all:")


def test_the_default_is_what_runs_here_if_lambda_has_it():
    assert default_target().python == (here().python if here().python in ("3.12", "3.13", "3.14") else "3.13")
    assert default_target().runs_here


def test_the_running_python_is_found_first():
    assert find_python(here().python) == sys.executable


def place(home: Path, where: str, says: str) -> Path:
    python = home / where
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{says}\n")
    python.chmod(0o755)
    return python


def test_a_shim_of_a_version_that_is_not_there_is_passed_over(tmp_path, monkeypatch):
    place(tmp_path, "shims/python3.99", "echo 'command not found' >&2; exit 127")
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:/bin:/usr/bin")
    assert find_python("3.99", tmp_path) is None
    place(tmp_path, ".pyenv/versions/3.99.0/bin/python", "echo 3.98 cpython")  # not what its folder says
    uv = place(tmp_path, ".local/share/uv/python/cpython-3.99.1-linux/bin/python", "echo 3.99 cpython")
    assert find_python("3.99", tmp_path) == str(uv)


@pytest.mark.parametrize(("arch", "runs"), [(here().arch, True), ("another", False)])
def test_a_package_for_another_processor_can_t_be_run_here(arch, runs):
    assert Target("3.13", arch).runs_here is runs
