"""Deploying runs AWS' own `sam`: the commands, and what is said where it is missing or fails."""

from pathlib import Path

import pytest

from servelite.core.errors import DefinitionError, ServiceError
from servelite.tools.packaging.deployment import Deployment, deploy, find_sam


def test_a_zip_is_deployed_and_an_image_built_before():
    (zipped,) = Deployment(Path("build"), "reviews", None, is_image=False).commands("sam")
    assert zipped[:6] == ("sam", "deploy", "--template-file", "template.yaml", "--stack-name", "reviews")
    assert "--region" not in zipped
    build, image = Deployment(Path("build"), "reviews", "eu-central-1", is_image=True).commands("sam")
    assert build == ("sam", "build", "--template-file", "template.yaml")
    assert "--resolve-image-repos" in image
    assert image[-2:] == ("--region", "eu-central-1")


def test_without_sam_the_line_that_installs_it_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DefinitionError, match="pip install aws-sam-cli"):
        find_sam()


@pytest.mark.parametrize(("code", "runs"), [(0, 2), (3, 1)], ids=["all", "until one fails"])
def test_commands_run_in_the_package_s_folder(tmp_path, code, runs):
    sam = tmp_path / "sam"
    sam.write_text(f"#!/bin/sh\necho $1 >> said\nexit {code}\n")
    sam.chmod(0o755)
    commands = [(str(sam), "build"), (str(sam), "deploy")]
    if code:
        with pytest.raises(ServiceError, match="sam build ended with 3"):
            deploy(commands, tmp_path)
    else:
        deploy(commands, tmp_path)
    assert (tmp_path / "said").read_text().split() == ["build", "deploy"][:runs]
