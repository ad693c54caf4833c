"""`servelite show` draws pipelines, and `servelite list` tells them from functions."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.cli.command import servelite
from tests.conftest import FolderWriter

WORDS = """
    \"\"\"Splits a text.\"\"\"
    from servelite import function

    print("words is loaded")

    @function
    def words(text: str) -> list[str]:
        return text.split()
"""

COUNT = """
    from servelite import function

    @function(max_batch=8)
    def count(words: list[str]) -> list[int]:
        return [len(word) for word in words]
"""

REVIEW = """
    \"\"\"Counts letters.\"\"\"
    from typing import Literal
    from servelite import each, retry, route, sequence, stage, value

    def total(counts: list[int]) -> int:
        return sum(counts)

    def choose(letters: int) -> Literal["long", "short"]:
        return "long" if letters > 10 else "short"

    def double(letters: int) -> int:
        return 2 * letters

    letters = each(stage("count", retry=retry(2), fallback=value(0)), max_parallel=4)
    pipeline = sequence("words", letters, total, route(choose, long=double, short=value(0)))
"""

DRAWN = """\
○ str                  input
│
● words                function
│ list[str]
↻ each item            4 at a time
├─ ● count             function, retried twice
│  ╰╌ if it fails ■ 0  value
│ list[int]
◆ total                glue
│ int
◇ choose               glue that chooses
├─ long  ◆ double      glue
├─ short ■ 0           value
│
○ int                  output
"""


@pytest.fixture
def functions(write_function: FolderWriter) -> Path:
    """Write two functions, a pipeline that fits, and one that calls it."""
    write_function("words", WORDS)
    write_function("count", COUNT)
    write_function("review", REVIEW)
    return write_function("twice", 'from servelite import parallel\npipeline = parallel(a="review", b="words")\n').parent


def test_a_pipeline_is_drawn_above_its_limits_and_schemas(functions: Path) -> None:
    done = servelite("show", functions / "review", cwd=functions)
    assert (done.returncode, done.stderr) == (0, "words is loaded\n")
    assert done.stdout.startswith(f"review: Counts letters.\n\n{DRAWN}\nlimit ")
    assert "Takes text/plain or application/json:" in done.stdout


def test_a_nested_pipeline_is_drawn_by_name_or_deep(functions: Path) -> None:
    assert "├─ a ◉ review  pipeline\n├─ b ● words   function\n" in servelite("show", "twice", cwd=functions).stdout
    assert "├─ a ◉ review" in (deep := servelite("show", "twice", "--deep", cwd=functions).stdout)
    assert "│       ↻ each item" in deep


def test_a_program_reads_the_plain_form(functions: Path) -> None:
    shown = json.loads(servelite("show", "review", "--json", cwd=functions).stdout)
    assert shown["pipeline"]["sequence"][0] == {"call": "words"}
    assert shown["output_schema"]


def test_a_pipeline_is_a_mermaid_flowchart(functions: Path) -> None:
    done = servelite("show", "review", "--mermaid", cwd=functions)
    assert (done.returncode, done.stdout.splitlines()[:3]) == (
        0,
        ["flowchart TB", '    n0(["str"])', '    n1["words<br/><small>function</small>"]'],
    )


def test_a_pipeline_is_an_svg_picture_in_a_file_or_on_stdout(functions: Path) -> None:
    assert servelite("show", "review", "--svg", "review.svg", cwd=functions).stdout == ""
    picture = (functions / "review.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(picture).tag.endswith("svg")
    assert servelite("show", "review", "--svg", "-", cwd=functions).stdout == picture


def test_a_function_is_drawn_too_where_it_is_asked_for(functions: Path) -> None:
    assert '"count<br/><small>function</small>"' in servelite("show", "count", "--mermaid", cwd=functions).stdout
    assert "○" not in servelite("show", "count", cwd=functions).stdout


def test_forms_are_chosen_one_at_a_time(functions: Path) -> None:
    done = servelite("show", "review", "--mermaid", "--svg", "review.svg", cwd=functions)
    assert done.returncode == 2
    assert "Choose one of --json, --mermaid and --svg." in done.stderr
    assert not (functions / "review.svg").exists()


@pytest.mark.parametrize(
    ("stages", "line", "told"),
    [
        ('"count", "words"', "│ int ✗ does not fit what is next", "count does not fit words: an integer is given, a string is taken"),
        ('"words", "cuont"', "✗ cuont not available", "names the function 'cuont', which is not here"),
        ('"words", "broken"', "✗ broken not available", "broken/handler.py:1: SyntaxError: invalid syntax."),
    ],
    ids=["stages that do not fit", "a stage that is missing", "a stage that can't be loaded"],
)
def test_a_broken_pipeline_is_drawn_as_far_as_it_is_known(
    functions: Path, write_function: FolderWriter, stages: str, line: str, told: str
) -> None:
    write_function("broken", "def")
    write_function("wrong", f"from servelite import sequence\npipeline = sequence({stages})\n")
    done = servelite("show", "wrong", cwd=functions)
    assert done.returncode == 2
    assert line in [" ".join(shown.split()) for shown in done.stdout.splitlines()]
    assert "Takes" not in done.stdout
    assert told in done.stderr


@pytest.mark.parametrize(("option", "shown"), [("--json", '"call": "count"'), ("--mermaid", '==>|"int does not fit"|')])
def test_a_broken_pipeline_is_shown_in_other_forms_too(functions: Path, write_function: FolderWriter, option: str, shown: str) -> None:
    write_function("wrong", "from servelite import sequence\npipeline = sequence('count', 'words')\n")
    done = servelite("show", "wrong", option, cwd=functions)
    assert done.returncode == 2
    assert shown in done.stdout
    assert "count does not fit words" in done.stderr


def test_the_list_marks_pipelines_and_tells_which_are_broken(functions: Path, write_function: FolderWriter) -> None:
    write_function("wrong", "from servelite import sequence\npipeline = sequence('count', 'words')\n")
    done = servelite("list", cwd=functions.parent)
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:]] == [
        ["count", "function"],
        ["review", "pipeline"],
        ["twice", "pipeline"],
        ["words", "function"],
        ["wrong", "pipeline"],
    ]
    assert done.returncode == 2
    assert "count does not fit words" in done.stderr
    listed = json.loads(servelite("list", "--json", cwd=functions.parent).stdout)
    assert {one["name"]: one["kind"] for one in listed}["twice"] == "pipeline"
