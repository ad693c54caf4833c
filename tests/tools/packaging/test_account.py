"""The size account adds up, names reasons, and refuses what Lambda would refuse."""

import pytest

from servelite.core.errors import DefinitionError
from servelite.tools.packaging.account import Account, Row, account, account_cells, weigh, zip_advice
from servelite.tools.packaging.pruning import Piece
from servelite.tools.packaging.target import MB
from tests.tools.packaging.trees import write_files, write_package


def piece(why: str, size: int) -> Piece:
    return Piece("numpy", "numpy/x", size, why)


def test_a_part_has_what_it_weighed_what_is_left_and_why():
    made = account({"six": MB, "numpy": 10 * MB}, [piece("tests", 3 * MB), piece("tests", MB), piece("commands", 2 * MB)], [], 5 * MB)
    assert [(row.part, row.before, row.after) for row in made.rows] == [
        ("numpy", 10 * MB, 4 * MB),
        ("six", MB, MB),
        ("bytecode", 0, 5 * MB),
    ]
    assert made.rows[0].why == "tests (4.0 MB); commands (2.0 MB)"
    assert (made.before, made.after) == (11 * MB, 10 * MB)
    assert account_cells(made)[-1] == ("all", "11.0 MB", "10.0 MB", "91% is left")


def test_a_reason_that_took_next_to_nothing_is_told_only_alone():
    assert account({"numpy": MB}, [piece("tests", MB // 2), piece("commands", 1)], [], 0).rows[0].why == "tests"
    assert account({"numpy": MB}, [piece("commands", 1)], [], 0).rows[0].why == "commands"


def test_what_never_came_in_counts_as_it_would_have_weighed():
    made = account({"six": MB}, [], [Row("uvloop", 3 * MB, 0, "the local gateway's")], 0)
    assert [row.part for row in made.rows] == ["uvloop", "six"]
    assert (made.before, made.after) == (4 * MB, MB)


def test_too_large_a_package_is_refused_with_its_largest_parts():
    rows = (
        Row("torch", 900 * MB, 200 * MB, ""),
        Row("scipy", 30 * MB, 30 * MB, ""),
        Row("a", 2, 1, ""),
        Row("model", 40 * MB, 40 * MB, ""),
    )
    with pytest.raises(DefinitionError) as caught:
        Account(rows).check()
    said = caught.value.detail
    assert said.startswith(
        "The package has 270.0 MB unzipped, and Lambda takes 250.0 MB. The largest parts: torch 200.0 MB, model 40.0 MB, scipy 30.0 MB."
    )
    assert "--image" in said


def test_a_package_that_just_fits_is_taken():
    Account((Row("torch", 0, 250 * MB, ""),)).check()
    with pytest.raises(DefinitionError):
        Account((Row("torch", 0, 250 * MB + 1, ""),)).check()


def test_a_zip_above_fifty_megabytes_is_told_how_to_get_there():
    assert zip_advice(50 * MB) == ""
    assert zip_advice(50 * MB + MB // 2) == "The zip has 50.5 MB. Above 50.0 MB upload it through S3, as sam deploy does, or use --image."


def test_a_tree_is_weighed_by_its_packages(tmp_path):
    write_package(tmp_path, "six", {"six.py": "12345"})
    write_files(tmp_path, {"functions/echo/handler.py": "123", "functions/echo/model.onnx": "1234", "servelite/core/x.py": "12"})
    weights = weigh(tmp_path)
    assert (weights["functions/echo"], weights["servelite"]) == (7, 2)
    assert weights["six"] == sum(file.stat().st_size for file in tmp_path.glob("six*/*")) + 5
