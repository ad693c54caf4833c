"""What a package is made for."""

import pytest

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


@pytest.mark.parametrize(("arch", "runs"), [(here().arch, True), ("another", False)])
def test_a_package_for_another_processor_can_t_be_run_here(arch, runs):
    assert Target("3.13", arch).runs_here is runs
