"""Where an emulated function runs: what it finds there, and what it may not write to."""

import importlib.machinery
import os
import zipfile
from pathlib import Path

import pytest

from servelite.core.errors import DefinitionError, FunctionFailed
from servelite.tools.emulator.parts import Parts
from servelite.tools.emulator.rooms import open_room

NO_PARTS = Parts(Path("rie"), ())
LIMITS = (30.0, 512)


def a_package(folder: Path) -> Path:
    """Return a zip that has what a package has, and no more."""
    with zipfile.ZipFile(folder / "package.zip", "w") as archive:
        archive.writestr("servelite/adapters/aws_lambda/__init__.py", "")
        archive.writestr("functions/f/handler.py", "")
    return folder / "package.zip"


def test_a_folder_is_run_where_it_is(tmp_path: Path) -> None:
    with open_room(tmp_path, NO_PARTS, {"MINE": "1"}, LIMITS) as room:
        said = room.variables
        assert (room.code, said["SERVELITE_FUNCTIONS"], said["LAMBDA_TASK_ROOT"]) == (tmp_path, str(tmp_path), str(tmp_path))
        assert (said["AWS_LAMBDA_FUNCTION_TIMEOUT"], said["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], said["MINE"]) == ("30", "512", "1")
        assert said["AWS_EXECUTION_ENV"].startswith("AWS_Lambda_python3.")


def test_the_function_sees_little_of_this_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_SECRET", "1")
    monkeypatch.setenv("SERVELITE_KEY", "sl_secret")
    monkeypatch.setenv("SERVELITE_OUTPUT", "s3://results")
    with open_room(tmp_path, NO_PARTS, {}, LIMITS) as room:
        assert {"MY_SECRET", "SERVELITE_KEY"}.isdisjoint(room.variables)
        assert room.variables["SERVELITE_OUTPUT"] == "s3://results"


def test_a_package_is_unpacked_and_sees_nothing_that_is_installed_here(tmp_path: Path) -> None:
    with open_room(a_package(tmp_path), NO_PARTS, {}, LIMITS) as room:
        assert room.code.is_relative_to(Path(os.path.realpath(room.code.parent)))
        assert "-S" in room.command
        assert room.variables["PYTHONPATH"].split(os.pathsep)[0] == str(room.code)
        assert "SERVELITE_FUNCTIONS" not in room.variables
        assert (room.code / "functions" / "f" / "handler.py").stat().st_mode & 0o222 == 0
        unpacked = room.code
    assert not unpacked.exists()


def test_a_package_for_another_python_is_told(tmp_path: Path) -> None:
    package = a_package(tmp_path)
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr(f"numpy/_core{importlib.machinery.EXTENSION_SUFFIXES[0]}", "")
        archive.writestr("tokenizers/tokenizers.abi3.so", "")
    with open_room(package, NO_PARTS, {}, LIMITS):
        pass
    with zipfile.ZipFile(package, "a") as archive:
        archive.writestr("numpy/_core.cpython-399-x86_64-linux-gnu.so", "")
    told = r"made for another Python or processor than this, Python 3\.\d+ on \w+: it holds _core\.cpython-399"
    with pytest.raises(DefinitionError, match=told), open_room(package, NO_PARTS, {}, LIMITS):
        pass


@pytest.mark.parametrize("change", ["new", "written", "gone"])
def test_what_is_written_to_the_code_is_told(tmp_path: Path, change: str) -> None:
    (tmp_path / "handler.py").write_text("old", encoding="utf-8")
    with open_room(tmp_path, NO_PARTS, {}, LIMITS) as room:
        room.check_untouched()
        if change == "new":
            (tmp_path / "note").touch()
        elif change == "written":
            (tmp_path / "handler.py").write_text("newer", encoding="utf-8")
        else:
            (tmp_path / "handler.py").unlink()
        with pytest.raises(FunctionFailed, match=r"wrote to its own folder: (note|handler\.py)\. On Lambda that fails"):
            room.check_untouched()


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.zip", b"no zip", "can't be unpacked: File is not a zip file. Make a package with"),
        ("a.txt", b"", "neither a function's folder nor a package"),
    ],
)
def test_what_is_no_function_is_told(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DefinitionError, match=told), open_room(tmp_path / name, NO_PARTS, {}, LIMITS):
        pass


def test_a_zip_of_something_else_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("readme", "")
    with pytest.raises(DefinitionError, match="is no package of servelite's"), open_room(tmp_path / "other.zip", NO_PARTS, {}, LIMITS):
        pass
