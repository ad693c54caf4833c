from pathlib import Path

import pytest

from servelite.core.errors import DefinitionError
from servelite.worker.loader import load

GREETER = """
    '''Say hello to someone.

    At length.
    '''
    from servelite import function

    @function(max_batch=4)
    def greet(names: list[str]) -> list[str]:
        return [f"Hello, {name}!" for name in names]
"""


BROKEN = {
    "a syntax error": (
        """
        from servelite import function

        def broken(:
            pass
        """,
        4,
        "invalid syntax",
    ),
    "a wrong indentation": ("x = 1\n  y = 2", 2, "unexpected indent"),
    "an untyped parameter": (
        """
        from servelite import function

        @function
        def shout(text) -> str:
            return text.upper()
        """,
        4,
        "Annotate it, for example text: str",
    ),
    "no return type": (
        """
        from servelite import function

        @function
        def shout(text: str):
            return text.upper()
        """,
        4,
        "Annotate it, for example def shout(text: …) -> str",
    ),
    "an async handler": (
        """
        from servelite import function

        @function
        async def shout(text: str) -> str:
            return text.upper()
        """,
        4,
        "write a plain def",
    ),
    "a batch without lists": (
        """
        from servelite import function

        @function(max_batch=2)
        def shout(text: str) -> str:
            return text.upper()
        """,
        4,
        "it takes and returns a list: list[str]",
    ),
    "a type that nothing validates": (
        """
        from servelite import function

        class Plain: ...

        @function
        def shout(text: Plain) -> str:
            return ""
        """,
        6,
        "can't be validated",
    ),
    "an unknown decorator field": (
        """
        from servelite import function

        @function(
            timeout=3,
        )
        def shout(text: str) -> str:
            return text.upper()
        """,
        4,
        "Did you mean 'timeout_s'",
    ),
    "an impossible limit": (
        """
        from servelite import function

        @function(max_batch=0)
        def shout(text: str) -> str:
            return text.upper()
        """,
        4,
        "max_batch is a whole number from 1",
    ),
    "a missing package": (
        """
        import servelite
        import no_such_package.part
        """,
        3,
        "there is no module 'no_such_package' here. A file of yours goes beside handler.py;",
    ),
    "an exception": (
        """
        labels = {}
        first = labels["a"]
        """,
        3,
        "KeyError: 'a'",
    ),
    "a missing model": (
        """
        from servelite import load_onnx

        model = load_onnx("model.onnx")
        """,
        4,
        "load_onnx('model.onnx'): there is no such file",
    ),
}


@pytest.mark.parametrize(("source", "line", "cure"), BROKEN.values(), ids=BROKEN)
def test_a_broken_handler_is_told_with_its_file_line_and_cure(write_function, source, line, cure):
    folder = write_function("shout", source)
    with pytest.raises(DefinitionError) as caught:
        load(folder)
    assert caught.value.detail.startswith(f"{folder / 'handler.py'}:{line}: ")
    assert cure in caught.value.detail


def test_a_folder_without_handler_is_told_how_to_make_one(tmp_path):
    with pytest.raises(DefinitionError) as caught:
        load(tmp_path)
    assert caught.value.detail == f"{tmp_path} has no handler.py. Make one with: servelite new {tmp_path.name}"


def test_a_file_without_handler_is_told_to_mark_one(write_function):
    folder = write_function("nothing", "def greet(name: str) -> str: ...\n")
    with pytest.raises(DefinitionError) as caught:
        load(folder)
    assert caught.value.detail == f"{folder / 'handler.py'} has no handler. Put @function above the function that answers calls."


def test_two_handlers_are_told_with_their_lines(write_function):
    folder = write_function(
        "two",
        """
        from servelite import function

        @function
        def one(text: str) -> str: ...

        @function
        def other(text: str) -> str: ...
        """,
    )
    with pytest.raises(DefinitionError) as caught:
        load(folder)
    assert caught.value.detail.startswith(f"{folder / 'handler.py'} has 2 handlers: one (line 4), other (line 7). ")
    assert "move the others out" in caught.value.detail


def test_one_handler_with_two_names_is_one_handler(write_function):
    assert load(write_function("greet", f"{GREETER}\n    main = greet\n")).name == "greet"


def test_an_imported_handler_of_a_sibling_is_not_this_folders(write_function):
    files = {"lower.py": "from servelite import function\n\n@function\ndef lower(text: str) -> str:\n    return text.lower()\n"}
    folder = write_function("upper", f"from lower import lower\n{'x = lower'}\n", files)
    with pytest.raises(DefinitionError, match="has no handler"):
        load(folder)


def test_a_function_is_named_by_its_folder_and_summed_up_by_its_first_line(write_function):
    folder = write_function("greeter", GREETER)
    function = load(folder)
    assert (function.name, function.summary, function.folder) == ("greeter", "Say hello to someone.", folder)
    assert (function.limits.max_batch, function.handler.signature.batched) == (4, True)
    assert function.handler.run(["Ada"]) == ["Hello, Ada!"]


def test_a_handlers_docstring_sums_up_a_module_without_one(write_function):
    source = """
        from servelite import function

        @function
        def shout(text: str) -> str:
            "Make a text loud."
            return text.upper()
    """
    assert load(write_function("shout", source)).summary == "Make a text loud."


def test_a_sibling_module_can_be_imported(write_function):
    source = """
        from labels_of_this_test import LABELS
        from servelite import function

        @function
        def first(text: str) -> str:
            return LABELS[0]
    """
    folder = write_function("labelled", source, {"labels_of_this_test.py": "LABELS = ['cat']\n"})
    assert load(folder).handler.run("x") == "cat"


def test_an_error_in_a_sibling_module_is_told_with_the_siblings_line(write_function):
    folder = write_function("labelled", "import sibling_that_fails\n", {"sibling_that_fails.py": "\n\n1 / 0\n"})
    with pytest.raises(DefinitionError, match=r"sibling_that_fails\.py:3: ZeroDivisionError"):
        load(folder)


def test_an_error_in_a_package_of_its_environment_is_told_with_the_handlers_line(write_function, monkeypatch):
    folder = write_function("labelled", "\nimport package_that_fails\n")
    (folder / ".venv").mkdir()
    (folder / ".venv" / "package_that_fails.py").write_text("\n\n1 / 0\n")
    monkeypatch.syspath_prepend(folder / ".venv")
    with pytest.raises(DefinitionError, match=r"handler\.py:2: ZeroDivisionError"):
        load(folder)


def test_a_syntax_error_in_a_sibling_module_is_told_with_the_siblings_line(write_function):
    folder = write_function("labelled", "import sibling_that_is_torn\n", {"sibling_that_is_torn.py": "\nx = (\n"})
    with pytest.raises(DefinitionError, match=r"sibling_that_is_torn\.py:2: "):
        load(folder)


def test_a_function_is_loaded_anew_each_time(write_function):
    folder = write_function("greet", GREETER)
    load(folder)
    (folder / "handler.py").write_text("this is ( not python\n")
    with pytest.raises(DefinitionError, match="was never closed"):
        load(folder)


def test_a_line_is_told_when_the_folder_is_relative(write_function, monkeypatch):
    folder = write_function("fails", "\n1 / 0\n")
    monkeypatch.chdir(folder.parent)
    with pytest.raises(DefinitionError, match=r"^\S*fails/handler\.py:2: ZeroDivisionError"):
        load(Path("fails"))


def test_a_line_is_told_when_the_folder_is_a_link(write_function, tmp_path):
    folder = write_function("fails", "\n1 / 0\n")
    link = tmp_path / "linked"
    link.symlink_to(folder)
    with pytest.raises(DefinitionError, match=r"handler\.py:2: ZeroDivisionError"):
        load(link)


def test_a_handler_that_exits_on_import_is_a_definition_error(write_function):
    folder = write_function("exits", "import sys\nsys.exit('no GPU here')\n")
    with pytest.raises(DefinitionError, match=r"handler\.py:2: SystemExit: no GPU here"):
        load(folder)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"x = 1\n\xff\xfe\n", id="no UTF-8"),
        pytest.param(b"x = 1\n\x00\n", id="a zero byte"),
    ],
)
def test_a_handler_that_is_not_text_is_told_with_its_file(write_function, content):
    folder = write_function("binary", "")
    (folder / "handler.py").write_bytes(content)
    with pytest.raises(DefinitionError) as caught:
        load(folder)
    assert caught.value.detail.startswith(f"{folder / 'handler.py'}:")


def test_a_model_with_an_undefined_name_is_a_definition_error(write_function):
    source = """
        from pydantic import BaseModel
        from servelite import function

        class Review(BaseModel):
            text: "Tekst"

        @function
        def judge(review: Review) -> str:
            return ""
    """
    folder = write_function("judge", source)
    with pytest.raises(DefinitionError, match="Tekst"):
        load(folder)
