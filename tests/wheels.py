"""Packages made on the spot, so that installing them needs no network."""

import os
import zipfile
from pathlib import Path


def write_wheel(folder: Path, name: str, version: str, requires: str = "") -> str:
    """Write a wheel of one module that knows its `VERSION`, and return the line that a requirements.txt beside it needs."""
    file = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n" + (f"Requires-Dist: {requires}\n" if requires else "")
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(f"{name}.py", f"VERSION = {version!r}\n")
        wheel.writestr(f"{info}/METADATA", metadata)
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return f"./{file.name}\n"


BACKEND = """
import pathlib

def build_wheel(*_):
    pathlib.Path("building").touch()
    return pathlib.Path("gate").read_text()  # waits for one who writes
"""


def write_slow_package(folder: Path) -> str:
    """Write a package whose build says so by the file `slow/building`, and waits until something is written to the fifo `slow/gate`."""
    package = folder / "slow"
    package.mkdir()
    os.mkfifo(package / "gate")
    (package / "backend.py").write_text(BACKEND)
    (package / "pyproject.toml").write_text('[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n')
    return "./slow\n"
