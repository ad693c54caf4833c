"""Every folder of functions/: its card is complete and true, and the function may be relied on, as far as its artefacts are here."""

import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import FolderWriter
from tests.functions.making import CHECKOUT

from servelite.core.card import read_bars
from servelite.core.errors import DefinitionError
from servelite.tools.check import check
from servelite.worker.loader import load

FOLDERS = sorted(handler.parent for handler in (CHECKOUT / "functions").glob("*/handler.py"))
CARDS = {folder.name: tomllib.loads((folder / "card.toml").read_text()) for folder in FOLDERS if (folder / "card.toml").exists()}
MODELS = [folder for folder in FOLDERS if "model" in CARDS.get(folder.name, {})]  # a pipeline has none of its own
IGNORED = (CHECKOUT / ".gitignore").read_text().splitlines()


def artefacts(folder: Path) -> list[dict[str, Any]]:
    """Return the tables of a card that describe a file of its folder."""
    return [table for table in CARDS[folder.name].values() if isinstance(table, dict) and "file" in table]


def is_built(folder: Path) -> bool:
    """Tell whether a function's model is built where it is needed, and not committed."""
    return f"functions/{folder.name}/{CARDS[folder.name]['model']['file']}" in IGNORED


def named(folder: Path) -> str:
    return folder.name


@pytest.mark.parametrize("folder", MODELS, ids=named)
def test_an_artefact_is_the_one_the_card_records(folder: Path) -> None:
    found = [(folder / artefact["file"], artefact) for artefact in artefacts(folder)]
    assert found
    for file, artefact in found:
        if file.exists() or not is_built(folder):
            content = file.read_bytes()
            assert (hashlib.sha256(content).hexdigest(), len(content)) == (artefact["sha256"], artefact["bytes"])


@pytest.mark.parametrize("folder", MODELS, ids=named)
def test_a_card_says_where_all_comes_from_and_how_it_is_made(folder: Path) -> None:
    card = CARDS[folder.name]
    assert {"licence", "kind", "input", "output", "limits"} <= card["model"].keys()
    command, _, only = card["model"]["remake"].partition(" ONLY=")
    assert (only, (folder / {"make models": "build.py", "make train": "train.py"}[command]).exists()) == (folder.name, True)
    pins = [*card.get("source", []), *card.get("data", [])]
    assert pins
    for pin in pins:
        assert {"name", "package", "version", "archive", "archive_sha256", "licence"} <= pin.keys()
        assert pin["version"] in pin["archive"]


@pytest.mark.parametrize("folder", MODELS, ids=named)
def test_the_figures_of_a_card_clear_its_bars(folder: Path) -> None:
    bars = read_bars(CARDS[folder.name])
    assert bars
    assert not [bar.shortfall for bar in bars if bar.shortfall]


@pytest.mark.parametrize("folder", [folder for folder in MODELS if is_built(folder)], ids=named)
def test_a_missing_model_is_told_with_the_command_that_makes_it(folder: Path, write_function: FolderWriter) -> None:
    source = f"from servelite import load_onnx\nload_onnx({CARDS[folder.name]['model']['file']!r})\n"
    bare = write_function(folder.name, source, {"card.toml": (folder / "card.toml").read_text()})
    with pytest.raises(DefinitionError, match=f"there is no such file in .* Make it with: make models ONLY={folder.name}$"):
        load(bare)


@pytest.mark.anyio
@pytest.mark.parametrize("folder", [pytest.param(f, id=f.name, marks=[pytest.mark.slow] if is_built(f) else []) for f in MODELS])
async def test_a_function_passes_its_check(folder: Path) -> None:
    if missing := [artefact["file"] for artefact in artefacts(folder) if not (folder / artefact["file"]).exists()]:
        pytest.skip(f"{', '.join(missing)} is missing: make it with `{CARDS[folder.name]['model']['remake']}`.")
    verdicts = await check(folder)
    assert not [verdict for verdict in verdicts if verdict.result in ("failed", "warned")]
