"""What the documents say is true: their blocks run, and every command, option, limit and error is in them."""

import dataclasses
import re
import shutil
import tomllib
from pathlib import Path

import click
import pytest

from servelite.cli.main import COMMANDS, cli
from servelite.core.accounts import Allowance
from servelite.core.errors import ServeliteError, all_errors
from servelite.core.function import Limits
from servelite.core.settings import read_settings
from servelite.core.tariff import PRESETS, Tariff
from servelite.tools.torture.trials import TRIALS
from tests.functional.documents import ROOT, Block, blocks, commands, run

DOCUMENTS = [ROOT / "README.md", ROOT / "deploy" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXTS = {str(document.relative_to(ROOT)).removeprefix("docs/"): document.read_text(encoding="utf-8") for document in DOCUMENTS}
EVERYTHING = "\n".join(TEXTS.values())
RUNNABLE = [block for name, text in TEXTS.items() for block in blocks(text, name) if block.language in ("sh", "bash", "console", "python")]
ERRORS = {kind.code: kind for kind in all_errors() if kind is not ServeliteError}

SAMPLE = """
# A document

```sh
# a remark
make install
servelite new hello
servelite call hello \\
  '{"name": "Ada"}' > answer.json
servelite run hello --port 8080 &
curl --silent http://127.0.0.1:8080/functions/hello -H 'Content-Type: application/json' -d '{"name": "Bob"}'
servelite run functions/sentiment   # instead of it
servelite list functions/sentiment --json > list.json
```

```console
$ servelite call functions/sentiment '{"text": "great"}'
{"label": "positive"}
```

```python
from servelite import function

@function(timeout_s=1)
def echo(text: str) -> str:
    return text
```

```python
from servelite.testing import FunctionClient

with FunctionClient("functions/sentiment") as client:
    print(client.call({"text": "great"})["label"])
```

```text
not run
```
"""


def sample(number: int) -> Block:
    return list(blocks(SAMPLE, "SAMPLE.md"))[number]


def test_the_runner_finds_blocks_with_their_lines() -> None:
    found = [(block.place, block.language) for block in blocks(SAMPLE, "SAMPLE.md")]
    assert found == [
        ("SAMPLE.md:4", "sh"),
        ("SAMPLE.md:16", "console"),
        ("SAMPLE.md:21", "python"),
        ("SAMPLE.md:29", "python"),
        ("SAMPLE.md:36", "text"),
    ]


def test_the_runner_skips_what_is_not_to_be_run() -> None:
    assert [line.split()[:2] for line in commands(sample(0))] == [
        ["servelite", "new"],
        ["servelite", "call"],
        ["servelite", "run"],
        ["curl", "--silent"],
        ["servelite", "run"],
        ["servelite", "list"],
    ]
    assert commands(sample(1)) == ['servelite call functions/sentiment \'{"text": "great"}\'']


@pytest.mark.skipif(shutil.which("curl") is None, reason="the documents call servers with curl")
def test_the_runner_serves_and_calls(tmp_path: Path) -> None:
    assert "Hello Bob!" in run(sample(0), tmp_path)
    assert (tmp_path / "answer.json").read_text() == '{"text":"Hello Ada!"}\n'
    assert (tmp_path / "list.json").exists()


def test_the_runner_runs_python(tmp_path: Path) -> None:
    (tmp_path / "handler").mkdir()
    (tmp_path / "script").mkdir()
    assert run(sample(2), tmp_path / "handler").startswith("echo: ")
    assert run(sample(3), tmp_path / "script") == "positive\n"


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("sh", "servelite call nowhere\n"),
        ("console", "$ servelite nonsense\n"),
        ("python", "raise SystemExit(1)\n"),
        ("python", "@function\ndef broken(text: str) -> str:\n    return text\n"),
    ],
    ids=["a failing call", "an unknown command", "a failing script", "a handler without its import"],
)
def test_the_runner_can_fail(tmp_path: Path, language: str, text: str) -> None:
    with pytest.raises(AssertionError, match=r"SAMPLE\.md:1"):
        run(Block("SAMPLE.md:1", language, text), tmp_path)


@pytest.mark.parametrize("block", RUNNABLE, ids=lambda block: f"{block.place} {block.language}")
def test_the_block_runs(tmp_path: Path, block: Block) -> None:
    if any(line.startswith("curl ") for line in commands(block)) and shutil.which("curl") is None:
        pytest.skip("there is no curl here")
    run(block, tmp_path)


def test_the_readme_has_blocks_that_are_run() -> None:
    languages = {block.language for block in RUNNABLE if block.place.startswith("README.md")}
    assert languages >= {"sh", "python"}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_is_documented(name: str) -> None:
    assert f"servelite {name}" in EVERYTHING


def _options() -> list[tuple[str, str]]:
    with click.Context(cli) as context:
        made = {name: cli.get_command(context, name) for name in COMMANDS}
    groups = {name: one for name, one in made.items() if isinstance(one, click.Group)}
    made |= {f"{name} {part}": one for name, group in groups.items() for part, one in group.commands.items()}
    return [(name, option) for name, one in made.items() if one for p in one.params if isinstance(p, click.Option) for option in p.opts]


@pytest.mark.parametrize(("name", "option"), [*_options(), ("", "--debug")])
def test_the_option_is_documented(name: str, option: str) -> None:
    assert re.search(rf"{re.escape(option)}\b", EVERYTHING)
    if name:
        assert any(option in line for line in TEXTS["cli.md"].splitlines() if f"servelite {name}" in line)


@pytest.mark.parametrize("code", ERRORS)
def test_the_error_is_documented(code: str) -> None:
    lines = [line for line in EVERYTHING.splitlines() if re.search(rf"\b{code}\b", line)]
    assert lines
    if code != "definition_error":
        assert any(str(ERRORS[code].status) in line for line in lines)


def test_no_error_is_documented_that_does_not_exist() -> None:
    rows = re.findall(r"^\| `?([a-z_]+)`? \| ([45]\d\d) \|", EVERYTHING, re.MULTILINE)
    assert len(rows) >= 10
    assert {(code, int(status)) for code, status in rows} <= {(code, kind.status) for code, kind in ERRORS.items()}


@pytest.mark.parametrize("limit", dataclasses.fields(Limits), ids=lambda limit: limit.name)
def test_the_limit_is_documented_with_its_default(limit: "dataclasses.Field[object]") -> None:
    default = "cores" if limit.default is None else f"{limit.default:g}"
    assert f"| `{limit.name}` | {default} |" in EVERYTHING


@pytest.mark.parametrize("what", dataclasses.fields(Allowance), ids=lambda field: field.name)
def test_what_an_account_may_use_is_documented(what: "dataclasses.Field[object]") -> None:
    assert re.search(rf"^\| `{what.name}` \|", TEXTS["accounts.md"], re.MULTILINE)
    assert any(line.startswith(f"{what.name} = ") for line in TEXTS["accounts.md"].splitlines())


def _as_documented(said: object) -> str:
    return f"{said:,}" if type(said) is int else str(said).lower() if isinstance(said, bool) else str(said)


@pytest.mark.parametrize("field", dataclasses.fields(Tariff), ids=lambda field: field.name)
def test_the_field_of_a_tariff_is_documented_with_its_presets(field: "dataclasses.Field[object]") -> None:
    rows = [line.strip("| ").split(" | ") for line in TEXTS["usage.md"].splitlines() if line.startswith(f"| `{field.name}` |")]
    presets = [getattr(preset, field.name) for preset in PRESETS.values()]
    assert [row[2:] for row in rows] == [[_as_documented(said) for said in presets]]


def test_the_settings_file_of_the_documents_is_read() -> None:
    """Every field of a tariff is in it."""
    (said,) = [tomllib.loads(block.text) for block in blocks(TEXTS["usage.md"], "usage.md") if block.language == "toml"]
    assert set(said["tariff"]) == {"preset", *(field.name for field in dataclasses.fields(Tariff))}
    assert read_settings(said, "usage.md").tariff.round_up_us == said["tariff"]["round_up_us"]


@pytest.mark.parametrize("path", ["/functions/{name}", "/functions", "/openapi.json", "/", "/livez", "/readyz", "/metrics", "/usage"])
def test_the_path_is_documented(path: str) -> None:
    assert re.search(rf"`(GET|POST) {re.escape(path)}`", EVERYTHING)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_the_links_of_a_document_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"


RELIABILITY = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("file", sorted(set(re.findall(r"`(?:[a-z/]*/)?(test_\w+\.py)`", RELIABILITY))))
def test_a_test_that_reliability_names_exists(file: str) -> None:
    assert list((ROOT / "tests").rglob(file))


def test_reliability_names_every_trial_and_no_other() -> None:
    named = {name for cell in re.findall(r"trials? ((?:`\w+`(?:, )?)+)", RELIABILITY) for name in re.findall(r"`(\w+)`", cell)}
    assert named == {trial.name for trial in TRIALS}
