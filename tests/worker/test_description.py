import json

import pytest

from servelite.core.errors import DefinitionError
from servelite.core.function import JSON, TEXT, Description
from servelite.worker.description import SAMPLE_BYTES, describe, read_card, read_examples, read_version
from servelite.worker.loader import load

COUNTER = """
    '''Count the letters of a text.'''
    from pydantic import BaseModel
    from servelite import function

    class Count(BaseModel):
        letters: int

    @function(timeout_s=2)
    def count(text: str) -> Count:
        return Count(letters=len(text))
"""


def test_a_description_holds_schemas_limits_examples_and_card(write_function):
    files = {"examples.jsonl": '{"input": "abc", "output": {"letters": 3}}\n', "card.toml": '[data]\nlicence = "CC0"\n'}
    described = describe(load(write_function("count", COUNTER, files)))
    assert (described.name, described.summary, described.limits.timeout_s) == ("count", "Count the letters of a text.", 2)
    assert (described.takes, described.gives) == ((TEXT, JSON), JSON)
    assert described.input_schema == {"type": "string"}
    assert described.output_schema["properties"]["letters"]["type"] == "integer"
    assert described.examples == ({"input": "abc", "output": {"letters": 3}},)
    assert described.card == {"data": {"licence": "CC0"}}


def test_a_description_crosses_processes(write_function):
    files = {"examples.jsonl": '{"input": "ü"}\n', "card.toml": "made = 2026-11-20\n"}
    described = describe(load(write_function("count", COUNTER, files)))
    assert Description.from_dict(json.loads(json.dumps(described.to_dict()))) == described


PIPELINE = """
    from servelite import Context, sequence

    def ask(text: str, context: Context) -> str:
        return context.call("other", text)

    pipeline = sequence(ask)
"""


@pytest.mark.parametrize(
    ("source", "takes_context"),
    [
        ("from servelite import function\n\n@function\ndef f(text: str) -> str: ...\n", False),
        ("from servelite import Context, function\n\n@function\ndef f(text: str, context: Context) -> str: ...\n", True),
        (PIPELINE, True),
        (PIPELINE.replace(", context: Context", ""), False),
    ],
    ids=["a handler without", "a handler with", "glue with", "glue without"],
)
def test_who_takes_a_context_may_call_other_functions(write_function, source, takes_context):
    assert describe(load(write_function("f", source))).takes_context == takes_context


def test_a_folder_needs_neither_examples_nor_card(tmp_path):
    assert (read_examples(tmp_path), read_card(tmp_path)) == ([], {})


@pytest.mark.parametrize(
    ("content", "examples"),
    [
        pytest.param(b"", [], id="an empty file"),
        pytest.param(b'\n{"input": 1}\n\n  \n{"input": 2, "output": 3}', [{"input": 1}, {"input": 2, "output": 3}], id="blank lines"),
        pytest.param(b'{"input": null}\r\n', [{"input": None}], id="lines of Windows"),
        pytest.param(
            '{"input": "a\u2028b\u0085c"}\n'.encode(),
            [{"input": "a\u2028b\u0085c"}],
            id="line ends in text",
        ),
    ],
)
def test_examples_are_read_line_by_line(tmp_path, content, examples):
    (tmp_path / "examples.jsonl").write_bytes(content)
    assert read_examples(tmp_path) == examples


@pytest.mark.parametrize(
    ("line", "cure"),
    [
        pytest.param(b'{"input": 1', "Each line is one", id="torn"),
        pytest.param(b'{"output": 1}', 'an object with an "input"', id="no input"),
        pytest.param(b"[1]", 'an object with an "input"', id="no object"),
        pytest.param(b'{"input": NaN}', "", id="NaN"),
        pytest.param(b'{"input": "\xff"}', "", id="no UTF-8"),
    ],
)
def test_a_bad_example_is_told_with_its_line(tmp_path, line, cure):
    (tmp_path / "examples.jsonl").write_bytes(b'{"input": 1}\n' + line + b"\n")
    with pytest.raises(DefinitionError) as caught:
        read_examples(tmp_path)
    assert caught.value.detail.startswith(f"{tmp_path / 'examples.jsonl'}:2: ")
    assert cure in caught.value.detail


def test_dates_of_a_card_are_text(tmp_path):
    (tmp_path / "card.toml").write_text("evaluated = 2026-11-20\nat = 2026-11-20T10:00:00Z\n")
    assert read_card(tmp_path) == {"evaluated": "2026-11-20", "at": "2026-11-20 10:00:00+00:00"}


@pytest.mark.parametrize(
    "content",
    [pytest.param(b"a = ", id="no TOML"), pytest.param(b'a = "\xff"', id="no UTF-8"), pytest.param(b"a = nan", id="NaN")],
)
def test_a_bad_card_is_told_with_its_file(tmp_path, content):
    (tmp_path / "card.toml").write_bytes(content)
    with pytest.raises(DefinitionError) as caught:
        read_card(tmp_path)
    assert caught.value.detail.startswith(f"{tmp_path / 'card.toml'}:")


def test_a_type_without_a_json_schema_is_a_definition_error(write_function):
    source = """
        from collections.abc import Callable
        from servelite import function

        @function
        def call(it: Callable[[int], int]) -> int:
            return it(1)
    """
    with pytest.raises(DefinitionError):
        describe(load(write_function("call", source)))


@pytest.fixture
def folder(tmp_path):
    for name in ("handler.py", "model.onnx", "words/en.txt"):
        file = tmp_path / "f" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return tmp_path / "f"


def test_a_version_is_what_the_card_says(folder):
    assert read_version(folder, {"version": "1.2.0"}) == "1.2.0"


@pytest.mark.parametrize("card", [{}, {"version": 2}, {"version": {}}])
def test_else_a_version_is_a_digest_that_stays_while_the_files_do(folder, card):
    version = read_version(folder, card)
    (folder / ".venv").mkdir()
    (folder / ".venv" / "python").touch()
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "handler.pyc").touch()
    (folder / ".hidden").touch()
    (folder / "handler.py").touch()
    assert version == read_version(folder.rename(folder.with_name("other")), card)
    assert len(version) == 12


@pytest.mark.parametrize("name", ["handler.py", "model.onnx", "words/en.txt", "new.txt"])
def test_a_version_changes_with_any_file(folder, name):
    before = read_version(folder, {})
    (folder / name).write_text("changed")
    assert read_version(folder, {}) != before


@pytest.mark.parametrize("at", [0, SAMPLE_BYTES - 1, SAMPLE_BYTES, 2 * SAMPLE_BYTES - 1])
def test_of_a_file_of_two_mib_every_byte_counts(folder, at):
    content = bytearray(2 * SAMPLE_BYTES)
    (folder / "model.onnx").write_bytes(content)
    before = read_version(folder, {})
    content[at] = 1
    (folder / "model.onnx").write_bytes(content)
    assert read_version(folder, {}) != before


def test_of_a_larger_file_beginning_end_and_size_count(folder):
    versions = set()
    for size, at in ((3, 0), (3, -1), (4, 0)):
        content = bytearray(size * SAMPLE_BYTES)
        content[at] = 1
        (folder / "model.onnx").write_bytes(content)
        versions.add(read_version(folder, {}))
    assert len(versions) == 3
