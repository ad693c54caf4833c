"""The build context of an image: a Dockerfile, and the package as a folder beside it."""

import shutil
from pathlib import Path
from string import Template

from servelite.core.errors import DefinitionError
from servelite.tools.packaging.target import HANDLER, TASK_ROOT, Target

DOCKERFILE = Path(__file__).parent / "template" / "Dockerfile"

ROOT = "root"
"""The folder of the context that becomes `/var/task`."""


def write_image(tree: Path, context: Path, target: Target) -> None:
    """Write a build context; one that stands there is replaced, anything else is left alone.

    Raises:
        DefinitionError: the place is taken.
    """
    if context.exists() and not _is_ours(context):
        raise DefinitionError(f"{context} is there and was not made by servelite package. Rename it, or choose another folder with -o.")
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir(parents=True)
    shutil.copytree(tree, context / ROOT)
    (context / "Dockerfile").write_text(dockerfile(target), encoding="utf-8")


def _is_ours(context: Path) -> bool:
    """Tell whether there is the first line that every Dockerfile of ours has."""
    file = context / "Dockerfile"
    first = DOCKERFILE.read_text(encoding="utf-8").partition(" Any")[0]
    return file.is_file() and file.read_text(encoding="utf-8").startswith(first)


def dockerfile(target: Target) -> str:
    """Return the text of the Dockerfile."""
    template = Template(DOCKERFILE.read_text(encoding="utf-8"))
    return template.substitute(python=target.python, root=ROOT, task_root=TASK_ROOT, handler=HANDLER)
