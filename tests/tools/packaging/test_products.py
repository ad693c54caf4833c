"""A zip has the same bytes for the same files; an image's build context is written to a place that is free or ours."""

import os
import stat
import zipfile
from pathlib import Path

import pytest

from servelite.core.errors import DefinitionError
from servelite.tools.packaging.products import dockerfile, write_image, write_zip
from servelite.tools.packaging.target import Target
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


def test_the_image_starts_the_handler_under_lambda_s_runtime_client():
    lines = dockerfile(Target("3.13", "arm64")).splitlines()
    assert "ARG BASE=python:3.13-slim" in lines
    assert "FROM ${BASE}" in lines
    assert "COPY root/ /var/task/" in lines
    assert lines[-2:] == ['ENTRYPOINT ["python", "-m", "awslambdaric"]', 'CMD ["servelite.adapters.aws_lambda.handler"]']


def test_a_context_is_replaced_and_another_folder_is_not(tmp_path):
    write_files(tmp_path / "tree", {"a.py": ""})
    write_image(tmp_path / "tree", tmp_path / "image", Target("3.13", "arm64"))
    write_files(tmp_path / "image", {"root/old.py": ""})
    write_image(tmp_path / "tree", tmp_path / "image", Target("3.13", "arm64"))
    assert sorted(str(file.relative_to(tmp_path / "image")) for file in (tmp_path / "image").rglob("*")) == [
        "Dockerfile",
        "root",
        "root/a.py",
    ]
    write_files(tmp_path / "pictures", {"cat.png": ""})
    with pytest.raises(DefinitionError, match="pictures is there and was not made by servelite package"):
        write_image(tmp_path / "tree", tmp_path / "pictures", Target("3.13", "arm64"))
    assert (tmp_path / "pictures" / "cat.png").exists()
