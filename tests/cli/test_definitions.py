"""What is wrong with a folder is one or two sentences: file and line, what is wrong, and the cure; never a traceback."""

import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.command import servelite

PLAIN = "from servelite import function\n\n@function\ndef broken(text: str) -> str:\n    return text\n"

BROKEN = {
    "an untyped parameter": (PLAIN.replace("text: str", "text"), 3, "Annotate it, for example text: str."),
    "no return type": (PLAIN.replace(" -> str", ""), 3, "Annotate it"),
    "too many parameters": (PLAIN.replace("text: str", "a: str, b: str, c: str"), 3, "A handler has one"),
    "a syntax error": (PLAIN.replace("return text", "return text)"), 5, "unmatched ')'"),
    "an unclosed bracket": (PLAIN.replace("return text", "return (text"), 5, "'(' was never closed"),
    "an unknown field": (PLAIN.replace("@function", "@function(max_bach=4)"), 3, "Did you mean 'max_batch'?"),
    "an impossible limit": (PLAIN.replace("@function", "@function(timeout_s=0)"), 3, "timeout_s is a number above 0"),
    "a missing model": (
        PLAIN.replace("function\n\n", "function, load_onnx\nmodel = load_onnx('model.onnx')\n\n", 1),
        2,
        "Put the model there, or mend the name.",
    ),
    "a missing package": (f"import no_such_package\n{PLAIN}", 1, "then run: servelite install "),
    "an error while it is imported": (f"x = 1 / 0\n{PLAIN}", 1, "ZeroDivisionError: division by zero"),
    "an async handler": (PLAIN.replace("def", "async def"), 3, "write a plain def"),
    "a batch without lists": (PLAIN.replace("@function", "@function(max_batch=4)"), 3, "list[str]"),
}
WITHOUT_A_LINE = {
    "no handler": ("import servelite\n", "Put @function above the function that answers calls."),
    "two handlers": (PLAIN + PLAIN.replace("broken", "second").replace("from servelite import function", ""), "A folder is one function"),
}

COMMANDS = pytest.mark.parametrize("command", ["run", "call"])


def told(folder: Path, command: str, *options: str, cwd: Path | None = None) -> str:
    """Run a command on a broken folder, and return what it says."""
    said = [folder, "--port", "0"] if command == "run" else [folder, "hello"]
    done = servelite(*options, command, *said, cwd=cwd or folder.parents[1])
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return the broken folders by what is wrong with them."""
    root = tmp_path_factory.mktemp("broken") / "functions"
    folders = {name: root / name.replace(" ", "-") for name in BROKEN}
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        (folder / "handler.py").write_text(BROKEN[name][0])
    return folders


@pytest.fixture(scope="module")
def refused(broken: dict[str, Path]) -> list[str]:
    """Return what `servelite run` says of all of them, line by line."""
    (root,) = {folder.parent for folder in broken.values()}
    done = servelite("run", root, "--port", "0", cwd=root.parent)
    assert (done.returncode, done.stdout) == (2, "")
    return done.stderr.removeprefix("servelite: ").splitlines()


@pytest.fixture(scope="module")
def refusals(broken: dict[str, Path]) -> dict[str, str]:
    """Return what `servelite call` says of each; run side by side, for each starts a Python."""
    with ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as threads:
        said = threads.map(lambda folder: told(Path("functions") / folder.name, "call", cwd=folder.parents[1]), broken.values())
        return dict(zip(broken, said, strict=True))


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_folder_is_told_with_file_and_line_and_cure(broken: dict[str, Path], refused: list[str], name: str) -> None:
    _, line, cure = BROKEN[name]
    (said,) = [one for one in refused if one.startswith(f"{broken[name] / 'handler.py'}:{line}: ")]
    assert cure in said
    assert len(said) < 500


def test_a_broken_folder_is_told_in_one_line(refused: list[str]) -> None:
    assert len(refused) == len(BROKEN)


@pytest.mark.parametrize("name", BROKEN)
def test_a_folder_named_as_users_name_it_keeps_file_and_line(broken: dict[str, Path], refusals: dict[str, str], name: str) -> None:
    _, line, cure = BROKEN[name]
    assert f"functions/{broken[name].name}/handler.py:{line}: " in refusals[name]
    assert cure in refusals[name]


@COMMANDS
@pytest.mark.parametrize("name", WITHOUT_A_LINE)
def test_a_handler_that_can_t_be_found_is_told_with_its_file(write_function: Callable[..., Path], name: str, command: str) -> None:
    source, cure = WITHOUT_A_LINE[name]
    folder = write_function("broken", source)
    said = told(folder, command)
    assert str(folder / "handler.py") in said
    assert cure in said
    assert said.count("\n") == 1


@COMMANDS
def test_a_missing_handler_is_told_with_its_folder(tmp_path: Path, command: str) -> None:
    folder = tmp_path / "functions" / "empty"
    folder.mkdir(parents=True)
    said = told(folder, command)
    assert f"{folder} has no handler.py" in said
    assert f"servelite new {folder}" in said


@pytest.mark.parametrize("command", ["run", "call"])
def test_debug_shows_the_traceback(write_function: Callable[..., Path], command: str) -> None:
    said = told(write_function("broken", BROKEN["an untyped parameter"][0]), command, "--debug")
    assert said.startswith("Traceback")
    assert "DefinitionError" in said


@pytest.mark.parametrize(
    ("file", "content", "cure"),
    [
        ("examples.jsonl", '{"input": "a"}\nnot json\n', "examples.jsonl:2: not JSON"),
        ("examples.jsonl", '["a"]\n', "examples.jsonl:1: an example is an object"),
        ("card.toml", "[model\n", "card.toml: not TOML"),
    ],
    ids=["an example that is not JSON", "an example that is none", "a card that is not TOML"],
)
def test_a_broken_file_beside_the_handler_is_told(write_function: Callable[..., Path], file: str, content: str, cure: str) -> None:
    said = told(write_function("broken", PLAIN, {file: content}), "run")
    assert cure in said
    assert "Traceback" not in said


def test_a_port_in_use_is_told_with_another(write_function: Callable[..., Path]) -> None:
    folder = write_function("fine", PLAIN)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = servelite("run", folder, "--port", str(port), cwd=folder.parents[1])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"servelite: Port {port} on 127.0.0.1 is in use. Stop what listens there, or choose another: --port {port + 1}\n"
    )


def test_two_functions_of_one_name_are_told(write_function: Callable[..., Path], tmp_path: Path) -> None:
    first = write_function("same", PLAIN)
    second = tmp_path / "others" / "same"
    second.mkdir(parents=True)
    (second / "handler.py").write_text(PLAIN)
    done = servelite("run", first, second, "--port", "0", cwd=tmp_path)
    assert done.returncode == 2
    assert "Two functions are named 'same'" in done.stderr
    assert "Rename one folder." in done.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--port", "70000"], "70000"),
        (["--max-body", "much"], "'much' is not a size"),
        (["--host", "256.0.0.1"], "256.0.0.1"),
        (["--ledger", "/proc/nothing/ledger.db"], "--ledger"),
        (["--no-such-option"], "No such option"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_told(write_function: Callable[..., Path], options: list[str], expected: str) -> None:
    folder = write_function("fine", PLAIN)
    done = servelite("run", folder, *(options if "--port" in options else [*options, "--port", "0"]), cwd=folder.parents[1])
    assert done.returncode in (1, 2)
    assert expected in done.stderr
    assert "Traceback" not in done.stderr
