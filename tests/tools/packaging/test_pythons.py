"""The target's Python is found, and its bytecode is there before the first start, is trusted, and is the same each time."""

import marshal
import sys
from pathlib import Path

from servelite.tools.packaging.pythons import compile_tree, find_python
from servelite.tools.packaging.target import Target, here
from tests.tools.packaging.trees import write_files

FILES = {
    "words.py": "def fail():\n    raise ValueError({'b', 'a', 'c'} == frozenset({1, 2}), 'x' in {'d', 'e', 'f'})\n",
    "deep/__init__.py": "",
    "broken.py": "print 'of another Python'\n",
}


def compiled(tree: Path) -> dict[str, bytes]:
    write_files(tree, FILES)
    assert compile_tree(tree, here()) == sys.executable
    return {str(file.relative_to(tree)): file.read_bytes() for file in tree.rglob("*.pyc")}


def test_it_is_unchecked_and_the_same_each_time(tmp_path):
    one, other = compiled(tmp_path / "one"), compiled(tmp_path / "other")
    assert one == other
    assert {Path(name).name.partition(".")[0] for name in one} == {"words", "__init__"}  # what can't be compiled is left as it is
    flags = {int.from_bytes(code[4:8], "little") for code in one.values()}
    assert flags == {1}  # PEP 552: a hash, and not to be checked


def test_it_names_the_place_where_lambda_puts_it_not_the_one_where_it_was_made(tmp_path):
    code = compiled(tmp_path)[f"__pycache__/words.{sys.implementation.cache_tag}.pyc"]
    assert marshal.loads(code[16:]).co_filename == "/var/task/words.py"


def test_without_the_target_s_python_there_is_none(tmp_path):
    write_files(tmp_path, FILES)
    assert compile_tree(tmp_path, Target("3.99", "arm64")) is None
    assert not list(tmp_path.rglob("*.pyc"))


def test_the_running_python_is_found_first():
    assert find_python(here().python) == sys.executable


def place(home: Path, where: str, says: str) -> Path:
    python = home / where
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n{says}\n")
    python.chmod(0o755)
    return python


def test_a_shim_of_a_version_that_is_not_there_is_passed_over(tmp_path, monkeypatch):
    place(tmp_path, "shims/python3.99", "echo 'command not found' >&2; exit 127")
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:/bin:/usr/bin")
    assert find_python("3.99", tmp_path) is None
    place(tmp_path, ".pyenv/versions/3.99.0/bin/python", "echo 3.98 cpython")  # not what its folder says
    uv = place(tmp_path, ".local/share/uv/python/cpython-3.99.1-linux/bin/python", "echo 3.99 cpython")
    assert find_python("3.99", tmp_path) == str(uv)
