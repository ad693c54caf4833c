"""`servelite new`: a working function folder, from the template beside this file."""

import keyword
from importlib import resources
from pathlib import Path

import click

from servelite.core.errors import DefinitionError
from servelite.runtime.folders import checked_name


@click.command("new")
@click.argument("path", metavar="NAME", type=click.Path(path_type=Path))
def new_command(path: Path) -> None:
    """Make a working function folder, ready to run and test.

    \b
    Example:
      servelite new hello
      servelite new functions/hello
    """
    files = plan(path)
    path.mkdir(parents=True, exist_ok=True)
    for file, content in files.items():
        file.write_text(content, encoding="utf-8")
    click.echo(f"Made {path}: {', '.join(file.name for file in files)}.")
    click.echo(f'Try:  servelite run {path}\n      servelite call {path} \'{{"name": "Ada"}}\'\n      pytest {path}')


def plan(path: Path) -> dict[Path, str]:
    """Return the files to write and their content; DefinitionError where the folder is taken or its name impossible."""
    name = checked_name(path.resolve().name)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise DefinitionError(f"{path} exists already. Choose another name, or remove it first.")
    identifier = name.replace("-", "_") + ("_" if keyword.iskeyword(name) else "")
    template = resources.files("servelite.cli").joinpath("template")
    texts = {file.name: file.read_text(encoding="utf-8") for file in template.iterdir() if file.is_file()}
    return {path / file.replace("NAME", identifier): text.replace("NAME", identifier) for file, text in sorted(texts.items())}
