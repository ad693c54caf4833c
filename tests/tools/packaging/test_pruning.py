"""What is cut of a tree, what stays, and why."""

from pathlib import Path

import pytest

from servelite.tools.packaging.cuts import CUTS, METADATA_WHY
from servelite.tools.packaging.distributions import Need
from servelite.tools.packaging.pruning import files_of, find_pieces, prune
from tests.tools.packaging.trees import write_files, write_package

ROOTS = [Need("onnxruntime", frozenset(), "")]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Return a tree of onnxruntime and what it requires, with a function."""
    write_package(
        tmp_path,
        "onnxruntime",
        {
            "onnxruntime/__init__.py": "import onnxruntime.tools\n",
            "onnxruntime/capi/state.so": "runtime",
            "onnxruntime/capi/libonnxruntime.so.1.31.1": "the same runtime",
            "onnxruntime/capi/libonnxruntime_providers_shared.so": "providers",
            "onnxruntime/tools/deep/convert.py": "import google.protobuf\n",
            "onnxruntime/capi/state.pyi": "",
        },
        requires=("numpy>=1.21", "protobuf"),
    )
    write_package(tmp_path, "numpy", {"numpy/__init__.py": "", "numpy/lib/tests/test_it.py": "", "numpy/f2py/__main__.py": ""})
    write_package(tmp_path, "protobuf", {"google/protobuf/__init__.py": "", "google/_upb/message.so": ""}, requires=("six",))
    write_package(tmp_path, "six", {"six.py": ""})
    write_files(tmp_path, {"functions/echo/handler.py": "import numpy as np\n", "functions/echo/tests/data.h": "an artefact"})
    write_files(tmp_path, {"servelite/__init__.py": "", "servelite/tools/packaging/cuts.py": '"onnxruntime.tools"'})
    return tmp_path


def cut(tree: Path, roots=ROOTS) -> dict[str, str]:
    return {piece.file: piece.why for piece in find_pieces(tree, roots)}


def test_what_runs_stays_and_nothing_else(tree):
    prune(tree, ROOTS)
    assert list(files_of(tree)) == [
        "functions/echo/handler.py",
        "functions/echo/tests/data.h",
        "numpy/__init__.py",
        "onnxruntime/__init__.py",
        "onnxruntime/capi/libonnxruntime_providers_shared.so",
        "onnxruntime/capi/state.so",
        "servelite/__init__.py",
    ]
    assert not (tree / "google").exists()


def test_a_package_that_only_a_cut_part_needs_goes_with_what_it_needs(tree):
    reasons = cut(tree)
    assert reasons["google/_upb/message.so"] == "onnxruntime requires it for what makes models"
    assert reasons["six.py"] == "onnxruntime requires it for what makes models"


@pytest.mark.parametrize(
    ("asks", "stays"), [("", False), ("import huggingface_hub.file_download", True)], ids=["only those that go too", "a function"]
)
def test_a_package_is_needed_by_those_who_stay(tree, asks, stays):
    write_package(tree, "tokenizers", {"tokenizers/__init__.py": "import huggingface_hub"}, requires=("huggingface-hub",))
    write_package(tree, "huggingface-hub", {"huggingface_hub/__init__.py": ""}, requires=("fsspec",))
    write_package(tree, "fsspec", {"fsspec.py": "from huggingface_hub import HfFileSystem\n"})
    write_files(tree, {"functions/echo/handler.py": asks})
    gone = {"huggingface_hub/__init__.py", "fsspec.py"} & set(cut(tree, [*ROOTS, Need("tokenizers", frozenset(), "")]))
    assert gone == (set() if stays else {"huggingface_hub/__init__.py", "fsspec.py"})


def test_a_package_that_a_function_asks_for_stays(tree):
    reasons = cut(tree, [*ROOTS, Need("protobuf", frozenset(), "")])
    assert "six.py" not in reasons
    assert "google/protobuf/__init__.py" not in reasons


@pytest.mark.parametrize(
    "line", ["import onnxruntime.tools", "from onnxruntime import tools", "from onnxruntime.tools.deep import convert"]
)
def test_what_a_function_imports_stays_with_what_that_needs(tree, line):
    write_files(tree, {"functions/echo/handler.py": f"{line}\n"})
    assert not {"onnxruntime/tools/deep/convert.py", "google/protobuf/__init__.py"} & set(cut(tree))


def test_metadata_goes_unless_somebody_may_ask_for_it(tree):
    assert cut(tree)["numpy-1.0.dist-info/METADATA"] == METADATA_WHY
    write_package(tree, "asker", {"asker.py": "from importlib.metadata import version\n"}, requires=("six",))
    reasons = cut(tree, [*ROOTS, Need("asker", frozenset(), "")])
    assert not {"asker-1.0.dist-info/METADATA", "six-1.0.dist-info/METADATA"} & set(reasons)
    assert {"asker-1.0.dist-info/WHEEL", "numpy-1.0.dist-info/METADATA"} <= set(reasons)


def test_a_function_that_asks_for_versions_keeps_all_metadata(tree):
    write_files(tree, {"functions/echo/handler.py": "import importlib.metadata\n"})
    assert [file for file in cut(tree) if file.endswith("METADATA")] == ["protobuf-1.0.dist-info/METADATA", "six-1.0.dist-info/METADATA"]


def test_a_file_that_no_package_lists_belongs_to_its_folder(tree):
    write_files(tree, {"numpy/lib/__pycache__/x.cpython-311.pyc": "", "numpy/__pycache__/__init__.cpython-311.pyc": ""})
    owners = {piece.file: piece.package for piece in find_pieces(tree, ROOTS)}
    assert owners["numpy/__pycache__/__init__.cpython-311.pyc"] == "numpy"
    assert owners["servelite/tools/packaging/cuts.py"] == "servelite"


@pytest.mark.parametrize("rule", CUTS, ids=lambda rule: rule.pattern)
def test_a_rule_says_why(rule):
    assert rule.why
    assert not rule.package or rule.pattern.startswith(f"{rule.package}/")
