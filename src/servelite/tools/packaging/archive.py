"""The zip: the same bytes for the same files, whoever makes it and whenever."""

import stat
import zipfile
from pathlib import Path

from servelite.tools.packaging.pruning import files_of

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can name."""

READABLE = stat.S_IFREG | 0o644
EXECUTABLE = stat.S_IFREG | 0o755
UNIX = 3


def write_zip(tree: Path, file: Path) -> None:
    """Zip a tree: files by name, all of one moment, readable to everybody, with no trace of who made it."""
    made = file.with_name(f".{file.name}.part")
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in files_of(tree):
            archive.writestr(_entry(name), (tree / name).read_bytes())
    made.replace(file)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EARLIEST)
    entry.create_system = UNIX
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (EXECUTABLE if _is_library(name) else READABLE) << 16
    return entry


def _is_library(name: str) -> bool:
    return name.endswith(".so") or ".so." in name
