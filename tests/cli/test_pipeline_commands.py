"""Commands on pipelines: `call` runs their functions in workers, `check` checks the whole, `torture` says what to torture."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from servelite.core.errors import InvalidInput
from servelite.testing import FunctionClient
from servelite.tools.check import Verdict, check
from tests.cli.command import servelite
from tests.conftest import FolderWriter
from tests.functional.ledger import read_rows

WORDS = """
    from servelite import function

    print("words is loaded")

    @function(max_batch=8)
    def words(texts: list[str]) -> list[list[str]]:
        return [text.split() for text in texts]
"""

COUNT = """
    from servelite import InvalidInput, function

    @function(max_batch=8)
    def count(words: list[str]) -> list[int | InvalidInput]:
        return [InvalidInput("That is a bad word.") if word == "bad" else {answer} for word in words]
"""

LETTERS = """
    from servelite import each, sequence

    print("letters is loaded")

    def total(lengths: list[int]) -> int:
        return sum(lengths)

    pipeline = sequence("words", each("count"), total)
"""

EXAMPLES = '{"input": "one two", "output": 6}\n{"input": "three"}\n'


@pytest.fixture
def letters(write_function: FolderWriter) -> Path:
    return written(write_function)


def written(write_function: FolderWriter, answer: str = "len(word)", examples: str = EXAMPLES) -> Path:
    write_function("words", WORDS)
    write_function("count", COUNT.format(answer=answer))
    return write_function("letters", LETTERS, {"examples.jsonl": examples})


def test_a_pipeline_is_called_without_a_server(letters: Path, tmp_path: Path) -> None:
    done = servelite("call", letters, "one two three", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "11\n")
    assert done.stderr.splitlines()[-1].startswith("receipt: compute-us=")
    rows = read_rows(tmp_path)
    (row,) = (one for one in rows.values() if not one["parent"])
    assert (row["function"], row["code"]) == ("letters", "ok")
    assert row["billed_us"] == sum(one["billed_us"] for one in rows.values() if one["parent"])


def test_its_first_example_is_sent_where_there_is_no_input(letters: Path, tmp_path: Path) -> None:
    done = servelite("call", letters, "--ledger", "none", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "6\n")
    assert 'input: "one two"' in done.stderr


def test_a_failing_stage_ends_the_command_with_its_place(letters: Path, tmp_path: Path) -> None:
    done = servelite("call", letters, "a bad word", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "servelite: count[1]: That is a bad word."


def test_a_pipeline_that_can_not_be_served_ends_the_command(write_function: FolderWriter, tmp_path: Path) -> None:
    letters = write_function("letters", LETTERS)
    write_function("words", WORDS)
    done = servelite("call", letters, "x", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("servelite: The pipeline letters names the function 'count', which is not here.")


def test_a_pipeline_of_glue_needs_no_worker(write_function: FolderWriter, tmp_path: Path) -> None:
    source = "from servelite import sequence\n\ndef twice(n: int) -> int:\n    return 2 * n\n\npipeline = sequence(twice, twice)\n"
    done = servelite("call", write_function("four", source), "3", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "12\n")


def test_a_client_for_tests_calls_pipelines_too(letters: Path) -> None:
    with FunctionClient(letters) as client:
        assert client.call("one two three") == 11
        with pytest.raises(InvalidInput, match=r"count\[0\]: That is a bad word"):
            client.call("bad")
        client.check_batches()


def test_a_client_holds_that_the_whole_does_not_depend_on_its_batches(write_function: FolderWriter) -> None:
    letters = written(write_function, answer="len(word) + len(words)")
    with FunctionClient(letters) as client, pytest.raises(AssertionError, match="Input 1 beside"):
        client.check_batches()


def checked(folder: Path) -> dict[str, Verdict]:
    return {verdict.check: verdict for verdict in asyncio.run(check(folder))}


def test_a_good_pipeline_passes_its_checks(letters: Path) -> None:
    (letters / "card.toml").write_text("[measured]\naccuracy = 0.83\n[acceptance]\naccuracy = 0.8\n")
    verdicts = checked(letters)
    assert {name: verdict.result for name, verdict in verdicts.items()} == dict.fromkeys(verdicts, "passed")
    assert verdicts["types"].says.startswith("Takes text/plain or application/json, gives application/json")
    assert verdicts["time"].says.startswith("The longest run, input ")


@pytest.mark.parametrize(
    ("answer", "examples", "failed"),
    [
        pytest.param("len(word) + 1", EXAMPLES, {"examples": "Input 1: the output is 8, not 6"}, id="a wrong output"),
        pytest.param("len(word) + (len(words) > 4)", EXAMPLES, {"batches": "Input 1 beside"}, id="a stage that depends on its batch"),
        pytest.param("len(word)", '{"input": "bad"}\n', {"examples": "Input 1 is answered invalid_input: count[0]"}, id="a failing stage"),
    ],
)
def test_what_is_wrong_with_a_pipeline_is_told(write_function: FolderWriter, answer: str, examples: str, failed: dict[str, str]) -> None:
    verdicts = checked(written(write_function, answer, examples))
    told = {name: verdict.says for name, verdict in verdicts.items() if verdict.result == "failed"}
    assert told.keys() == failed.keys()
    assert all(failed[name] in says for name, says in told.items())


def test_check_and_list_take_pipelines_among_functions(letters: Path, tmp_path: Path) -> None:
    done = servelite("list", letters.parent, "--json", cwd=tmp_path)
    listed: list[dict[str, Any]] = json.loads(done.stdout)
    assert {one["name"]: one["kind"] for one in listed} == {"count": "function", "letters": "pipeline", "words": "function"}
    done = servelite("check", letters, cwd=tmp_path)
    assert (done.returncode, done.stdout.count("passed")) == (0, 4)


def test_torture_names_the_functions_that_can_be_tortured(letters: Path, tmp_path: Path) -> None:
    done = servelite("torture", letters, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    told = "servelite: letters is a pipeline, and torture breaks handlers. Torture its functions: words, count."
    assert done.stderr.splitlines()[-1] == told
