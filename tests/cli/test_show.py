"""`servelite list` and `servelite show`."""

import hashlib
import json
from pathlib import Path

from tests.cli.command import servelite
from tests.cli.conftest import FUNCTIONS

ROOT = Path(__file__).parents[2]
SENTIMENT = ROOT / "functions" / "sentiment"


def test_functions_are_listed_with_their_limits(tmp_path: Path) -> None:
    done = servelite("list", FUNCTIONS, cwd=tmp_path)
    assert done.returncode == 0
    columns, *rows = (line.split() for line in done.stdout.splitlines())
    assert columns == ["function", "kind", "max_batch", "timeout_s", "memory_mib", "max_workers", "idle_s", "summary"]
    assert [row[0] for row in rows] == sorted(folder.name for folder in FUNCTIONS.iterdir())
    assert ["misbehave", "function", "1", "0.3", "1024", "cores", "300"] in [row[:7] for row in rows]


def test_a_program_can_read_the_list(tmp_path: Path) -> None:
    listed = json.loads(servelite("list", FUNCTIONS / "tag", "--json", cwd=tmp_path).stdout)
    assert [(one["name"], one["kind"], one["max_batch"], one["timeout_s"]) for one in listed] == [("tag", "function", 64, 30)]


def test_the_list_is_of_the_functions_here_by_default(tmp_path: Path) -> None:
    servelite("new", "functions/hello", cwd=tmp_path)
    for folder in (tmp_path, tmp_path / "functions"):
        assert [one["name"] for one in json.loads(servelite("list", "--json", cwd=folder).stdout)] == ["hello"]


def test_a_broken_function_does_not_hide_the_others(tmp_path: Path) -> None:
    servelite("new", "functions/fine", cwd=tmp_path)
    servelite("new", "functions/broken", cwd=tmp_path)
    (tmp_path / "functions" / "broken" / "handler.py").write_text("def")
    done = servelite("list", cwd=tmp_path)
    assert done.returncode == 2
    assert "fine" in done.stdout
    assert "handler.py:1: " in done.stderr


def test_a_function_is_shown_with_schema_card_and_artefacts(tmp_path: Path) -> None:
    done = servelite("show", SENTIMENT, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("sentiment: Is an English review positive or negative?")
    assert hashlib.sha256((SENTIMENT / "model.onnx").read_bytes()).hexdigest() in done.stdout
    assert "a review, tweet or sentence in English" in done.stdout
    assert "licence" in done.stdout


def test_a_program_can_read_what_is_shown(tmp_path: Path) -> None:
    shown = json.loads(servelite("show", SENTIMENT, "--json", cwd=tmp_path).stdout)
    model = SENTIMENT / "model.onnx"
    assert {
        "name": "model.onnx",
        "bytes": model.stat().st_size,
        "sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
    } in shown["artefacts"]
    assert shown["input_schema"]["properties"]["text"]["maxLength"] == 10_000
    assert shown["limits"]["max_batch"] == 64
    assert shown["card"]


def test_one_function_is_shown_at_a_time(tmp_path: Path) -> None:
    done = servelite("show", FUNCTIONS, cwd=tmp_path)
    assert done.returncode == 2
    assert "Name one: " in done.stderr
