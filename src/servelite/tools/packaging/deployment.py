"""Deploying a package: the commands of AWS' own `sam`, planned before they are run."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from servelite.core.errors import DefinitionError, ServiceError
from servelite.tools.packaging.plan import Plan

Command = tuple[str, ...]

CURE = "Install it into an environment of its own: python -m venv .sam && .sam/bin/pip install aws-sam-cli, and put .sam/bin on the PATH."


@dataclass(frozen=True, slots=True)
class Deployment:
    """What is deployed: the package's folder, the stack's name, and where."""

    folder: Path
    stack: str
    region: str | None
    is_image: bool

    def commands(self, sam: str) -> list[Command]:
        """Return what is run, in the package's folder."""
        where = ("--region", self.region) if self.region else ()
        store = ("--resolve-image-repos", "--resolve-s3") if self.is_image else ("--resolve-s3",)
        built = ".aws-sam/build/template.yaml" if self.is_image else "template.yaml"
        build = [(sam, "build", "--template-file", "template.yaml")] if self.is_image else []
        options = ("--template-file", built, "--stack-name", self.stack, *store, "--capabilities", "CAPABILITY_IAM")
        return [*build, (sam, "deploy", *options, "--no-confirm-changeset", "--no-fail-on-empty-changeset", *where)]


def plan_deployment(plan: Plan, stack: str, region: str | None) -> Deployment:
    """Plan the deployment of a package."""
    return Deployment(plan.out, stack, region, plan.is_image)


def find_sam() -> str:
    """Return the `sam` command.

    Raises:
        DefinitionError: there is none.
    """
    found = shutil.which("sam", path=str(Path(sys.executable).parent)) or shutil.which("sam")
    if found is None:
        raise DefinitionError(f"Deploying takes AWS' sam, which is not here. {CURE}")
    return found


def deploy(commands: Sequence[Command], folder: Path) -> None:
    """Run the commands of a deployment; what they write goes through.

    Raises:
        ServiceError: one of them failed.
    """
    for command in commands:
        if code := subprocess.run(command, cwd=folder, check=False).returncode:
            raise ServiceError(f"sam {command[1]} ended with {code}. What it wrote above says why.")
