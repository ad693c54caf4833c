"""AWS' own parts are found, or it is said how to get them."""

import subprocess
import sys
from pathlib import Path

import pytest

import servelite
from servelite.core.errors import DefinitionError
from servelite.tools.emulator.parts import MACHINES, find_parts


@pytest.mark.parametrize(("machine", "name"), MACHINES.items())
def test_the_emulator_is_found_where_a_sam_command_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machine: str, name: str) -> None:
    rapid = tmp_path / "lib" / "python3.12" / "site-packages" / "samcli" / "local" / "rapid"
    rapid.mkdir(parents=True)
    (rapid / f"aws-lambda-rie-{name}").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sam").touch(0o755)
    assert find_parts(tmp_path / "bin" / "sam", machine).emulator == rapid / f"aws-lambda-rie-{name}"
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    parts = find_parts(machine=machine)
    assert parts.emulator == rapid / f"aws-lambda-rie-{name}"
    assert [part.name for part in parts.client][:2] == ["awslambdaric", "simplejson"]


def test_a_sam_without_an_emulator_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"Emulator is missing: .*sam has none\. .*pip install aws-sam-cli"):
        find_parts(tmp_path / "bin" / "sam")


def test_without_any_sam_it_is_told_where_it_was_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(DefinitionError, match="neither beside this Python nor beside a `sam` on the PATH"):
        find_parts()


def test_without_the_runtime_client_its_pip_line_is_told() -> None:
    code = "from servelite.tools.emulator.parts import find_parts; find_parts()"
    source = str(Path(servelite.__file__).parents[1])  # -S: this Python finds nothing that is installed
    done = subprocess.run(
        [sys.executable, "-S", "-c", code], env={"PYTHONPATH": source}, capture_output=True, text=True, timeout=60, check=False
    )
    assert "AWS' runtime client is missing. Install it with: pip install 'servelite[emulate]'" in done.stderr
