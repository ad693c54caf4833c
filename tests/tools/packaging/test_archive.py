"""A zip has the same bytes for the same files."""

import os
import stat
import zipfile
from pathlib import Path

from servelite.tools.packaging.archive import write_zip
from tests.tools.packaging.trees import write_files

FILES = {"b.py": "b", "a/lib.so": "a", "a/lib.so.1": "a", "a-b.txt": "", "z/ü.json": "{}"}


def test_two_trees_with_the_same_files_make_the_same_bytes(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    write_files(one, FILES)
    write_files(other, dict(reversed(FILES.items())))
    (other / "b.py").chmod(0o700)
    os.utime(other / "b.py", (0, 0))
    (other / "empty").mkdir()
    write_zip(one, tmp_path / "one.zip")
    write_zip(other, tmp_path / "other.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "other.zip").read_bytes()


def test_everybody_may_read_what_is_in_it_and_run_libraries(tmp_path):
    write_files(tmp_path / "tree", FILES)
    write_zip(tmp_path / "tree", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        modes = {entry.filename: stat.S_IMODE(entry.external_attr >> 16) for entry in archive.infolist()}
        assert list(modes) == sorted(FILES)
        assert archive.read("z/ü.json") == b"{}"
    assert modes == {name: 0o755 if ".so" in name else 0o644 for name in FILES}


def test_nothing_is_left_beside_it(tmp_path: Path):
    write_files(tmp_path / "tree", FILES)
    write_zip(tmp_path / "tree", tmp_path / "a.zip")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.zip", "tree"]
