from pathlib import Path

import pytest

from servelite.core.errors import DefinitionError
from servelite.runtime.folders import checked_name, find_functions


@pytest.fixture
def make(tmp_path):
    """Return a maker of folders with a handler.py that nobody may import."""

    def made(*names: str) -> Path:
        for name in names:
            (tmp_path / name).mkdir(parents=True)
            (tmp_path / name / "handler.py").write_text("raise AssertionError('imported')")
        return tmp_path

    return made


def test_a_function_is_named_by_its_folder(make):
    root = make("sentiment")
    assert find_functions([root / "sentiment"]) == {"sentiment": root / "sentiment"}


def test_a_folder_of_functions_holds_them_all_in_order(make):
    root = make("b", "a", "c")
    (root / "notes").mkdir()
    (root / "README.md").touch()
    assert list(find_functions([root]).items()) == [(name, root / name) for name in "abc"]


def test_a_function_hides_the_functions_inside_it(make):
    root = make("outer", "outer/inner")
    assert list(find_functions([root / "outer"])) == ["outer"]


def test_functions_further_down_are_not_looked_for(make):
    root = make("a", "deep/b")
    assert list(find_functions([root])) == ["a"]


def test_several_paths_are_put_together(make):
    root = make("one/a", "two/b")
    assert list(find_functions([root / "two", root / "one" / "a"])) == ["b", "a"]


def test_the_same_folder_twice_is_one_function(make, monkeypatch):
    root = make("a")
    monkeypatch.chdir(root)
    assert list(find_functions([root, root / "a", Path("a")])) == ["a"]


def test_the_current_folder_is_named_by_its_real_name(make, monkeypatch):
    monkeypatch.chdir(make("a") / "a")
    assert list(find_functions([Path()])) == ["a"]


def test_two_functions_of_one_name_are_refused_with_both_places(make):
    root = make("one/a", "two/a")
    with pytest.raises(DefinitionError, match=r"Two functions are named 'a': .*one/a and .*two/a\. Rename one"):
        find_functions([root / "one", root / "two"])


@pytest.mark.parametrize(
    ("path", "cure"),
    [
        pytest.param("nowhere", r"There is no folder .*nowhere\. Make .*: servelite new ", id="missing"),
        pytest.param("empty", r"empty has no handler\.py, and no folder in it has one\. Make .*: servelite new ", id="empty"),
        pytest.param("file.py", r"file\.py is a file\. A function is a folder; name ", id="a file"),
    ],
)
def test_a_path_without_a_function_is_refused_with_the_cure(tmp_path, path, cure):
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.py").touch()
    with pytest.raises(DefinitionError, match=cure):
        find_functions([tmp_path / path])


@pytest.mark.parametrize("name", ["a", "A", "ocr_detect", "ocr-2", "x" * 64])
def test_a_possible_name_is_taken(name):
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", "2nd", "_a", "-a", "a b", "a/b", "a.b", "über", "x" * 65, "a\n"])
def test_an_impossible_name_is_refused_with_the_rule(name):
    with pytest.raises(DefinitionError, match=r"can't name a function\. A name has up to 64 letters"):
        checked_name(name)


def test_an_impossible_folder_name_is_refused(make):
    root = make("my function")
    with pytest.raises(DefinitionError, match="'my function' can't name a function"):
        find_functions([root])
