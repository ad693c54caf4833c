"""AWS' own parts, found on this machine: the runtime client in this environment, the emulator where aws-sam-cli is installed."""

import importlib.util
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from servelite.core.errors import DefinitionError

CLIENT = "awslambdaric"

WITH_CLIENT = (
    CLIENT,
    "simplejson",
    "snapshot_restore_py",
    "runtime_client",
    "boto3",
    "botocore",
    "s3transfer",
    "jmespath",
    "dateutil",
    "six",
    "urllib3",
)
"""What Lambda's own Python has beside the client: what the client needs, and boto3 with what that needs."""

MACHINES = {"x86_64": "x86_64", "aarch64": "arm64"}

CURE = "It comes with AWS' SAM, best in an environment of its own: python -m venv .sam && .sam/bin/pip install aws-sam-cli"


@dataclass(frozen=True, slots=True)
class Parts:
    """The emulator's program, and the runtime client and what comes with it, as files or folders to import."""

    emulator: Path
    client: tuple[Path, ...]


def find_parts(sam: Path | None = None, machine: str = platform.machine()) -> Parts:
    """Return AWS' parts; `sam` is the command of an environment that has aws-sam-cli, by default what the PATH names.

    Raises:
        DefinitionError: one is missing; it says how to install it.
    """
    client = tuple(place for name in WITH_CLIENT if (place := _place(name)) is not None)
    if not client or client[0].name != CLIENT:
        raise DefinitionError("AWS' runtime client is missing. Install it with: pip install 'servelite[emulate]'")
    name = f"aws-lambda-rie-{MACHINES.get(machine, machine)}"
    for folder in _sam_folders(sam):
        program = folder / "local" / "rapid" / name
        if program.is_file():
            return Parts(program, client)
    where = f"{sam} has none" if sam else "it is neither beside this Python nor beside a `sam` on the PATH"
    raise DefinitionError(f"AWS' Runtime Interface Emulator is missing: {where}. {CURE}. Then say --sam .sam/bin/sam")


def _sam_folders(sam: Path | None) -> Iterator[Path]:
    """Yield where the package samcli may be: in this environment, or in that of a `sam` command."""
    if sam is None and (here := _place("samcli")) is not None:
        yield here
    command = str(sam) if sam else shutil.which("sam")
    if command:
        yield from sorted(Path(command).resolve().parent.parent.glob("lib/python*/site-packages/samcli"))


def _place(name: str) -> Path | None:
    """Return where a module is, unimported: its folder if it is a package, else its file."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent if spec.submodule_search_locations else Path(spec.origin)
