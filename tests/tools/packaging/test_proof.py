"""The examples are run inside a package, through its own door; what differs, fails or can't start is told."""

import sys
from pathlib import Path

import pytest

from servelite.core.errors import ServeliteError
from servelite.tools.packaging.proof import prove
from tests.tools.packaging.trees import write_files

DOOR = """
import os, pathlib

def handler(event, context):
    assert context.get_remaining_time_in_millis() > 0
    if isinstance(event, dict) and "rawPath" in event:
        return {{"statusCode": {status}, "body": event["rawPath"]}}
    print("a handler may print")
    import words
    return {answer}
"""


def write_tree(tree: Path, answer: str = "event", status: int = 200, examples: str = '{"input": 2, "output": 2}\n\n{"input": 3}\n') -> Path:
    """Write a package whose door answers every input by an expression."""
    door = DOOR.format(answer=answer, status=status)
    files = {"servelite/__init__.py": "", "servelite/adapters/__init__.py": "", "servelite/adapters/aws_lambda/__init__.py": door}
    write_files(tree, {**files, "words.py": "", "functions/echo/handler.py": "", "functions/echo/examples.jsonl": examples})
    return tree


def told(tree: Path) -> str:
    """Return why a package is not proven."""
    with pytest.raises(ServeliteError) as caught:
        prove(tree, sys.executable, tree.parent / "report.json", lambda _: None)
    return caught.value.detail


def test_a_package_that_answers_as_its_examples_say_is_proven(tmp_path):
    said: list[str] = []
    (proof,) = prove(write_tree(tmp_path / "tree"), sys.executable, tmp_path / "report.json", said.append)
    assert (proof.name, proof.examples) == ("echo", 2)
    assert proof.used == {
        "servelite/__init__.py",
        "servelite/adapters/__init__.py",
        "servelite/adapters/aws_lambda/__init__.py",
        "words.py",
    }
    assert said == ["proving: echo, 2 examples"]


def test_another_answer_is_told_with_its_example(tmp_path):
    assert "example 1 is answered differently: the output is 3, not 2" in told(write_tree(tmp_path / "tree", "event + 1"))


def test_a_failure_is_told_with_its_error(tmp_path):
    said = told(write_tree(tmp_path / "tree", "1 // (event - 3)"))
    assert "The package of echo does not do what its folder does: example 1 is answered differently" in said
    assert "example 2 fails with ZeroDivisionError" in said


def test_a_door_that_does_not_speak_http_is_told(tmp_path):
    assert "GET /functions/echo is answered 500" in told(write_tree(tmp_path / "tree", status=500))


@pytest.mark.parametrize("module", ["pytest", "click", "servelite.core"])
def test_nothing_outside_of_the_package_is_seen(tmp_path, module):
    tree = write_tree(tmp_path / "tree")
    write_files(tree, {"words.py": f"import {module}\n"})
    assert "ModuleNotFoundError" in told(tree)


def test_a_package_that_does_not_start_is_told_with_its_last_words(tmp_path):
    tree = write_tree(tmp_path / "tree")
    write_files(tree, {"servelite/__init__.py": "raise SystemExit('no such library')\n"})
    assert "The package of echo does not run" in told(tree)
    assert told(tree).endswith("no such library")


def test_a_package_is_left_as_it_is(tmp_path):
    tree = write_tree(tmp_path / "tree")
    prove(tree, sys.executable, tmp_path / "report.json", lambda _: None)
    assert not list(tree.rglob("__pycache__"))
