"""What is written at last: a zip, the same bytes for the same files whoever makes it and whenever; or an image's build context."""

import shutil
import stat
import zipfile
from pathlib import Path
from string import Template

from servelite.core.errors import DefinitionError
from servelite.tools.packaging.pruning import files_of
from servelite.tools.packaging.target import HANDLER, TASK_ROOT, Target

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first moment that a zip can name."""

READABLE = stat.S_IFREG | 0o644
EXECUTABLE = stat.S_IFREG | 0o755
UNIX = 3

DOCKERFILE = Path(__file__).parent / "template" / "Dockerfile"

ROOT = "root"
"""The folder of the context that becomes `/var/task`."""


def write_zip(tree: Path, file: Path) -> None:
    """Zip a tree: files by name, all of one moment, readable to everybody, with no trace of who made it."""
    made = file.with_name(f".{file.name}.part")
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in files_of(tree):
            archive.writestr(_entry(name), (tree / name).read_bytes())
    made.replace(file)


def write_image(tree: Path, context: Path, target: Target) -> None:
    """Write a build context, a Dockerfile and the tree beside it; one that stands there is replaced, anything else is left alone.

    Raises:
        DefinitionError: the place is taken.
    """
    if context.exists() and not _is_ours(context):
        raise DefinitionError(f"{context} is there and was not made by servelite package. Rename it, or choose another folder with -o.")
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    shutil.copytree(tree, context / ROOT)
    (context / "Dockerfile").write_text(dockerfile(target), encoding="utf-8")


def dockerfile(target: Target) -> str:
    """Return the text of the Dockerfile."""
    template = Template(DOCKERFILE.read_text(encoding="utf-8"))
    return template.substitute(python=target.python, root=ROOT, task_root=TASK_ROOT, handler=HANDLER)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, EARLIEST)
    entry.create_system = UNIX
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (EXECUTABLE if _is_library(name) else READABLE) << 16
    return entry


def _is_library(name: str) -> bool:
    return name.endswith(".so") or ".so." in name


def _is_ours(context: Path) -> bool:
    """Tell whether there is the first line that every Dockerfile of ours has."""
    file = context / "Dockerfile"
    first = DOCKERFILE.read_text(encoding="utf-8").partition(" Any")[0]
    return file.is_file() and file.read_text(encoding="utf-8").startswith(first)
