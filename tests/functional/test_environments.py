"""Two functions that need different versions of one package are served by one server, each with its own."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from servelite.core.errors import DefinitionError
from servelite.testing import FunctionClient
from tests.cli.command import servelite
from tests.conftest import FolderWriter
from tests.server import Server
from tests.wheels import write_wheel

SAYS_VERSION = """
    import {package}
    from servelite import function

    @function
    def says(text: str) -> str:
        return {package}.{version}
"""


def test_conflicting_versions_are_served_side_by_side(
    write_function: FolderWriter, start_server: Callable[..., Server], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    for name, version in (("old", "1.0"), ("new", "2.0")):
        folder = write_function(name, SAYS_VERSION.format(package="tint", version="VERSION"))
        (folder / "requirements.txt").write_text(write_wheel(folder, "tint", version))
    assert servelite("install", "functions", cwd=tmp_path).returncode == 0
    server = start_server("functions")
    assert [server.post(name, b"?", "text/plain").body for name in ("old", "new")] == [b"1.0", b"2.0"]
    assert [line.split()[0] for line in servelite("list", cwd=tmp_path).stdout.splitlines()] == ["function", "new", "old"]
    with pytest.raises(DefinitionError, match=r"old/\.venv/bin/python -m pytest"):
        FunctionClient(tmp_path / "functions" / "old")
    script = "from servelite.testing import FunctionClient\nwith FunctionClient('functions/old') as old:\n    print(old.call('?'))"
    python = tmp_path / "functions" / "old" / ".venv" / "bin" / "python"
    tested = subprocess.run([python, "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (tested.stdout, tested.stderr) == ("1.0\n", "")


@pytest.mark.registry
@pytest.mark.parametrize(
    ("package", "version", "wanted"),
    [("six", "__version__", ("1.15.0", "1.16.0")), ("pydantic", "VERSION", ("2.11.7", "2.12.5"))],
    ids=["a package that servelite does not need", "one that it runs on"],
)
def test_packages_of_the_registry_are_served_side_by_side(
    write_function: FolderWriter,
    start_server: Callable[..., Server],
    tmp_path: Path,
    package: str,
    version: str,
    wanted: tuple[str, str],
) -> None:
    for name, one in zip(("old", "new"), wanted, strict=True):
        write_function(name, SAYS_VERSION.format(package=package, version=version), {"requirements.txt": f"{package}=={one}\n"})
    installed = servelite("install", "functions", cwd=tmp_path)
    assert installed.returncode == 0, installed.stderr
    server = start_server("functions")
    assert tuple(server.post(name, b"?", "text/plain").body.decode() for name in ("old", "new")) == wanted


@pytest.mark.registry
def test_what_servelite_can_t_run_with_is_refused(write_function: FolderWriter, tmp_path: Path) -> None:
    folder = write_function("ancient", SAYS_VERSION.format(package="pydantic", version="VERSION"), {"requirements.txt": "pydantic<2\n"})
    done = servelite("install", folder, cwd=tmp_path)
    assert done.returncode == 2
    assert "it asks for pydantic<2; servelite " in done.stderr
    assert "depends on pydantic>=2" in done.stderr
