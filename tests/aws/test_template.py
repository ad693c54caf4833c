"""Templates pass AWS' own tools: cfn-lint in every choice, `sam validate --lint`, and `sam build`."""

import asyncio
import itertools
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest

from servelite.tools.packaging.plan import Contents, Plan, find_contents, make_plan
from servelite.tools.packaging.target import Target
from servelite.tools.packaging.template import Choices, template_text
from tests.aws.parts import cfn_lint, sam

pytestmark = pytest.mark.aws

ROOT = Path(__file__).parents[2]
EVERY = list(itertools.product(("url", "api", "none"), (False, True), (False, True), ("plain", "snapstart", "provisioned")))


@pytest.fixture(scope="module")
def contents() -> Contents:
    """Return what a package of functions/sentiment holds."""
    return asyncio.run(find_contents([ROOT / "functions" / "sentiment"]))


def plan(contents: Contents, out: Path, *, is_image: bool = False) -> Plan:
    return make_plan(contents, Target("3.13", "arm64"), out, is_image=is_image, is_checked=False)


def run(*command: Any, cwd: Path) -> str:
    """Run a tool, and return what it wrote; it must end well."""
    surroundings = {**os.environ, "SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": "eu-central-1", "HOME": str(cwd)}
    done = subprocess.run(list(map(str, command)), cwd=cwd, env=surroundings, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_every_template_passes_cfn_lint(contents, tmp_path):
    for is_image, chosen in itertools.product((False, True), EVERY):
        name = f"{'image' if is_image else 'zip'}-{chosen[0]}-{chosen[1]:d}{chosen[2]:d}-{chosen[3]}.yaml"
        (tmp_path / name).write_text(template_text(plan(contents, tmp_path, is_image=is_image), Choices(*chosen)))
    run(cfn_lint(), *sorted(tmp_path.glob("*.yaml")), cwd=tmp_path)


def test_a_template_with_a_wrong_property_does_not_pass(contents, tmp_path):
    (tmp_path / "t.yaml").write_text(template_text(plan(contents, tmp_path), Choices()).replace("MemorySize:", "MemorySizes:"))
    with pytest.raises(AssertionError, match="MemorySizes"):
        run(cfn_lint(), "t.yaml", cwd=tmp_path)


@pytest.mark.parametrize(
    "choices",
    [Choices(), Choices("api", queue=True, ledger=True, start="provisioned"), Choices("url", queue=True, ledger=True, start="snapstart")],
    ids=["the default", "an API with all", "a URL with all"],
)
def test_sam_takes_a_template_for_valid_and_builds_it(contents, tmp_path, choices):
    (tmp_path / "template.yaml").write_text(template_text(plan(contents, tmp_path), choices))
    with zipfile.ZipFile(tmp_path / "sentiment.zip", "w") as package:
        package.writestr("handler.py", "")
    assert "is a valid SAM Template" in run(sam(), "validate", "--lint", "--template-file", "template.yaml", cwd=tmp_path)
    assert "Build Succeeded" in run(sam(), "build", "--template-file", "template.yaml", cwd=tmp_path)


def test_the_committed_example_passes_too(tmp_path):
    assert "is a valid SAM Template" in run(sam(), "validate", "--lint", "--template-file", ROOT / "deploy" / "template.yaml", cwd=tmp_path)
