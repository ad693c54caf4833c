"""`servelite usage --png`: a picture of the days, and what is said where there is nothing to draw it with."""

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import servelite_here as servelite
from tests.cli.test_usage_month import month

__all__ = ["month"]

PNG = b"\x89PNG\r\n\x1a\n"


def size(file: Path) -> tuple[int, int]:
    """Return width and height of a PNG file."""
    content = file.read_bytes()
    assert content.startswith(PNG)
    width, height = struct.unpack(">II", content[16:24])
    return width, height


@pytest.mark.parametrize("options", [[], ["--account", "acme"], ["--account", "no$bo$dy"], ["--json"]], ids=" ".join)
def test_it_draws_a_picture_beside_what_it_prints(month: Path, tmp_path: Path, options: list[str]) -> None:
    file = tmp_path / "days"
    done = servelite("usage", "--month", "2024-02", *options, "--png", file, cwd=month)
    assert (done.returncode, done.stderr) == (0, f"Drawn into {file}.\n")
    assert size(file) == (1600, 768)
    assert done.stdout == servelite("usage", "--month", "2024-02", *options, cwd=month).stdout


def test_different_days_are_different_pictures(month: Path, tmp_path: Path) -> None:
    pictures = []
    for account in ("acme", "acme", "bob"):
        servelite("usage", "--month", "2024-02", "--account", account, "--png", tmp_path / "one.png", cwd=month)
        pictures.append((tmp_path / "one.png").read_bytes())
    assert pictures[0] == pictures[1] != pictures[2]


def test_a_file_that_can_not_be_written_is_told(month: Path) -> None:
    done = servelite("usage", "--month", "2024-02", "--png", "nowhere/days.png", cwd=month)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "servelite: nowhere/days.png: No such file or directory.\n"


def test_without_matplotlib_it_says_what_to_install(month: Path) -> None:
    """In an interpreter that finds no matplotlib; all else works there."""
    code = "import sys; sys.modules['matplotlib'] = None; from servelite.__main__ import main; main()"
    command = [sys.executable, "-c", code, "usage", "--month", "2024-02"]
    done = subprocess.run([*command, "--png", "days.png"], cwd=month, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "servelite: Pictures are drawn with matplotlib, which is not installed: pip install 'servelite[plot]'\n"
    done = subprocess.run([*command, "--plot"], cwd=month, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
