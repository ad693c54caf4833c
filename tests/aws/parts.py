"""AWS' own parts as far as they run here: where `make aws-tools` put them, or why a test goes without."""

import os
import platform
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "build" / "aws"


def sam() -> Path:
    """Return the `sam` command."""
    return _present(TOOLS / "sam" / "bin" / "sam")


def cfn_lint() -> Path:
    """Return the `cfn-lint` command."""
    return _present(TOOLS / "sam" / "bin" / "cfn-lint")


def emulator() -> Path:
    """Return the Runtime Interface Emulator, which comes with sam."""
    machine = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
    found = sorted((TOOLS / "sam").glob(f"lib/python*/site-packages/samcli/local/rapid/aws-lambda-rie-{machine}"))
    return _present(found[0] if found else TOOLS / "sam" / f"aws-lambda-rie-{machine}")


def ministack() -> Path:
    """Return the `ministack` command, a local stand-in for AWS."""
    return _present(TOOLS / "ministack" / "bin" / "ministack")


def _present(part: Path) -> Path:
    """Skip the test where a part is missing; in CI, which has it installed, that is a failure."""
    if not part.exists():
        reason = f"{part.relative_to(TOOLS.parents[1])} is not there; `make aws-tools` installs it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return part
