"""Runs the scripts that make and measure models, where what they need is installed."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
TRAIN = CHECKOUT / "build" / "train"


def run_script(module: str, *arguments: str, python: Path = Path(sys.executable), may_fail: bool = False) -> str:
    """Run `functions.….train` or the like from the checkout, and return what it prints; skip where the packages are missing.

    `may_fail` says that it may end with another code than 0, for example because what it makes is not what the card records.
    """
    if not (TRAIN / ".installed").exists() and importlib.util.find_spec("skl2onnx") is None:
        pytest.skip("What making models needs is missing: install it with `make train`.")
    environment = {**os.environ, "PYTHONPATH": f"{TRAIN}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    command = [str(python), "-m", module, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=900, cwd=CHECKOUT, env=environment)
    assert may_fail or done.returncode == 0, done.stdout + done.stderr
    return done.stdout
