"""What a package is made for: AWS Lambda's Pythons and processors, and the limits that it must keep."""

import platform
import sys
from dataclasses import dataclass
from typing import Literal

PYTHONS = ("3.12", "3.13", "3.14")
"""Lambda's Pythons on Amazon Linux 2023. The older ones have glibc 2.26, and onnxruntime's wheels need 2.27."""

DEFAULT_PYTHON = "3.13"

ARCHITECTURES = {"x86_64": "x86_64", "arm64": "aarch64"}
"""Processors as Lambda names them, and as wheels do."""

GLIBCS = (34, 31, 28, 27, 26, 24, 17, 12, 5)
"""The C library of Amazon Linux 2023 is 2.34; wheels for older ones run too. These are the ones that wheels are made for."""

MB = 2**20
"""What AWS calls a megabyte in these limits."""

MOST_UNZIPPED_BYTES = 250 * MB
MOST_ZIPPED_BYTES = 50 * MB
"""More can't be uploaded directly, only by way of S3."""

HANDLER = "servelite.adapters.aws_lambda.handler"

TASK_ROOT = "/var/task"
"""Where Lambda unpacks a zip."""

FUNCTIONS = "functions"
"""The folder of a package that functions lie in."""

Installer = Literal["uv", "pip"]


@dataclass(frozen=True, slots=True)
class Target:
    """A Python (`3.13`) and a processor as Lambda names it."""

    python: str
    arch: str

    @property
    def runs_here(self) -> bool:
        """Whether this machine has such a processor; the Python may still be missing."""
        return self.arch == here().arch

    @property
    def runtime(self) -> str:
        return f"python{self.python}"

    def options(self, installer: Installer) -> tuple[str, ...]:
        """Return what tells an installer to resolve wheels for it, and nothing that would be built here."""
        machine = ARCHITECTURES[self.arch]
        if installer == "uv":
            return ("--python-version", self.python, "--python-platform", f"{machine}-manylinux_2_{GLIBCS[0]}", "--only-binary", ":all:")
        tags = [f"manylinux_2_{glibc}_{machine}" for glibc in GLIBCS] + [f"manylinux2014_{machine}"]
        platforms = [part for tag in tags for part in ("--platform", tag)]
        return ("--python-version", self.python, "--implementation", "cp", *platforms, "--only-binary", ":all:")


def here() -> Target:
    """Return the Python that runs, and this machine's processor."""
    machines = {wheel: arch for arch, wheel in ARCHITECTURES.items()}
    return Target(f"{sys.version_info[0]}.{sys.version_info[1]}", machines.get(platform.machine(), platform.machine()))


def default_target() -> Target:
    """Return what Lambda has of what is here, so that what is shipped can be run before."""
    return Target(here().python if here().python in PYTHONS else DEFAULT_PYTHON, here().arch if here().arch in ARCHITECTURES else "x86_64")
