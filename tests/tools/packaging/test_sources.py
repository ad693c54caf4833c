"""What of a function's folder is packed."""

from pathlib import Path

import pytest

from servelite.core.errors import DefinitionError
from servelite.tools.packaging.sources import files_left_out, files_to_pack
from tests.tools.packaging.trees import write_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a function with modules that it imports, and some that only make its model."""
    write_files(
        tmp_path,
        {
            "handler.py": "import numpy\nfrom words import split\n\ndef later():\n    import shapes.boxes\n",
            "words.py": "import letters\n",
            "letters.py": "",
            "shapes/__init__.py": "",
            "shapes/boxes.py": "from . import lines\n",
            "shapes/lines.py": "",
            "train.py": "import corpora\n",
            "corpora.py": "",
            "test_handler.py": "import handler\n",
            "requirements.txt": "",
            "tint-1.0-py3-none-any.whl": "",
            "model.onnx": "",
            "card.toml": "",
            "examples.jsonl": "",
            ".venv/lib/x.py": "",
            "__pycache__/handler.cpython-311.pyc": "",
        },
    )
    return tmp_path


def test_modules_that_the_handler_imports_are_packed_and_all_that_is_no_python(folder):
    packed = [str(file) for file in files_to_pack(folder)]
    modules = ["handler.py", "letters.py", "shapes/__init__.py", "shapes/boxes.py", "shapes/lines.py", "words.py"]
    assert packed == sorted([*modules, "card.toml", "examples.jsonl", "model.onnx"])


def test_what_is_left_out_is_told_with_why(folder):
    assert {str(file): why for file, why in files_left_out(folder).items()} == {
        "corpora.py": "handler.py does not import it",
        "requirements.txt": "installed",
        "test_handler.py": "handler.py does not import it",
        "tint-1.0-py3-none-any.whl": "installed",
        "train.py": "handler.py does not import it",
    }


def test_a_handler_that_imports_by_name_keeps_all_modules(folder):
    write_files(folder, {"words.py": "import importlib\n"})
    assert "corpora.py" in [str(file) for file in files_to_pack(folder)]


def test_a_module_that_is_no_python_is_told_with_its_line(folder):
    write_files(folder, {"words.py": "\nimport\n"})
    with pytest.raises(DefinitionError, match=r"words\.py:2: SyntaxError"):
        files_to_pack(folder)
