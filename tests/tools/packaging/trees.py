"""Trees of installed packages as pip lays them, written by hand."""

from collections.abc import Mapping
from pathlib import Path


def write_files(tree: Path, files: Mapping[str, str]) -> None:
    """Write files below a folder."""
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(content, encoding="utf-8")


def write_package(tree: Path, name: str, files: Mapping[str, str], *, requires: tuple[str, ...] = (), version: str = "1.0") -> None:
    """Write a package with its dist-info."""
    info = f"{name.replace('-', '_')}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", *(f"Requires-Dist: {one}" for one in requires)]
    all_ = {**files, f"{info}/METADATA": "\n".join(lines) + "\n", f"{info}/WHEEL": "Wheel-Version: 1.0\n"}
    write_files(tree, all_)
    write_files(tree, {f"{info}/RECORD": "".join(f"{file},,\n" for file in (*all_, f"{info}/RECORD", f"../../bin/{name}"))})
